import Testing

@testable import LaneCore

/// The release by looks alone: which question follows which, and what each proof waits for.
@Suite struct DeliveryGateLooksTests {
  typealias Gate = DeliveryGate

  private static let microsecond: UInt64 = 1_000
  private static let millisecond: UInt64 = 1_000_000

  /// Our own socket; counts what it is asked.
  private final class Own: Gate.OwnSocket {
    var acknowledged: UInt64?
    var received: UInt64?
    var isSending = false
    var asked: [String] = []

    init(acknowledged: UInt64?, received: UInt64? = 57) {
      self.acknowledged = acknowledged
      self.received = received
    }

    var acknowledgedBytes: UInt64? {
      asked.append("acknowledged")
      return acknowledged
    }
    var receivedBytes: UInt64? {
      asked.append("received")
      return received
    }
    var hasUnacknowledgedBytes: Bool {
      asked.append("sending")
      return isSending
    }
  }

  /// A gate whose connection had one reply of 201 bytes proved by the counters at 10 µs, and was handed all but the last byte of
  /// a second one. Its next query is number 2.
  private static func proved(_ own: Own, reply: Int = 200) -> Gate {
    var gate = Gate()
    _ = gate.accepted(.observed(look(0)), ownCookie: 1)
    gate.read(57)
    gate.requestArrived()
    gate.wrote(200, as: .gated)
    #expect(gate.withheld(own: own, now: 0) == query(0, counters: true))
    #expect(answer(&gate, 0, look(0, counted: 200), own, now: 5_000) == query(1, counters: true))
    #expect(answer(&gate, 1, look(0, counted: 200), own, now: 10_000) == .release)
    gate.wrote(1, as: .gated)
    gate.tailWritten()
    gate.wrote(reply, as: .gated)
    own.asked = []
    return gate
  }

  private static func look(_ queue: UInt32, wqueue: UInt32 = 0, counted: UInt64? = nil) -> Gate.Observation {
    Gate.Observation(
      cookie: 77, receiveQueue: queue, sendQueue: wqueue,
      counters: counted.map { Gate.Counters(bytesReceived: $0, bytesSent: 57, bytesAcked: 58 - UInt64(wqueue)) })
  }

  private static func query(_ number: UInt64, counters: Bool) -> Gate.Action {
    .query(Gate.QueryID(number: number), withCounters: counters)
  }

  private static func answer(
    _ gate: inout Gate, _ number: UInt64, _ look: Gate.Observation, took: UInt64 = 5_000, _ own: Own, now: UInt64
  ) -> Gate.Action {
    gate.answer(to: Gate.QueryID(number: number), .observed(look), took: took, own: own, now: now)
  }

  // MARK: The ordinary case

  @Test func aReaderIsServedAfterTwoLooksAndTwoQuestionsToOurOwnSocket() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    own.acknowledged = 401
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, counters: false))
    #expect(own.asked == ["acknowledged"])
    #expect(Self.answer(&gate, 2, Self.look(0), own, now: 0) == Self.query(3, counters: false))
    #expect(own.asked == ["acknowledged"])
    #expect(Self.answer(&gate, 3, Self.look(0), own, now: 0) == .release)
    #expect(own.asked == ["acknowledged", "received"])
  }

  @Test func theFirstReplyIsProvedByTheCounters() {
    var gate = Gate()
    let own = Own(acknowledged: 200)
    _ = gate.accepted(.observed(Self.look(0)), ownCookie: 1)
    gate.read(57)
    gate.wrote(200, as: .gated)
    #expect(gate.withheld(own: own, now: 0) == Self.query(0, counters: true))
    #expect(Self.answer(&gate, 0, Self.look(200, counted: 200), own, now: 0) == Self.query(1, counters: true))
    #expect(Self.answer(&gate, 1, Self.look(200, counted: 200), own, now: 0) == .wake(at: 20_000))
    #expect(gate.timer(own: own, now: 20_000) == Self.query(2, counters: false))
    #expect(Self.answer(&gate, 2, Self.look(0), own, now: 20_000) == Self.query(3, counters: true))
  }

  // MARK: Our own socket does not agree

  private static let doubtful: [(UInt64?, UInt64?)] = [(nil, 57), (200, nil), (201, 57), (200, 58), (200, 56)]

  @Test(arguments: doubtful.indices)
  func whereOurNumbersDoNotAgreeWithAProofTheCountersDecide(_ index: Int) {
    let own = Own(acknowledged: Self.doubtful[index].0, received: Self.doubtful[index].1)
    var gate = Self.proved(own)
    (own.acknowledged, own.received) = (401, 57)
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, counters: true))
  }

  // MARK: Each proof is waited for

  @Test func anAcknowledgementReadAfterALookNeedsAnotherLook() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, counters: false))
    own.acknowledged = 401
    #expect(Self.answer(&gate, 2, Self.look(0), own, now: 0) == Self.query(3, counters: false))
    #expect(Self.answer(&gate, 3, Self.look(0), own, now: 0) == Self.query(4, counters: false))
    #expect(Self.answer(&gate, 4, Self.look(0), own, now: 0) == .release)
  }

  @Test func aLateAcknowledgementIsReplacedByOneQuestionForTheCounters() {
    let own = Own(acknowledged: 201)
    own.acknowledged = 200
    var gate = Self.proved(own)
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, counters: false))
    #expect(Self.answer(&gate, 2, Self.look(0), own, now: 0) == Self.query(3, counters: true))
    // The queue beside the first proof of arrival says nothing.
    #expect(Self.answer(&gate, 3, Self.look(0, counted: 401), own, now: 0) == Self.query(4, counters: false))
    #expect(Self.answer(&gate, 4, Self.look(0), own, now: 0) == Self.query(5, counters: false))
    #expect(Self.answer(&gate, 5, Self.look(0), own, now: 0) == .release)
    // The next reply begins with that question, unless it is acknowledged in time.
    gate.wrote(1, as: .gated)
    gate.tailWritten()
    gate.wrote(200, as: .gated)
    var inTime = gate
    #expect(gate.withheld(own: own, now: 0) == Self.query(6, counters: true))
    own.acknowledged = 602
    #expect(inTime.withheld(own: own, now: 0) == Self.query(6, counters: false))
  }

  @Test func bytesThatWeHaveNotAcknowledgedAreLeftToTheCounters() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    own.acknowledged = 401
    _ = gate.withheld(own: own, now: 0)
    _ = Self.answer(&gate, 2, Self.look(0), own, now: 0)
    #expect(Self.answer(&gate, 3, Self.look(0, wqueue: 57), own, now: 0) == Self.query(4, counters: true))
    #expect(Self.answer(&gate, 4, Self.look(0, wqueue: 57, counted: 401), own, now: 0) == .release)
  }

  @Test func bytesThatWeHaveNotReadAreLeftToTheCounters() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    (own.acknowledged, own.received) = (401, 114)
    _ = gate.withheld(own: own, now: 0)
    _ = Self.answer(&gate, 2, Self.look(0), own, now: 0)
    #expect(Self.answer(&gate, 3, Self.look(0), own, now: 0) == Self.query(4, counters: true))
    var newer = Self.look(0, counted: 401)
    newer.counters?.bytesAcked = 115
    #expect(Self.answer(&gate, 4, newer, own, now: 0) == .wake(at: 20_000))
    #expect(gate.newerRequest() == .reset(.dirtyReuse))
  }

  @Test func bytesPastOurSendQueueAreFoundByTheCounters() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    var now: UInt64 = 0
    #expect(gate.withheld(own: own, now: now) == Self.query(2, counters: false))
    var number: UInt64 = 2
    var action = Gate.Action.none
    while now < 2_000 * Self.millisecond {
      #expect(Self.answer(&gate, number, Self.look(0), own, now: now) == Self.query(number + 1, counters: true))
      action = Self.answer(&gate, number + 1, Self.look(0, counted: 201), own, now: now)
      guard case .wake(let at) = action else { break }
      now = at
      number += 2
      #expect(gate.timer(own: own, now: now) == Self.query(number, counters: false))
    }
    #expect(action == .fallBack(.sockmap))
    #expect(now >= 1_000 * Self.millisecond)
  }

  @Test func whileTheCountersAreKeptAwayLooksGoOn() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    _ = gate.withheld(own: own, now: 0)
    _ = Self.answer(&gate, 2, Self.look(0), own, now: 0)
    // Slow: the next question for counters is 1 s away.
    let answered = 300 * Self.millisecond
    let slow = Self.answer(&gate, 3, Self.look(200, counted: 400), took: answered, own, now: answered)
    #expect(slow == .wake(at: answered + 25 * Self.millisecond))
    #expect(gate.timer(own: own, now: answered + 25 * Self.millisecond) == Self.query(4, counters: false))
    #expect(Self.answer(&gate, 4, Self.look(0), own, now: answered + 25 * Self.millisecond) == .wake(at: answered + 50 * Self.millisecond))
    own.acknowledged = 401
    #expect(gate.timer(own: own, now: answered + 50 * Self.millisecond) == Self.query(5, counters: false))
    _ = Self.answer(&gate, 5, Self.look(0), own, now: answered + 50 * Self.millisecond)
    #expect(Self.answer(&gate, 6, Self.look(0), own, now: answered + 50 * Self.millisecond) == .release)
  }

  // MARK: When to look first

  @Test func aLargeReplyIsLookedAtWhenTheLastOnesWereRead() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own, reply: 131_128)
    var written: UInt64 = 201 + 131_128
    var number: UInt64 = 2
    // At once at first; each is read 60 µs later.
    for round in 0..<20 {
      own.acknowledged = written
      var action = gate.withheld(own: own, now: 0)
      if round < 3 { #expect(action == Self.query(number, counters: false)) }
      if action == Self.query(number, counters: false) {
        #expect(Self.answer(&gate, number, Self.look(9_000), own, now: 0) == .wake(at: 20_000))
        number += 1
      } else {
        guard case .wake(let at) = action, (40_000...60_000).contains(at) else {
          Issue.record("round \(round): \(action)")
          return
        }
      }
      action = gate.timer(own: own, now: 60_000)
      #expect(action == Self.query(number, counters: false))
      _ = Self.answer(&gate, number, Self.look(0), own, now: 60_000)
      #expect(Self.answer(&gate, number + 1, Self.look(0), own, now: 65_000) == .release)
      number += 2
      gate.wrote(1, as: .gated)
      gate.tailWritten()
      gate.wrote(131_128, as: .gated)
      written += 131_129
    }
    #expect(number < 2 + 20 * 3, "the first look was always too early")
  }

  @Test func thePaceFollowsTheReader() {
    var pace = LookPace()
    for _ in 0..<200 { pace.emptied(after: max(70_000, pace.firstLook), missed: pace.firstLook < 70_000) }
    #expect((50_000...80_000).contains(pace.firstLook))
    // One that was away for a second leaves no lasting mark.
    pace.emptied(after: 1_000_000_000, missed: true)
    #expect(pace.firstLook < 100_000)
    // One that always is meets the bound.
    for _ in 0..<100 { pace.emptied(after: .max, missed: true) }
    #expect(pace.firstLook <= LookPace.longest)
    for _ in 0..<100 { pace.emptied(after: pace.firstLook, missed: false) }
    #expect(pace.firstLook == 0)
    // Where most are read at once, none is waited for.
    for round in 0..<200 {
      pace.emptied(after: 60_000, missed: round % 3 == 0)
      #expect(pace.firstLook == 0)
    }
  }
}
