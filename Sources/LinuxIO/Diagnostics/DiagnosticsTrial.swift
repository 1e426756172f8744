internal import CLinux
internal import Glibc
internal import NetEndpoint

extension SocketDiagnostics {
  /// Makes a loopback connection, moves bytes over it and checks that the kernel's numbers about it move as the bytes do; then asks about an
  /// MPTCP socket. Takes a millisecond, at most about two seconds. Never throws: each way to fail is a result.
  public static func selfTest() -> DiagnosticsSelfTest {
    do throws(TrialEnd) {
      let diagnostics = try asTrial(SocketDiagnostics.init)
      let plain = try TrialPair(clinux_tcp_socket())
      defer { plain.close() }
      try plain.checkNumbers(diagnostics)
      return .works(mptcp: try visibilityOfMPTCP(diagnostics))
    } catch {
      return error.result
    }
  }

  private static func visibilityOfMPTCP(_ diagnostics: SocketDiagnostics) throws(TrialEnd) -> DiagnosticsSelfTest.MPTCPVisibility {
    let fd = clinux_mptcp_socket()
    if fd < 0 { return .absent }
    let pair = try TrialPair(fd)
    defer { pair.close() }
    return try asTrial { () throws(DiagnosticsFailure) in try diagnostics.counters(of: pair.tuple) }.hasULP == true ? .shown : .hidden
  }
}

/// What ended the trial early.
private struct TrialEnd: Error {
  let result: DiagnosticsSelfTest

  init(_ result: DiagnosticsSelfTest) { self.result = result }

  init(_ failure: DiagnosticsFailure) {
    switch failure {
    case .notFound: result = .unknownToKernel
    case .refused(let failure): result = .refused(failure)
    case .truncated(let field, let length): result = .kernelTooOld(field: field, length: length)
    case .system(let failure): result = .notTried(failure)
    case .wrongTuple, .malformed: result = .unreadable(failure)
    }
  }
}

private func asTrial<Value>(_ body: () throws(DiagnosticsFailure) -> Value) throws(TrialEnd) -> Value {
  do { return try body() } catch { throw TrialEnd(error) }
}

private func orNotTried(_ call: SystemCall, _ answer: Int) throws(TrialEnd) {
  if answer < 0 { throw TrialEnd(.notTried(SystemFailure(call, Int32(truncatingIfNeeded: -answer)))) }
}

/// Both ends of a loopback connection. `caller` is the end that is looked up.
private struct TrialPair {
  static let patienceMilliseconds: Int32 = 500

  let caller: Int32
  let accepted: Int32
  let tuple: SocketTuple

  /// Connects the socket, which it closes where that fails.
  init(_ caller: Int32) throws(TrialEnd) {
    try orNotTried(.socket, Int(caller))
    let listener = clinux_tcp_socket()
    defer { if listener >= 0 { _ = clinux_close(listener) } }
    do {
      try orNotTried(.socket, Int(listener))
      try orNotTried(.bind, Int(clinux_tcp_bind(listener, 0x7F00_0001, 0)))
      try orNotTried(.listen, Int(clinux_tcp_listen(listener, 1)))
      let destination = Endpoint.local(of: listener)
      let status = clinux_tcp_connect(caller, destination.address, destination.port)
      if status != -EINPROGRESS { try orNotTried(.connect, Int(status)) }
      _ = clinux_wait_readable(listener, TrialPair.patienceMilliseconds)
      var source = Endpoint(address: 0, port: 0)
      let accepted = clinux_tcp_accept(listener, &source.address, &source.port)
      try orNotTried(.accept, Int(accepted))
      self.accepted = accepted
      self.caller = caller
      tuple = SocketTuple(source: source, destination: destination)
    } catch {
      _ = clinux_close(caller)
      throw error
    }
    // For MPTCP the accepting end has it before the connecting one, for which writability tells.
    _ = clinux_wait_writable(caller, TrialPair.patienceMilliseconds)
  }

  func close() {
    _ = clinux_close(accepted)
    _ = clinux_close(caller)
  }

  /// 1,000 bytes in, 400 of them read, 77 out.
  func checkNumbers(_ diagnostics: SocketDiagnostics) throws(TrialEnd) {
    let before = try asTrial { () throws(DiagnosticsFailure) in try diagnostics.counters(of: tuple) }
    let cookie: UInt64
    do { cookie = try socketCookie(caller) } catch { throw TrialEnd(.notTried(error)) }
    try require(.cookie, cookie, before.cookie)
    try require(.state, UInt64(CallerSocket.established), UInt64(before.state))
    try require(.rqueue, 0, UInt64(before.rqueue))
    try require(.bytesReceived, 0, before.counters?.bytesReceived ?? 0)

    try send(1000, from: accepted)
    try settle(diagnostics, .bytesReceived, 1000) { $0.counters?.bytesReceived ?? 0 }
    try settle(diagnostics, .rqueue, 1000) { UInt64($0.rqueue) }
    try receive(400)
    try settle(diagnostics, .rqueue, 600) { UInt64($0.rqueue) }
    try settle(diagnostics, .bytesReceived, 1000) { $0.counters?.bytesReceived ?? 0 }

    try send(77, from: caller)
    try settle(diagnostics, .bytesWritten, 77) {
      guard let counters = $0.counters else { return 0 }
      return counters.bytesSent &- counters.bytesRetrans &+ UInt64(counters.notSent)
    }
    try settle(diagnostics, .bytesAcked, 77) { ($0.counters?.bytesAcked ?? 0) &+ UInt64($0.wqueue) &- 1 }
    try settle(diagnostics, .wqueue, 0) { UInt64($0.wqueue) }
    // Without INFO the same socket, by its cookie.
    let light = try asTrial { () throws(DiagnosticsFailure) in try diagnostics.queues(of: tuple, pinned: cookie) }
    try require(.rqueue, 600, UInt64(light.rqueue))
  }

  private func require(_ number: DiagnosticsSelfTest.CheckedNumber, _ expected: UInt64, _ found: UInt64) throws(TrialEnd) {
    if found != expected { throw TrialEnd(.wrongNumber(number, expected: expected, found: found)) }
  }

  /// Asks until the number is right: loopback delivers at once as a rule, and later on a host that is short of processors.
  private func settle(
    _ diagnostics: SocketDiagnostics, _ number: DiagnosticsSelfTest.CheckedNumber, _ expected: UInt64, _ read: (CallerSocket) -> UInt64
  ) throws(TrialEnd) {
    let end = clinux_monotonic() &+ UInt64(TrialPair.patienceMilliseconds) &* 1_000_000
    while true {
      let found = read(try asTrial { () throws(DiagnosticsFailure) in try diagnostics.counters(of: tuple) })
      if found == expected { return }
      if clinux_monotonic() > end { throw TrialEnd(.wrongNumber(number, expected: expected, found: found)) }
      // poll() on no descriptor: it sleeps a millisecond.
      _ = clinux_wait_readable(-1, 1)
    }
  }

  private func send(_ count: Int, from fd: Int32) throws(TrialEnd) {
    let sent = withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { buffer in
      buffer.initializeMemory(as: UInt8.self, repeating: 0x4C)
      return clinux_send(fd, buffer.baseAddress, count)
    }
    try orNotTried(.send, sent < 0 || sent == count ? sent : -Int(EAGAIN))
  }

  private func receive(_ count: Int) throws(TrialEnd) {
    let received = withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { clinux_receive(caller, $0.baseAddress, count) }
    try orNotTried(.receive, received < 0 || received == count ? received : -Int(EAGAIN))
  }
}
