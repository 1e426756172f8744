import Glibc
import LinuxIO
import LinuxTestSupport
import NetEndpoint
import Testing

/// The kernel's numbers against the bytes that the test itself has written and read.
@Suite struct DiagnosticsTests {
  let diagnostics: SocketDiagnostics

  init() throws { diagnostics = try SocketDiagnostics() }

  @Test func countsFollowTheTraffic() throws {
    let pair = try CallerPair()
    let idle = try diagnostics.counters(of: pair.tuple)
    #expect(idle.tuple == pair.tuple && idle.cookie == pair.callerCookie && idle.isEstablished && !idle.isMapped && idle.hasULP == false)
    #expect(idle.uid == geteuid() && idle.inode != 0)
    #expect(idle.rqueue == 0 && idle.wqueue == 0 && idle.counters?.bytesReceived == 0 && idle.counters?.bytesSent == 0)

    try pair.push(5000, from: pair.accepted)
    var seen = try settled({ try diagnostics.counters(of: pair.tuple) }) { $0.counters?.bytesReceived == 5000 }
    #expect(seen.counters?.bytesReceived == 5000)
    #expect(try diagnostics.queues(of: pair.tuple).rqueue == 5000)
    try pair.pull(1234, at: pair.caller)
    seen = try diagnostics.counters(of: pair.tuple)
    #expect(seen.rqueue == 5000 - 1234 && seen.counters?.bytesReceived == 5000)
    try pair.pull(5000 - 1234, at: pair.caller)
    #expect(try diagnostics.queues(of: pair.tuple).rqueue == 0)

    try pair.push(321, from: pair.caller)
    seen = try settled({ try diagnostics.counters(of: pair.tuple) }) { $0.wqueue == 0 }
    let counters = try #require(seen.counters)
    #expect(counters.bytesSent - counters.bytesRetrans + UInt64(counters.notSent) == 321)
    #expect(counters.bytesAcked + UInt64(seen.wqueue) - 1 == 321)
  }

  @Test func twoLooksOfOneCallSeeOneSocketAndLeaveNothingBehind() throws {
    let pair = try CallerPair()
    let other = try CallerPair()
    try pair.push(5000, from: pair.accepted)
    _ = try settled({ try diagnostics.queues(of: pair.tuple) }) { $0.rqueue == 5000 }
    let looks = try diagnostics.queuesTwice(of: pair.tuple, pinned: pair.callerCookie)
    #expect(looks.first == looks.second && looks.first.rqueue == 5000 && looks.first.counters == nil && looks.first.hasULP == nil)
    // A look that fails leaves the second answer in the queue: it is taken for nobody else's.
    let wrong = failure { () throws(DiagnosticsFailure) in
      try diagnostics.queuesTwice(of: pair.tuple, pinned: other.callerCookie).first
    }
    #expect(wrong == .notFound)
    for _ in 0..<40 { _ = try? diagnostics.queuesTwice(of: pair.tuple, pinned: other.callerCookie) }
    let seen = try diagnostics.queuesTwice(of: other.tuple)
    #expect(seen.first.cookie == other.callerCookie && seen.second.cookie == other.callerCookie && seen.second.rqueue == 0)
  }

  /// The second look sees what happened between the two: a reader that never rests is seen ahead, and never behind.
  @Test func theSecondLookIsNeverOfAnEarlierInstant() throws {
    let pair = try CallerPair()
    try pair.push(100_000, from: pair.accepted)
    _ = try settled({ try diagnostics.queues(of: pair.tuple) }) { $0.rqueue == 100_000 }
    let reader = Background { for _ in 0..<1000 { try? pair.pull(100, at: pair.caller) } }
    var moved = 0
    var looks = 0
    while true {
      let (first, second) = try diagnostics.queuesTwice(of: pair.tuple)
      #expect(second.rqueue <= first.rqueue)
      if second.rqueue < first.rqueue { moved += 1 }
      looks += 1
      if second.rqueue == 0 { break }
    }
    reader.join()
    print("two looks of one call: \(moved) of \(looks) saw the reader between them")
  }

  /// A receiver that takes nothing: what does not fit stays on the caller's side, and all three ways to count it agree.
  @Test func unsentBytesAreCounted() throws {
    let pair = try CallerPair()
    _ = fcntl(pair.caller, F_SETFL, O_NONBLOCK)
    let block = [UInt8](repeating: 7, count: 65_536)
    var written = 0
    while true {
      let count = send(pair.caller, block, block.count, Int32(MSG_NOSIGNAL))
      if count < 0 { break }
      written += count
    }
    let seen = try settled({ try diagnostics.counters(of: pair.tuple) }) {
      guard let counters = $0.counters else { return false }
      return counters.notSent > 0 && counters.bytesAcked + UInt64($0.wqueue) - 1 == UInt64(written)
    }
    let counters = try #require(seen.counters)
    #expect(counters.notSent > 0 && seen.wqueue >= counters.notSent)
    #expect(counters.bytesAcked + UInt64(seen.wqueue) - 1 == UInt64(written))
    #expect(counters.bytesSent - counters.bytesRetrans + UInt64(counters.notSent) == UInt64(written))
  }

  @Test func ourFINCountsAsOneByte() throws {
    let pair = try CallerPair()
    try pair.push(10, from: pair.accepted)
    shutdown(pair.accepted, Int32(SHUT_WR))
    let seen = try settled({ try diagnostics.counters(of: pair.tuple) }) { !$0.isEstablished }
    #expect(seen.state == 8, "CLOSE_WAIT")
    #expect(seen.counters?.bytesReceived == 11 && seen.rqueue == 11)
  }

  @Test func mappedCallerIsFoundByItsIPv4Tuple() throws {
    let pair = try CallerPair(mapped: true)
    try pair.push(99, from: pair.accepted)
    let seen = try settled({ try diagnostics.counters(of: pair.tuple, pinned: pair.callerCookie) }) { $0.rqueue == 99 }
    #expect(seen.isMapped && seen.tuple == pair.tuple && seen.cookie == pair.callerCookie)
    #expect(seen.rqueue == 99 && seen.counters?.bytesReceived == 99)
  }

  @Test func nobodyIsNotFoundAndAListenerIsNotACaller() throws {
    let pair = try CallerPair()
    var other = pair.tuple
    other.source.port = other.source.port == 1 ? 2 : 1
    #expect(failure { () throws(DiagnosticsFailure) in try diagnostics.queues(of: other) } == .notFound)
    #expect(failure { () throws(DiagnosticsFailure) in try diagnostics.counters(of: other) } == .notFound)

    // The kernel falls back to a listener on the source address.
    let listener = try CallerPair.listen()
    defer { close(listener) }
    let listening = SocketTuple(source: CallerPair.name(of: listener), destination: pair.tuple.destination)
    guard case .wrongTuple(let found, let state)? = failure({ () throws(DiagnosticsFailure) in try diagnostics.queues(of: listening) })
    else {
      Issue.record("a listener passed for a caller")
      return
    }
    #expect(found.destination.port == 0 && state == 10)
    pair.close()
  }

  /// The same tuple by another socket: without the cookie it is found, with the old one it is not.
  @Test func cookieOutlivesThePort() throws {
    let listener = try CallerPair.listen()
    defer { close(listener) }
    // An address that no other connection of this host has: the kernel gives one port to several connections at a time.
    let address = 0x7F09_0000 | UInt32(getpid()) & 0xFFFF
    let first = try CallerPair(source: Endpoint(address: address, port: 0), listener: listener)
    let pinned = first.callerCookie
    #expect(try diagnostics.queues(of: first.tuple, pinned: pinned).cookie == pinned)
    first.resetCaller()
    let second = try CallerPair(source: first.tuple.source, listener: listener)
    #expect(second.tuple == first.tuple)
    #expect(try diagnostics.queues(of: first.tuple).cookie == second.callerCookie)
    #expect(second.callerCookie != pinned)
    #expect(failure { () throws(DiagnosticsFailure) in try diagnostics.queues(of: first.tuple, pinned: pinned) } == .notFound)
    #expect(failure { () throws(DiagnosticsFailure) in try diagnostics.counters(of: first.tuple, pinned: pinned) } == .notFound)
  }

  /// A child has the caller's socket, under another user where the test may change it.
  @Test func anotherProcessesSocketIsSeen() throws {
    let pair = try CallerPair()
    var pipes: [Int32] = [0, 0]
    try #require(pipe(&pipes) == 0)
    defer { for fd in pipes { close(fd) } }
    // The child inherits the caller's descriptor as its standard output and lives until its standard input ends.
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, pipes[0], 0)
    posix_spawn_file_actions_adddup2(&actions, pair.caller, 1)
    for fd in pipes { posix_spawn_file_actions_addclose(&actions, fd) }
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("cat"), nil]
    defer { free(arguments[0]) }
    var child = pid_t()
    try #require(posix_spawnp(&child, "cat", &actions, nil, &arguments, environ) == 0)
    pair.closeCaller()
    try pair.push(40, from: pair.accepted)
    let seen = try settled({ try diagnostics.counters(of: pair.tuple) }) { $0.rqueue == 40 }
    #expect(seen.rqueue == 40 && seen.isEstablished && seen.inode != 0)
    // What the child writes is its own traffic.
    try #require(write(pipes[1], "hello", 5) == 5)
    try pair.pull(5, at: pair.accepted)
    #expect(try settled({ try diagnostics.counters(of: pair.tuple) }) { $0.counters?.bytesSent == 5 }.counters?.bytesSent == 5)
    kill(child, SIGKILL)
    waitpid(child, nil, 0)
  }

  @Test func anotherNamespaceIsNotFound() throws {
    guard geteuid() == 0 else {
      print("anotherNamespaceIsNotFound: needs root, nothing tested")
      return
    }
    let outside = try onOwnThread { () throws -> Bool in
      let home = try SocketDiagnostics()
      try #require(Variadic.syscall(272, 0x4000_0000) == 0, "unshare(CLONE_NEWNET) errno \(errno)")
      // lo up: SIOCSIFFLAGS with IFF_UP.
      var request = [UInt8](repeating: 0, count: 40)
      request.replaceSubrange(0..<2, with: Array("lo".utf8))
      request[16] = 1
      let fd = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
      try #require(request.withUnsafeMutableBytes { Variadic.ioctl(fd, 0x8914, $0.baseAddress!) } == 0)
      close(fd)
      let pair = try CallerPair()
      let inside = try SocketDiagnostics()
      #expect(try inside.queues(of: pair.tuple).cookie == pair.callerCookie)
      return failure { () throws(DiagnosticsFailure) in try home.queues(of: pair.tuple) } == .notFound
    }
    #expect(outside)
  }

  @Test func mptcpShowsItsUpperLayer() throws {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 262)
    guard probe >= 0 else {
      print("mptcpShowsItsUpperLayer: no MPTCP in this kernel (errno \(errno)), nothing tested")
      #expect(SocketDiagnostics.selfTest() == .works(mptcp: .absent))
      return
    }
    close(probe)
    let pair = try CallerPair(protocolNumber: 262)
    #expect(try diagnostics.counters(of: pair.tuple).hasULP == true)
    #expect(try diagnostics.queues(of: pair.tuple).hasULP == nil, "what was not told is not a no")
    #expect(SocketDiagnostics.selfTest() == .works(mptcp: .shown))
  }

  @Test func selfTestWorksHere() {
    let result = SocketDiagnostics.selfTest()
    #expect(result.isUsable, "\(result)")
    #expect("\(result)".hasPrefix("socket diagnostics work"))
  }

  @Test func selfTestNeedsNoPrivilege() async {
    await #expect(processExitsWith: .success) {
      if geteuid() == 0 && seteuid(65534) != 0 { exit(2) }
      let result = SocketDiagnostics.selfTest()
      print("without privileges: \(result)")
      exit(result.isUsable ? 0 : 3)
    }
  }

  /// What a process that may open no descriptor is told: the failure, not a verdict on the kernel.
  @Test func selfTestTellsWhatItCouldNotTry() async {
    await #expect(processExitsWith: .success) {
      try ProcessControls.setDescriptorLimit(3)
      exit(SocketDiagnostics.selfTest() == .notTried(SystemFailure(.diagnosticsSocket, EMFILE)) ? 0 : 3)
    }
  }

  /// One exact look-up does not walk the table: 2,000 more sockets do not make it slower.
  @Test func latencyIsFlat() throws {
    func latencies(_ pair: CallerPair, info: Bool) throws -> UInt64 {
      var times: [UInt64] = []
      for _ in 0..<2000 {
        let start = Reactor.clock()
        _ = info ? try diagnostics.counters(of: pair.tuple) : try diagnostics.queues(of: pair.tuple)
        times.append(Reactor.clock() - start)
      }
      return median(times)
    }
    let pair = try CallerPair()
    let before = (try latencies(pair, info: false), try latencies(pair, info: true))
    try ProcessControls.raiseDescriptorLimit()
    let listener = try CallerPair.listen()
    defer { close(listener) }
    let crowd = try (0..<1000).map { _ in try CallerPair(listener: listener) }
    let after = (try latencies(pair, info: false), try latencies(pair, info: true))
    print("look-up, median ns: light \(before.0), with INFO \(before.1); among 2,000 sockets: light \(after.0), with INFO \(after.1)")
    #expect(after.0 < 4 * before.0 + 20_000 && after.1 < 4 * before.1 + 20_000)
    #expect(crowd.count == 1000)
  }

  @Test func acceptedSocketTellsTheCallersTuple() throws {
    let reactor = try Reactor()
    var accepted: AcceptedSocket?
    let listener = try Listener(reactor: reactor, on: loopback, accept: { accepted = $0 })
    let raw = try RawSocket(connectingTo: listener.endpoint)
    #expect(try turn(reactor) { accepted != nil })
    let socket = try #require(accepted)
    let expected = SocketTuple(source: CallerPair.name(of: raw.fd), destination: listener.endpoint)
    #expect(socket.callerTuple == expected)
    let caller = try diagnostics.queues(of: socket.callerTuple)
    #expect(try caller.cookie != socket.cookie())
    let connection = try Recorder(reactor: reactor, accepted: socket, options: SocketOptions())
    #expect(try connection.cookie() == socket.cookie())
    // The tuple turned around is our own end, which its cookie gives away.
    let own = try diagnostics.queues(of: SocketTuple(source: expected.destination, destination: expected.source))
    #expect(try own.cookie == connection.cookie())
    connection.close()
    listener.close()
    #expect(throws: SystemFailure(.cookie, EBADF)) { _ = try connection.cookie() }
  }
}
