import Glibc
import LinuxIO
import NetEndpoint
import Testing

/// What changes the whole process runs in a child of its own.
@Suite struct ProcessTests {
  @Test func listenerSurvivesTheDescriptorLimit() async {
    await #expect(processExitsWith: .success) {
      let reactor = try Reactor()
      var troubles: [ListenerTrouble] = []
      var sockets: [AcceptedSocket] = []
      let listener = try Listener(reactor: reactor, on: loopback, accept: { sockets.append($0) }, trouble: { troubles.append($0) })
      let clients = try (0..<16).map { _ in try RawSocket(connectingTo: listener.endpoint) }
      // Room for about two more descriptors; the test library has threads of its own that may hold or free one.
      let spare = [dup(0), dup(0)]
      for fd in spare { close(fd) }
      let limit = UInt64(max(spare[0], spare[1]) + 1)
      try ProcessControls.setDescriptorLimit(limit)
      #expect(try turn(reactor) { !troubles.isEmpty })
      #expect(sockets.count < clients.count)
      #expect(troubles.first == .descriptorsExhausted(SystemFailure(.accept, EMFILE)), "\(troubles)")
      // The loop sleeps although connections wait.
      let before = Reactor.clock()
      var turns = 0
      while Reactor.clock() - before < 250_000_000 {
        try reactor.runOnce(maximumWait: 50_000_000)
        turns += 1
      }
      #expect(turns < 30, "\(turns)")
      #expect(sockets.count < clients.count)
      try ProcessControls.raiseDescriptorLimit()
      #expect(try turn(reactor) { sockets.count == clients.count })
      // Said once per episode. A descriptor that the test library frees in between may split one episode in two.
      #expect(troubles.count <= 6, "\(troubles)")
      for (index, trouble) in troubles.enumerated() {
        switch trouble {
        case .descriptorsExhausted: #expect(index % 2 == 0, "\(troubles)")
        case .recovered(let pause):
          #expect(index % 2 == 1, "\(troubles)")
          #expect(pause >= Listener.pauseAtLimit && pause < 5_000_000_000, "\(troubles)")
        case .stopped: Issue.record("\(troubles)")
        }
      }
      #expect(troubles.count % 2 == 0, "\(troubles)")
    }
  }

  @Test func markNeedsACapability() async {
    await #expect(processExitsWith: .success) {
      let target = try deadPort()
      if geteuid() == 0 && seteuid(65534) != 0 { exit(2) }
      let reactor = try Reactor()
      var options = SocketOptions()
      options.mark = 0x4C4B
      do throws(SystemFailure) {
        _ = try Recorder(reactor: reactor, connectingTo: target, options: options)
        exit(3)
      } catch {
        exit(
          error == SystemFailure(.mark, EPERM) && error.description.hasSuffix("needs CAP_NET_ADMIN") && reactor.registrations == 1 ? 0 : 4)
      }
    }
  }

  @Test func signalsArriveAsEvents() async {
    await #expect(processExitsWith: .success) {
      let reactor = try Reactor()
      var seen: [Int32] = []
      let watcher = try SignalWatcher(reactor, signals: [SIGTERM, SIGHUP]) { seen.append($0) }
      pthread_kill(pthread_self(), SIGTERM)
      pthread_kill(pthread_self(), SIGHUP)
      guard try turn(reactor, until: { seen.count == 2 }) else { exit(1) }
      watcher.close()
      exit(Set(seen) == [SIGTERM, SIGHUP] && reactor.registrations == 1 ? 0 : 2)
    }
  }

  @Test func residentMemoryIsRead() throws {
    let memory = try #require(ResidentMemory.read())
    #expect(memory.anonymous > 0 && memory.total >= memory.anonymous)
  }
}
