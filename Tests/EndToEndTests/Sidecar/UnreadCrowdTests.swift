import Glibc
import Testing

/// 500 repair streams at once through the delivery gate, a fifth of which nobody reads: what the unread ones cost the others.
@Suite(.serialized, .timeLimit(.minutes(10))) struct UnreadCrowdTests {
  private static let stream = RepairStream(blocks: 8, of: 4096)
  private static let all = 500
  private static let unread = 100
  /// Of one core. The 5% of issue 3 are an optimised build's; a debug build took 8% where this was written.
  private static let mostOfACore = 0.20

  @Test func theUnreadOnesOf500StreamsCostTheOthersLittle() throws {
    // Two, because 500 connections are the most to one.
    let peers = try (0..<2).map { _ in try Self.stream.peer() }
    let sidecar = try Sidecar(peers: peers.map(\.port), .init(sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
    let callers = try (0..<Self.all).map { try StreamSocket(port: sidecar.ports[$0 % 2]) }
    for (number, caller) in callers.enumerated() { caller.send(Self.stream.request(number)) }
    let withheld = Self.stream.replyCount - 1
    #expect(eventually { callers.allSatisfy { $0.readableCount == withheld } }, "not all are gated at once")

    let unread = callers[..<Self.unread]
    #expect(Self.read(callers, from: Self.unread) == 0, "streams that did not end, or with wrong bytes")
    #expect(unread.allSatisfy { $0.readableCount == withheld })

    let share = Self.leastShare(of: sidecar.pid)
    let stalled = try Self.fewestStalls(sidecar)
    print("\(Self.unread) unread streams: \(share * 100)% of a core; turns over 4.096 ms: \(stalled)")
    #expect(share < Self.mostOfACore)
    #expect(stalled == 0)

    #expect(unread.allSatisfy { $0.readableCount == withheld })
    let late = unread.enumerated().filter { !Self.stream.isRead(by: $0.element, Self.stream.request($0.offset)) }
    #expect(late.isEmpty, "\(late.map(\.offset))")
    #expect(sidecar.log("caller.blind").isEmpty)
    let accounting = try sidecar.stop()
    #expect(accounting.started == accounting.delivered && accounting.reset == 0, "\(accounting)")
  }

  /// Reads from that caller on, each thread its share of them in turns, one reply each: all stay in mid-stream to the end.
  /// - Returns: how many did not get their own bytes.
  private static func read(_ callers: [StreamSocket], from first: Int) -> Int {
    let wrong = Shared<Set<Int>>([])
    let threads = 20
    BlockingThread.run(threads) { thread in
      let share = Array(stride(from: first + thread, to: callers.count, by: threads))
      let replies = share.map { stream.replies(to: stream.request($0)) }
      for turn in replies[0].indices {
        for (place, index) in share.enumerated() {
          let right = replies[place][turn]
          if callers[index].receive(right.count).bytes != right { wrong.withLock { _ = $0.insert(index) } }
        }
      }
    }
    return wrong.now.count
  }

  /// The part of a core that the process takes while nothing happens but the looks at the unread ones.
  private static func leastShare(of pid: pid_t) -> Double {
    // What it still had to do for the others falls into the first window only.
    (0..<3).map { _ in
      let (start, before) = (ContinuousClock.now, processorTime(of: pid))
      _ = poll(nil, 0, 1000)
      return Double(processorTime(of: pid) - before) / 1e9 / ((ContinuousClock.now - start) / .seconds(1))
    }.min() ?? 1
  }

  /// Turns of the loop over 4.096 ms, the histogram's bound below 5 ms, while another caller is served. A turn is measured by the
  /// clock, so a busy machine lengthens some; what the streams cause is there every time.
  private static func fewestStalls(_ sidecar: Sidecar) throws -> Int {
    let metrics = try sidecar.metricsPort()
    func turns() throws -> (all: Double, short: Double) {
      let scrape = Scrape(try HTTP.get(metrics, "/metrics").text)
      let name = "lanekeeper_reactor_stall_seconds"
      return (try #require(scrape.sum("\(name)_count")), try #require(scrape.sum("\(name)_bucket", ["le": "0.004096"])))
    }
    let caller = try StreamSocket(port: sidecar.port)
    var fewest = Int.max
    for _ in 0..<20 where fewest > 0 {
      let before = try turns()
      let end = ContinuousClock.now + .milliseconds(200)
      while ContinuousClock.now < end {
        let request = Exemplar.request(0x10, reqID: 1, partition: 7)
        #expect(caller.ask(request) == Exemplar.reply(to: request))
      }
      let after = try turns()
      #expect(after.all - before.all > 20, "the caller was not served")
      fewest = min(fewest, Int((after.all - before.all) - (after.short - before.short)))
    }
    return fewest
  }
}
