import Glibc
import LinuxIO
import LinuxTestSupport
import NetEndpoint
import Synchronization
import TestBytes
import Testing

/// Answers as they arrive.
private final class Answers {
  var all: [DiagnosticsAnswer] = []
  func numbers(_ token: UInt64) -> CallerSocket? {
    guard let answer = all.last(where: { $0.token == token }), case .success(let socket) = answer.result else { return nil }
    return socket
  }
}

/// Counts what another thread did.
private final class Signal: Sendable {
  private let count = Atomic<Int>(0)
  func signal() { count.add(1, ordering: .sequentiallyConsistent) }
  func wait(for number: Int) {
    let end = Reactor.clock() + 10_000_000_000
    while count.load(ordering: .sequentiallyConsistent) < number && Reactor.clock() < end { sched_yield() }
  }
}

@Suite struct DiagnosticsHelperTests {
  @Test func answersComeToTheReactorWithTheirTokens() throws {
    let reactor = try Reactor()
    let answers = Answers()
    let helper = try DiagnosticsHelper(reactor: reactor, capacity: 8) { answers.all.append($0) }
    let pairs = try (0..<3).map { _ in try CallerPair() }
    for (index, pair) in pairs.enumerated() { try pair.push(100 + index, from: pair.accepted) }
    for (index, pair) in pairs.enumerated() { #expect(helper.ask(UInt64(index), pair.tuple, pinned: pair.callerCookie) == .accepted) }
    #expect(answers.all.isEmpty, "never from within ask")
    #expect(try turn(reactor) { answers.all.count == 3 })
    for (index, pair) in pairs.enumerated() {
      let numbers = answers.numbers(UInt64(index))
      #expect(numbers?.counters?.bytesReceived == UInt64(100 + index) && numbers?.cookie == pair.callerCookie)
    }
    #expect(helper.ask(9, pairs[0].tuple, pinned: 1) == .accepted)
    #expect(try turn(reactor) { answers.all.count == 4 })
    #expect(answers.all.last?.result == .failure(.notFound) && helper.outstandingCount == 0)
    #expect(helper.close(timeout: 5_000_000_000))
    #expect(helper.ask(1, pairs[0].tuple) == .closed)
    #expect(reactor.registrations == 1)
  }

  /// A held look-up: one request per token, a bound on all, and nothing is lost.
  @Test func oneRequestPerTokenAndABound() throws {
    let reactor = try Reactor()
    let gate = Lock()
    let answers = Answers()
    let helper = try DiagnosticsHelper(
      reactor: reactor, capacity: 4, answer: { answers.all.append($0) },
      makeLookUp: { { _ in gate.withLock { .failure(.notFound) } } })
    let tuple = SocketTuple(source: loopback, destination: loopback)
    gate.withLock {
      #expect(helper.ask(1, tuple) == .accepted)
      #expect(helper.ask(1, tuple) == .outstanding)
      for token in 2...4 as ClosedRange<UInt64> { #expect(helper.ask(token, tuple) == .accepted) }
      #expect(helper.ask(5, tuple) == .full)
      #expect(helper.ask(4, tuple) == .outstanding)
    }
    #expect(try turn(reactor) { answers.all.count == 4 })
    #expect(answers.all.map(\.token) == [1, 2, 3, 4])
    #expect(helper.ask(1, tuple) == .accepted)
    #expect(try turn(reactor) { answers.all.count == 5 })
    #expect(helper.close(timeout: 5_000_000_000))
  }

  /// A look-up that does not come back costs its own connection only; its answer arrives late, and closing does not wait for it.
  @Test func stuckQueryIsLeftToItsThread() throws {
    let reactor = try Reactor()
    let gate = Lock()
    let answers = Answers()
    let entered = Signal()
    let stuckTuple = SocketTuple(source: loopback, destination: Endpoint(address: 1, port: 1))
    let helper = try DiagnosticsHelper(
      reactor: reactor, capacity: 16, answer: { answers.all.append($0) },
      makeLookUp: {
        { request in
          if request.tuple == stuckTuple {
            entered.signal()
            gate.withLock {}
          }
          return .failure(.notFound)
        }
      })
    let other = SocketTuple(source: loopback, destination: loopback)
    try gate.withLock { () throws(any Error) in
      let begun = Reactor.clock()
      #expect(helper.ask(1, stuckTuple) == .accepted)
      for token in 2...9 as ClosedRange<UInt64> { #expect(helper.ask(token, other) == .accepted) }
      // A busy machine may have taken its time between the first question and the last.
      let asked = Reactor.clock() - begun
      #expect(try turn(reactor) { answers.all.count == 8 })
      #expect(helper.threadsRelieved == 1 && helper.outstandingCount == 1)
      #expect(helper.ask(1, other) == .outstanding)
      #expect(answers.all.allSatisfy { $0.waited + asked >= DiagnosticsHelper.stuckAfter })
    }
    #expect(try turn(reactor) { answers.all.count == 9 })
    #expect(answers.all.last?.token == 1)
    #expect((answers.all.last?.took ?? 0) >= DiagnosticsHelper.stuckAfter)
    gate.withLock {
      #expect(helper.ask(1, stuckTuple) == .accepted)
      entered.wait(for: 2)
      #expect(!helper.close(timeout: 1_000_000), "a thread is still in its query")
    }
    #expect(helper.close(timeout: 5_000_000_000))
    #expect(answers.all.count == 9, "a closed helper says nothing more")
  }

  /// The real thing: the caller's read waits for a page, and so does the kernel's lock of its socket.
  @Test(.enabled(if: HeldPage.refusal == nil, "cannot hold a page: \(HeldPage.refusal ?? "")"))
  func callerStuckInAPageFaultHoldsNobodyElse() throws {
    let page = try HeldPage()
    let reactor = try Reactor()
    let answers = Answers()
    let helper = try DiagnosticsHelper(reactor: reactor, capacity: 16) { answers.all.append($0) }
    let light = try SocketDiagnostics()
    let stuck = try CallerPair()
    let fine = try CallerPair()
    let fd = stuck.caller
    let reader = Background { _ = recv(fd, page.address, 1000, 0) }
    try stuck.push(1000, from: stuck.accepted)
    // From then on the reader holds the socket.
    try #require(page.waitUntilTouched())

    #expect(helper.ask(1, stuck.tuple) == .accepted)
    #expect(helper.ask(2, fine.tuple) == .accepted)
    #expect(try turn(reactor) { answers.numbers(2) != nil })
    #expect(answers.numbers(1) == nil && helper.threadsRelieved == 1)
    // Without INFO there is no lock to wait for.
    let start = Reactor.clock()
    #expect(try light.queues(of: stuck.tuple).rqueue > 0)
    let took = Reactor.clock() - start
    print("light look-up of a socket whose owner is stuck in a page fault: \(took) ns")
    #expect(took < 50_000_000)

    page.letGo()
    reader.join()
    #expect(try turn(reactor) { answers.numbers(1) != nil })
    #expect((answers.all.last?.took ?? 0) >= DiagnosticsHelper.stuckAfter)
    #expect(helper.close(timeout: 5_000_000_000))
  }

  /// 64 connections, always asked for again from within the answer, while the reactor moves bytes on them and looks lightly itself.
  @Test func concurrentLoad() throws {
    let reactor = try Reactor()
    let light = try SocketDiagnostics()
    let pairs = try (0..<64).map { _ in try CallerPair() }
    var written = [UInt64](repeating: 0, count: pairs.count)
    var done = 0
    var took: [UInt64] = []
    var roundTrips: [UInt64] = []
    var asked = [UInt64](repeating: 0, count: pairs.count)
    var again: ((Int) -> Void)?
    let rounds = 20_000
    let helper = try DiagnosticsHelper(reactor: reactor, capacity: pairs.count) { answer in
      let index = Int(answer.token)
      guard case .success(let socket) = answer.result, let counters = socket.counters else {
        Issue.record("\(answer)")
        return
      }
      // Nothing is written between asking and the answer: loopback has delivered, and the count is exact.
      if counters.bytesReceived != written[index] || socket.tuple != pairs[index].tuple { Issue.record("\(socket), \(written[index])") }
      took.append(answer.took)
      roundTrips.append(Reactor.clock() - asked[index])
      done += 1
      if done + pairs.count <= rounds { again?(index) }
    }
    again = { index in
      let pair = pairs[index]
      if send(pair.accepted, "abc", 3, Int32(MSG_DONTWAIT)) == 3 { written[index] += 3 }
      do {
        let seen = try settled({ try light.queues(of: pair.tuple) }) { UInt64($0.rqueue) == written[index] }
        if UInt64(seen.rqueue) != written[index] { Issue.record("\(seen), \(written[index])") }
      } catch { Issue.record("\(error)") }
      asked[index] = Reactor.clock()
      if helper.ask(UInt64(index), pair.tuple, pinned: pair.callerCookie) != .accepted { Issue.record("not accepted") }
    }
    let start = Reactor.clock()
    for index in pairs.indices { again?(index) }
    #expect(try turn(reactor, seconds: 60) { done >= rounds - pairs.count && helper.outstandingCount == 0 })
    let perSecond = UInt64(done) * 1_000_000_000 / (Reactor.clock() - start)
    print(
      "helper under load: \(perSecond) queries a second, median \(median(took)) ns in the kernel, \(median(roundTrips)) ns to the answer")
    again = nil
    #expect(helper.close(timeout: 5_000_000_000))
  }

  /// Requests that come just as the thread goes to sleep: none may be left lying.
  @Test func noWakeUpIsLost() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("noWakeUpIsLost: seed \(seed)")
    var random = SeededGenerator(seed: seed)
    let reactor = try Reactor()
    var answered = 0
    let helper = try DiagnosticsHelper(
      reactor: reactor, capacity: 4, answer: { _ in answered += 1 }, makeLookUp: { { _ in .failure(.notFound) } })
    let tuple = SocketTuple(source: loopback, destination: loopback)
    for round in 1...30_000 {
      // The second request comes at any point of the thread's way from the first one to its sleep.
      #expect(helper.ask(1, tuple) == .accepted)
      let second = Reactor.clock() + UInt64.random(in: 0..<30_000, using: &random)
      while Reactor.clock() < second {}
      #expect(helper.ask(2, tuple) == .accepted)
      let end = Reactor.clock() + 5_000_000_000
      while answered < 2 * round && Reactor.clock() < end { try reactor.runOnce(maximumWait: 0) }
      guard answered == 2 * round else {
        Issue.record("round \(round): a request lies unanswered")
        break
      }
    }
    #expect(helper.close(timeout: 5_000_000_000))
  }

  /// One request at a time: what a wake-up of the other thread and back costs.
  @Test func loneRequestLatency() throws {
    let reactor = try Reactor()
    let pair = try CallerPair()
    var answered = 0
    let helper = try DiagnosticsHelper(reactor: reactor) { _ in answered += 1 }
    var times: [UInt64] = []
    for round in 1...1000 {
      let start = Reactor.clock()
      #expect(helper.ask(1, pair.tuple) == .accepted)
      #expect(try turn(reactor) { answered == round })
      times.append(Reactor.clock() - start)
    }
    print("helper, one request at a time: median \(median(times)) ns from asking to the answer")
    #expect(helper.close(timeout: 5_000_000_000))
  }
}
