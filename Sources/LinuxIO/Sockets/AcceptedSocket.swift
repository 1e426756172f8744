internal import CLinux
public import NetEndpoint

/// A connection fresh from the listener. Whoever receives it makes a `Connection` of it, or closes it.
public struct AcceptedSocket: Sendable {
  /// The descriptor, non-blocking and close-on-exec.
  public let fd: Int32
  /// The address of the one who connected.
  public let remote: Endpoint

  /// Takes over a connected, non-blocking descriptor.
  public init(fd: Int32, remote: Endpoint) {
    self.fd = fd
    self.remote = remote
  }

  /// Our own end; 0.0.0.0:0 where the kernel has none.
  public var local: Endpoint { Endpoint.local(of: fd) }

  /// Where the peer meant to connect before a netfilter rule sent it here (`SO_ORIGINAL_DST`). Throws where there was no redirect.
  public func originalDestination() throws(SystemFailure) -> Endpoint {
    var address: UInt32 = 0
    var port: UInt16 = 0
    try check(.originalDestination, clinux_tcp_original_destination(fd, &address, &port))
    return Endpoint(address: address, port: port)
  }

  /// Closes it with FIN (RST where unread bytes wait: that is the kernel's rule).
  public func close() { _ = clinux_close(fd) }

  /// Closes it with RST.
  public func reset() {
    _ = clinux_set_linger_reset(fd)
    _ = clinux_close(fd)
  }
}

extension Endpoint {
  static func local(of fd: Int32) -> Endpoint {
    var address: UInt32 = 0
    var port: UInt16 = 0
    guard fd >= 0, clinux_tcp_local(fd, &address, &port) == 0 else { return Endpoint(address: 0, port: 0) }
    return Endpoint(address: address, port: port)
  }
}
