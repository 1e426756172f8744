internal import CLinux

/// What is set on a stream socket before its first byte.
public struct SocketOptions: Sendable, Equatable {
  /// `TCP_NODELAY`: without it a small write waits for the peer's acknowledgement (41 ms).
  public var noDelay = true
  /// Seconds of silence before the first keep-alive probe; 0 turns keep-alive off.
  public var keepAliveIdle: Int32 = 0
  /// Seconds between probes; 0 leaves the kernel's value.
  public var keepAliveInterval: Int32 = 0
  /// Probes without an answer until the connection counts as lost; 0 leaves the kernel's value.
  public var keepAliveCount: Int32 = 0
  /// `TCP_USER_TIMEOUT`: how long sent bytes may stay unacknowledged; 0 leaves it to the kernel.
  public var userTimeoutMilliseconds: UInt32 = 0
  /// `SO_MARK`, which lets interception rules tell our own connections. Needs CAP_NET_ADMIN.
  public var mark: UInt32?
  /// `SO_SNDBUF` in bytes (the kernel doubles it); nil leaves the kernel's automatic size.
  public var sendBuffer: Int32?
  /// `SO_RCVBUF` in bytes (the kernel doubles it); nil leaves the kernel's automatic size.
  public var receiveBuffer: Int32?

  /// No delay, nothing else.
  public init() {}

  /// Sets them on a descriptor, which stays open where one of them fails.
  public func apply(to fd: Int32) throws(SystemFailure) {
    if noDelay { try check(.noDelay, clinux_set_no_delay(fd)) }
    if keepAliveIdle > 0 {
      try check(.keepAlive, clinux_set_keep_alive(fd, keepAliveIdle, keepAliveInterval, keepAliveCount))
    }
    if userTimeoutMilliseconds > 0 { try check(.userTimeout, clinux_set_user_timeout(fd, userTimeoutMilliseconds)) }
    if let mark { try check(.mark, clinux_set_mark(fd, mark)) }
    if let sendBuffer { try check(.sendBuffer, clinux_set_send_buffer(fd, sendBuffer)) }
    if let receiveBuffer { try check(.receiveBuffer, clinux_set_receive_buffer(fd, receiveBuffer)) }
  }

  /// Tries them on a socket that is closed again: what the kernel refuses is better known at the start than at the first dial.
  public func tryOut() throws(SystemFailure) {
    let fd = try check(.socket, clinux_tcp_socket())
    defer { _ = clinux_close(fd) }
    try apply(to: fd)
  }
}
