import Glibc
import LaneCore
import LaneTelemetry
import LinuxIO
import NetEndpoint
import Testing

@Suite struct FoldingTests {
  private func dropped(_ peer: UInt32, _ reason: Reason = .stampUnknown, connection: UInt64 = 0) -> LaneEvent {
    var event = LaneEvent(.replyDropped, reason: reason, action: .reset)
    event.peer = Endpoint(address: peer, port: 17310)
    event.operationClass = .read
    event.connection = connection
    return event
  }

  @Test func aStormIsAFewLinesAndAnExactCount() throws {
    let bench = try LogBench(.info)
    let log = bench.log
    let second: UInt64 = 1_000_000_000
    log.tick(now: 100 * second)
    // Ten seconds, two kinds, 10,000 events a second altogether; ticks come ten times as often as asked for.
    var sent: [UInt32: UInt64] = [1: 0, 2: 0]
    for step in 1...100_000 {
      let peer: UInt32 = step % 4 == 0 ? 2 : 1
      sent[peer, default: 0] += 1
      log.record(dropped(peer, connection: UInt64(step)))
      if step % 1000 == 0 { log.tick(now: 100 * second + UInt64(step) * 100_000) }
    }
    // Told after 1, 3 and 7 seconds, and what is left at the end.
    #expect(try bench.lines().count == 2 * (20 + 3))
    log.finish()
    let lines = try bench.lines().map { try StrictJSON.parse($0) }
    #expect(lines.count == 2 * (20 + 4))
    for (peer, count) in sent {
      let own = lines.filter { $0["peer"] == .string("0.0.0.\(peer):17310") }
      let single = own.filter { $0["folded"] == nil }
      let folded = own.compactMap { $0["folded"]?.integer }
      #expect(single.count == 20 && folded.count == 4)
      #expect(UInt64(single.count) + folded.reduce(0, +) == count)
      // The last one is the example.
      #expect(own.last?["connection"]?.integer == (peer == 2 ? 100_000 : 99_999))
    }
    #expect(log.count(.replyDropped) == 100_000)
    #expect(log.count(.replyDropped, .stampUnknown) == 100_000)
    #expect(log.folded == 100_000 - 40)
  }

  /// Ten minutes of three kinds: under 100 lines in the first minute, few in the others, and no event is lost.
  @Test func aLongStormIsUnderAHundredLinesAMinute() throws {
    let bench = try LogBench(.info)
    let second: UInt64 = 1_000_000_000
    var sent: UInt64 = 0
    var linesByMinute: [Int] = []
    var before = 0
    for time in 0..<600 {
      for _ in 0..<500 {
        for reason in [Reason.stampUnknown, .payloadCRC, .offsetMismatch] { bench.log.record(dropped(1, reason)) }
        sent += 3
      }
      bench.log.tick(now: UInt64(time + 1) * second)
      guard time % 60 == 59 else { continue }
      let count = try bench.lines().count
      linesByMinute.append(count - before)
      before = count
    }
    #expect(linesByMinute.max() ?? .max < 100 && linesByMinute.dropFirst(2).allSatisfy { $0 <= 6 }, "\(linesByMinute)")
    bench.log.finish()
    let told = try bench.lines().map { try StrictJSON.parse($0)["folded"]?.integer ?? 1 }
    #expect(told.reduce(0, +) == sent)
  }

  /// The rest of a storm is told at the latest a minute after it; then single events have lines again.
  @Test func aStormThatEndsIsToldOfAndForgotten() throws {
    let bench = try LogBench(.info)
    let second: UInt64 = 1_000_000_000
    var now: UInt64 = 0
    func passes(_ seconds: Int, events: Int) throws -> Int {
      let before = try bench.lines().count
      for _ in 0..<seconds {
        for _ in 0..<events { bench.log.record(dropped(1)) }
        now += second
        bench.log.tick(now: now)
      }
      return try bench.lines().count - before
    }
    #expect(try passes(200, events: 30) == 20 + 8)
    #expect(try passes(60, events: 0) == 1)
    #expect(try passes(60, events: 0) == 0)
    #expect(try passes(3, events: 1) == 3)
    #expect(bench.log.folded == 200 * 30 - 20)
  }

  /// A storm that stops and goes by turns is one storm.
  @Test func pausesDoNotBuyNewLines() throws {
    let bench = try LogBench(.info)
    for time in 0..<120 {
      if time % 2 == 0 { for _ in 0..<100 { bench.log.record(dropped(1)) } }
      bench.log.tick(now: UInt64(time + 1) * 1_000_000_000)
    }
    #expect(try bench.lines().count <= 20 + 7)
  }

  @Test func twentyAreToldOneByOneAndQuietWindowsSayNothing() throws {
    let bench = try LogBench(.info)
    for _ in 0..<20 { bench.log.record(dropped(1)) }
    bench.log.finish()
    #expect(try bench.lines().count == 20)
    // A new window has a burst of its own.
    for _ in 0..<21 { bench.log.record(dropped(1)) }
    bench.log.finish()
    bench.log.finish()
    let lines = try bench.lines()
    #expect(lines.count == 20 + 20 + 1)
    #expect(try StrictJSON.parse(try #require(lines.last))["folded"]?.integer == 1)
  }

  @Test func kindsDifferByEventReasonPeerAndClass() throws {
    let bench = try LogBench(.info)
    var variants = [dropped(1), dropped(2), dropped(1, .payloadCRC)]
    var other = dropped(1)
    other.operationClass = .deletion
    variants.append(other)
    other = dropped(1)
    other.name = .replyObserved
    variants.append(other)
    other = dropped(1)
    other.operation = try LogBench.operation()
    variants.append(other)
    for _ in 0..<20 { for variant in variants { bench.log.record(variant) } }
    #expect(try bench.lines().count == 20 * variants.count)
    #expect(bench.log.folded == 0)
  }

  @Test func moreKindsThanTheTableHoldsShareOne() throws {
    let bench = try LogBench(.info)
    for peer in 0..<10_000 { bench.log.record(dropped(UInt32(peer))) }
    // Kinds that have a place keep it.
    for _ in 0..<5 { bench.log.record(dropped(3)) }
    bench.log.finish()
    let lines = try bench.lines().map { try StrictJSON.parse($0) }
    #expect(lines.count == 256 + 20 + 5 + 1)
    #expect(lines.last?["foldedKey"] == .string("other"))
    #expect(lines.last?["folded"]?.integer == 10_000 - 256 - 20)
    #expect(bench.log.count(.replyDropped) == 10_005)
  }

  @Test func theLastWordsOfTheProcessAreNeverFolded() throws {
    let bench = try LogBench(.info)
    for peer in 0..<10_000 { bench.log.record(dropped(UInt32(peer))) }
    bench.log.record(LaneEvent(.accounting))
    bench.log.record(LaneEvent(.stopped))
    let lines = try bench.lines().suffix(2).map { try StrictJSON.parse($0) }
    #expect(lines.map { $0["event"]?.text } == ["accounting", "process.stopped"])
    #expect(lines.allSatisfy { $0["folded"] == nil })
  }

  @Test func linesThatTheReaderAskedForAreNotFolded() throws {
    let bench = try LogBench(.debug)
    for _ in 0..<1000 { bench.log.record(LaneEvent(.operationFinished)) }
    #expect(try bench.lines().count == 1000)
  }

  @Test func lostLinesAreToldOnceTheLogWorksAgain() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer {
      close(ends[0])
      close(ends[1])
    }
    // 300 bytes of queue take one line of an event; the pipe is full, so nothing leaves it.
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    var filler = [UInt8](repeating: UInt8(ascii: "\n"), count: 1 << 16)
    while write(ends[1], &filler, filler.count) > 0 {}
    let writer = try LogWriter(.descriptor(ends[1]), capacity: 300)
    let log = EventLog(writer: writer, node: "n", process: 0, level: .info, wallClock: { 0 })
    for _ in 0..<20 { log.record(LaneEvent(.peerUp)) }
    #expect(writer.dropped > 0)
    log.tick(now: 1)
    log.tick(now: 2_000_000_000)
    let before = writer.dropped
    // The reader comes back.
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    var text: [UInt8] = []
    func drain() {
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      while true {
        let count = read(ends[0], &buffer, buffer.count)
        if count <= 0 { return }
        text += buffer[..<count].drop { $0 == UInt8(ascii: "\n") }
      }
    }
    drain()
    try #require(writer.flush(timeout: 5_000_000_000))
    log.tick(now: 4_000_000_000)
    try #require(writer.flush(timeout: 5_000_000_000))
    // Told once, not at every tick.
    log.tick(now: 6_000_000_000)
    log.tick(now: 8_000_000_000)
    try #require(writer.flush(timeout: 5_000_000_000))
    drain()
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { try? StrictJSON.parse(String($0)) }
    let lost = lines.filter { $0["event"] == .string("log.lost") }
    #expect(lost.count == 1)
    #expect(lost.first?["dropped"]?.integer == before)
    #expect(lost.first?["failed"]?.integer == 0)
    #expect(lost.first?["severity"] == .string("warning"))
    #expect(writer.dropped == before)
  }
}
