import Glibc
import LinuxIO
import NetEndpoint
import Synchronization
import Testing

@Suite struct ReactorTests {
  /// Of two descriptors ready in one batch, the handler of the first closes the second and gives its slot to a third.
  @Test func staleEventOfTheSameBatchReachesNobody() throws {
    final class Closer: EventHandler {
      var act: () -> Void = {}
      var calls = 0
      override func ready(_ events: ReadyEvents) {
        calls += 1
        act()
      }
    }
    let reactor = try Reactor()
    let handlers = [Closer(), Closer()]
    let late = Closer()
    var descriptors: [Int32] = []
    var registrations: [Registration] = []
    for handler in handlers {
      let fd = eventDescriptor()
      descriptors.append(fd)
      registrations.append(try reactor.register(fd, .readable, handler))
    }
    let fresh = eventDescriptor(signalled: false)
    var freshRegistration = Registration.none
    func replace(_ other: Int) {
      reactor.deregister(registrations[other], descriptors[other])
      freshRegistration = (try? reactor.register(fresh, .readable, late)) ?? .none
      for handler in handlers { handler.act = {} }
    }
    handlers[0].act = { replace(1) }
    handlers[1].act = { replace(0) }
    try reactor.runOnce(maximumWait: 0)
    #expect(handlers[0].calls + handlers[1].calls == 1)
    #expect(late.calls == 0)
    #expect(freshRegistration != .none && !registrations.contains(freshRegistration))
    for index in 0..<2 { reactor.deregister(registrations[index], descriptors[index]) }
    reactor.deregister(freshRegistration, fresh)
    for fd in descriptors + [fresh] { close(fd) }
    #expect(reactor.registrations == 1)
  }

  private func eventDescriptor(signalled: Bool = true) -> Int32 {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    if signalled { write(ends[1], "x", 1) }
    // The writing end stays open on purpose where nothing was written: its closing would be an event.
    if signalled { close(ends[1]) }
    return ends[0]
  }

  @Test func mailboxRunsMessagesOfOtherThreadsInOrder() throws {
    let reactor = try Reactor()
    let mailbox = reactor.mailbox
    let count = 10_000
    let seen = Seen()
    let thread = Worker {
      for number in 0..<count { while !mailbox.post({ _ in seen.add(number) }) { sched_yield() } }
      mailbox.post { $0.stop() }
    }
    try reactor.run()
    thread.join()
    #expect(seen.numbers == Array(0..<count))
  }

  private final class Seen: @unchecked Sendable {
    private(set) var numbers: [Int] = []
    func add(_ number: Int) { numbers.append(number) }
  }

  @Test func mailboxOfAGoneReactorRefuses() throws {
    var reactor: Reactor? = try Reactor()
    let mailbox = try #require(reactor?.mailbox)
    reactor = nil
    #expect(!mailbox.post { _ in })
  }

  @Test func floodingConnectionStarvesNobody() throws {
    let reactor = try Reactor()
    let flood = try Pair(reactor)
    let quiet = try Pair(reactor)
    let block = [UInt8](repeating: 1, count: 1 << 20)
    flood.connection.onReadable = { connection in
      if case .bytes = connection.read(into: reactor.readBuffer) { connection.reads += 1 }
    }
    for round in 1...200 {
      while flood.raw.write(block) > 0 {}
      quiet.raw.write([UInt8(truncatingIfNeeded: round)])
      let before = flood.connection.reads
      #expect(try turn(reactor) { quiet.connection.received.count == round })
      #expect(flood.connection.reads - before <= 2)
    }
    flood.connection.reset()
    quiet.connection.close()
  }

  @Test func stallsAreCounted() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    let before = reactor.stalls
    pair.connection.onReadable = { connection in
      _ = connection.read(into: reactor.readBuffer)
      let end = Reactor.clock() + 20_000_000
      while Reactor.clock() < end {}
    }
    pair.raw.write([1])
    #expect(try turn(reactor) { pair.connection.bytesRead == 1 })
    let after = reactor.stalls
    #expect(after.total == before.total + 1)
    // 20 ms lies between 2^14 and 2^15 µs.
    #expect(after.count(fromBucket: 15) == before.count(fromBucket: 15) + 1)
    #expect(after.longest >= 20_000_000)
    pair.connection.close()
  }

  @Test func aTimerThatTakesLongIsAStall() throws {
    let reactor = try Reactor()
    let before = reactor.stalls
    var hasFired = false
    let timer = ReactorTimer(reactor) {
      let end = Reactor.clock() + 20_000_000
      while Reactor.clock() < end {}
      hasFired = true
    }
    timer.arm(at: Reactor.clock())
    #expect(try turn(reactor) { hasFired })
    #expect(reactor.stalls.total == before.total + 1)
    #expect(reactor.stalls.longest >= 20_000_000)
  }
}

/// A joinable thread.
final class Worker {
  private var thread = pthread_t()

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  init(_ run: @escaping @Sendable () -> Void) {
    let body = Unmanaged.passRetained(Body(run))
    let status = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    precondition(status == 0)
  }

  func join() { pthread_join(thread, nil) }
}
