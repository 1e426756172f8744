internal import CLinux
internal import Glibc

/// Looks up single TCP sockets of this network namespace, whoever owns them, over one netlink socket (`NETLINK_SOCK_DIAG`).
/// For one thread at a time. The namespace is the one that the creating thread is in.
public final class SocketDiagnostics {
  /// Answers to earlier requests that are passed over before a query gives up. None are left unless a query failed between its two calls.
  static let leftoversMax = 16

  private let fd: Int32
  private let buffer: UnsafeMutableRawBufferPointer
  private var sequence: UInt32 = 0

  /// Opens the netlink socket. `refused` where that is forbidden, else `system`.
  public init() throws(DiagnosticsFailure) {
    let fd = clinux_diag_open()
    if fd < 0 { throw DiagnosticsFailure(SystemFailure(.diagnosticsSocket, -fd)) }
    self.fd = fd
    buffer = .allocate(byteCount: DiagnosticsMessage.answerCapacity, alignment: 8)
  }

  deinit {
    _ = clinux_close(fd)
    buffer.deallocate()
  }

  /// State and queues without `tcp_info`: the kernel takes no lock of the socket, so that it cannot block. It does not tell whether an upper
  /// layer is attached: ask once with `counters` before the queues of a socket are taken for what its application reads.
  ///
  /// `pinned` asks for the socket of this cookie only: `notFound` where the tuple belongs to another one by now.
  public func queues(of tuple: SocketTuple, pinned: UInt64? = nil) throws(DiagnosticsFailure) -> CallerSocket {
    try look(for: tuple, pinned: pinned, counters: false)
  }

  /// All numbers. The kernel takes the socket's lock and blocks this thread while its owner holds that: for seconds, where the owner's read
  /// waits for a page. Not for a reactor's thread.
  public func counters(of tuple: SocketTuple, pinned: UInt64? = nil) throws(DiagnosticsFailure) -> CallerSocket {
    try look(for: tuple, pinned: pinned, counters: true)
  }

  /// As `queues`, twice, for less than two calls of it: the kernel works the messages of one send() off one after the other
  /// (`netlink_rcv_skb`), so that every number of the second answer is of a later instant than any of the first.
  public func queuesTwice(
    of tuple: SocketTuple, pinned: UInt64? = nil
  ) throws(DiagnosticsFailure) -> (first: CallerSocket, second: CallerSocket) {
    let size = DiagnosticsMessage.requestSize
    for place in 0..<2 {
      sequence &+= 1
      let request = UnsafeMutableRawBufferPointer(rebasing: buffer[(place * size)...])
      DiagnosticsMessage.write(tuple, pinned: pinned, counters: false, sequence: sequence, into: request)
    }
    let last = sequence
    try send(2 * size)
    let first = try answer(about: tuple, counters: false, sequence: last &- 1)
    return (first, try answer(about: tuple, counters: false, sequence: last))
  }

  private func look(for tuple: SocketTuple, pinned: UInt64?, counters: Bool) throws(DiagnosticsFailure) -> CallerSocket {
    sequence &+= 1
    DiagnosticsMessage.write(tuple, pinned: pinned, counters: counters, sequence: sequence, into: buffer)
    try send(DiagnosticsMessage.requestSize)
    return try answer(about: tuple, counters: counters, sequence: sequence)
  }

  /// The kernel answers before send() returns (netlink_unicast_kernel): there is nothing to wait for afterwards.
  private func send(_ length: Int) throws(DiagnosticsFailure) {
    let sent = clinux_diag_send(fd, buffer.baseAddress, length)
    if sent < 0 { throw DiagnosticsFailure(SystemFailure(.diagnosticsSend, Int32(truncatingIfNeeded: -sent))) }
  }

  private func answer(about tuple: SocketTuple, counters: Bool, sequence: UInt32) throws(DiagnosticsFailure) -> CallerSocket {
    for _ in 0...SocketDiagnostics.leftoversMax {
      let received = clinux_diag_receive(fd, buffer.baseAddress, buffer.count)
      if received < 0 {
        let errno = Int32(truncatingIfNeeded: -received)
        throw errno == EAGAIN ? .malformed(.absent) : DiagnosticsFailure(SystemFailure(.diagnosticsReceive, errno))
      }
      guard received <= buffer.count else { throw .malformed(.tooLong) }
      let message = UnsafeRawBufferPointer(rebasing: buffer[..<received])
      if let answered = DiagnosticsMessage.sequence(of: message), answered != sequence { continue }
      return try DiagnosticsMessage.parse(message, asked: tuple, counters: counters, sequence: sequence)
    }
    throw .malformed(.sequence)
  }
}
