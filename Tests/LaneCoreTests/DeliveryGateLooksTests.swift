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
  /// a second one, from byte 201 to 401. Its header ends at 258. The next query is number 2.
  private static func proved(_ own: Own, reply: Int = 200) -> Gate {
    var gate = Gate()
    _ = gate.accepted(.observed(look(0)), ownCookie: 1)
    gate.read(57)
    gate.requestArrived()
    gate.wrote(200, as: .gated)
    #expect(gate.withheld(own: own, now: 0) == query(0, .counters))
    #expect(answer(&gate, 0, look(0, counted: 200), own, now: 5_000) == query(1, .counters))
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

  private static func query(_ number: UInt64, _ question: Gate.Question) -> Gate.Action {
    .query(Gate.QueryID(number: number), question)
  }

  private static func answer(
    _ gate: inout Gate, _ number: UInt64, _ look: Gate.Observation, took: UInt64 = 5_000, _ own: Own, now: UInt64
  ) -> Gate.Action {
    gate.answer(to: Gate.QueryID(number: number), .observed(look), took: took, own: own, now: now)
  }

  private static func answer(
    _ gate: inout Gate, _ number: UInt64, _ first: Gate.Observation, _ second: Gate.Observation, _ own: Own, now: UInt64
  ) -> Gate.Action {
    gate.answer(to: Gate.QueryID(number: number), .observedTwice(first, second), took: 5_000, own: own, now: now)
  }

  // MARK: The ordinary case

  @Test func aReaderIsServedAfterTwoLooksInOneCallAndTwoQuestionsToOurOwnSocket() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    own.acknowledged = 401
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, .twoLooks))
    #expect(own.asked == ["acknowledged"])
    #expect(Self.answer(&gate, 2, Self.look(100), Self.look(90), own, now: 0) == .release)
    #expect(own.asked == ["acknowledged", "received"])
  }

  @Test func theFirstReplyIsProvedByTheCounters() {
    var gate = Gate()
    let own = Own(acknowledged: 200)
    _ = gate.accepted(.observed(Self.look(0)), ownCookie: 1)
    gate.read(57)
    gate.wrote(200, as: .gated)
    #expect(gate.withheld(own: own, now: 0) == Self.query(0, .counters))
    #expect(Self.answer(&gate, 0, Self.look(200, counted: 200), own, now: 0) == Self.query(1, .counters))
    #expect(Self.answer(&gate, 1, Self.look(100, counted: 200), own, now: 0) == .wake(at: 20_000))
    #expect(gate.timer(own: own, now: 20_000) == Self.query(2, .look))
    #expect(Self.answer(&gate, 2, Self.look(0), own, now: 20_000) == Self.query(3, .counters))
  }

  // MARK: Inside the reply, or not

  /// Acknowledged, in the queue, and what that leads to.
  private static let places: [(UInt64, UInt32, Gate.Action)] = [
    // The header is read to its last byte, or all but that.
    (401, 143, .release), (401, 144, query(3, .look)), (300, 42, .release), (300, 43, query(3, .look)),
    // All is read, or nothing; or the end of the reply before.
    (401, 0, .release), (401, 200, query(3, .look)), (401, 201, query(3, .look)),
    // More in the queue than was acknowledged.
    (201, 150, query(3, .look)), (0, .max, query(3, .look)),
    // The header is acknowledged, and nothing more of what was read; or not all of the header is.
    (258, 0, .release), (257, 0, query(3, .counters)), (200, 0, query(3, .counters)),
  ]

  @Test(arguments: places.indices)
  func aCallerThatHasReadTheHeaderIsInsideTheReply(_ index: Int) {
    let (acknowledged, queue, expected) = Self.places[index]
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    own.acknowledged = acknowledged
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, .twoLooks))
    #expect(Self.answer(&gate, 2, Self.look(queue), Self.look(queue), own, now: 0) == expected)
  }

  @Test func aReplyBeginsBehindWhateverWasHandedOverLast() {
    let own = Own(acknowledged: 200)
    var gate = Gate()
    _ = gate.accepted(.observed(Self.look(0)), ownCookie: 1)
    gate.read(57)
    gate.wrote(200, as: .gated)
    _ = gate.withheld(own: own, now: 0)
    _ = Self.answer(&gate, 0, Self.look(0, counted: 200), own, now: 0)
    #expect(Self.answer(&gate, 1, Self.look(0, counted: 200), own, now: 0) == .release)
    gate.wrote(1, as: .gated)
    gate.tailWritten()
    // An operation with a single reply of 100 bytes, which is read; then the next stream, which is not.
    gate.wrote(100, as: .single)
    gate.singleReplyEnded()
    gate.wrote(200, as: .gated)
    own.acknowledged = 501
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, .twoLooks))
    var unread = gate
    #expect(Self.answer(&unread, 2, Self.look(200), Self.look(200), own, now: 0) == Self.query(3, .look))
    #expect(Self.answer(&gate, 2, Self.look(143), Self.look(143), own, now: 0) == .release)
  }

  @Test func aShortReplyIsBegunWhenAllOfItIsRead() {
    let own = Own(acknowledged: 200)
    // 57 bytes, the last of which is the tail.
    var gate = Self.proved(own, reply: 56)
    own.acknowledged = 257
    _ = gate.withheld(own: own, now: 0)
    var partly = gate
    #expect(Self.answer(&partly, 2, Self.look(1), Self.look(1), own, now: 0) == Self.query(3, .look))
    #expect(Self.answer(&gate, 2, Self.look(0), Self.look(0), own, now: 0) == .release)
  }

  // MARK: Our own socket does not agree

  private static let doubtful: [(UInt64?, UInt64?)] = [(nil, 57), (200, nil), (201, 57), (200, 58), (200, 56)]

  @Test(arguments: doubtful.indices)
  func whereOurNumbersDoNotAgreeWithAProofTheCountersDecide(_ index: Int) {
    let own = Own(acknowledged: Self.doubtful[index].0, received: Self.doubtful[index].1)
    var gate = Self.proved(own)
    (own.acknowledged, own.received) = (401, 57)
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, .counters))
  }

  // MARK: Each proof is waited for

  @Test func anAcknowledgementReadAfterALookNeedsAnotherLook() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, .twoLooks))
    own.acknowledged = 401
    #expect(Self.answer(&gate, 2, Self.look(50), Self.look(50), own, now: 0) == Self.query(3, .look))
    #expect(Self.answer(&gate, 3, Self.look(50), own, now: 0) == Self.query(4, .look))
    #expect(Self.answer(&gate, 4, Self.look(50), own, now: 0) == .release)
  }

  @Test func aLateAcknowledgementIsReplacedByOneQuestionForTheCounters() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    #expect(gate.withheld(own: own, now: 0) == Self.query(2, .twoLooks))
    #expect(Self.answer(&gate, 2, Self.look(0), Self.look(0), own, now: 0) == Self.query(3, .counters))
    // The queue beside the first proof of arrival says nothing.
    #expect(Self.answer(&gate, 3, Self.look(0, counted: 401), own, now: 0) == Self.query(4, .twoLooks))
    #expect(Self.answer(&gate, 4, Self.look(0), Self.look(0), own, now: 0) == .release)
    // The next reply begins with that question, unless it is acknowledged in time.
    gate.wrote(1, as: .gated)
    gate.tailWritten()
    gate.wrote(200, as: .gated)
    var inTime = gate
    #expect(gate.withheld(own: own, now: 0) == Self.query(5, .counters))
    own.acknowledged = 602
    #expect(inTime.withheld(own: own, now: 0) == Self.query(5, .twoLooks))
  }

  @Test func bytesThatWeHaveNotAcknowledgedAreLeftToTheCounters() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    own.acknowledged = 401
    _ = gate.withheld(own: own, now: 0)
    #expect(Self.answer(&gate, 2, Self.look(0), Self.look(0, wqueue: 57), own, now: 0) == Self.query(3, .counters))
    #expect(Self.answer(&gate, 3, Self.look(0, wqueue: 57, counted: 401), own, now: 0) == .release)
  }

  @Test func theFirstOfTwoLooksSaysNothingOfWhatTheCallerHasWritten() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    own.acknowledged = 401
    _ = gate.withheld(own: own, now: 0)
    #expect(Self.answer(&gate, 2, Self.look(0, wqueue: 57), Self.look(0), own, now: 0) == .release)
  }

  @Test func bytesThatWeHaveNotReadAreLeftToTheCounters() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    (own.acknowledged, own.received) = (401, 114)
    _ = gate.withheld(own: own, now: 0)
    #expect(Self.answer(&gate, 2, Self.look(0), Self.look(0), own, now: 0) == Self.query(3, .counters))
    var newer = Self.look(0, counted: 401)
    newer.counters?.bytesAcked = 115
    #expect(Self.answer(&gate, 3, newer, own, now: 0) == .wake(at: 20_000))
    #expect(gate.newerRequest() == .reset(.dirtyReuse))
  }

  @Test func bytesPastOurSendQueueAreFoundByTheCounters() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    var now: UInt64 = 0
    var action = gate.withheld(own: own, now: now)
    var number: UInt64 = 2
    while now < 2_000 * Self.millisecond {
      #expect(action == Self.query(number, .look) || action == Self.query(number, .twoLooks))
      #expect(Self.answer(&gate, number, Self.look(0), own, now: now) == Self.query(number + 1, .counters))
      action = Self.answer(&gate, number + 1, Self.look(0, counted: 201), own, now: now)
      guard case .wake(let at) = action else { break }
      now = at
      number += 2
      action = gate.timer(own: own, now: now)
    }
    #expect(action == .fallBack(.sockmap))
    #expect(now >= 1_000 * Self.millisecond)
  }

  @Test func whileTheCountersAreKeptAwayLooksGoOn() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    _ = gate.withheld(own: own, now: 0)
    _ = Self.answer(&gate, 2, Self.look(0), Self.look(0), own, now: 0)
    // Slow: the next question for counters is 1 s away.
    let answered = 300 * Self.millisecond
    let slow = Self.answer(&gate, 3, Self.look(200, counted: 400), took: answered, own, now: answered)
    #expect(slow == .wake(at: answered + 25 * Self.millisecond))
    #expect(gate.timer(own: own, now: answered + 25 * Self.millisecond) == Self.query(4, .look))
    #expect(Self.answer(&gate, 4, Self.look(0), own, now: answered + 25 * Self.millisecond) == .wake(at: answered + 50 * Self.millisecond))
    own.acknowledged = 401
    #expect(gate.timer(own: own, now: answered + 50 * Self.millisecond) == Self.query(5, .look))
    _ = Self.answer(&gate, 5, Self.look(0), own, now: answered + 50 * Self.millisecond)
    #expect(Self.answer(&gate, 6, Self.look(0), own, now: answered + 50 * Self.millisecond) == .release)
  }

  // MARK: When to look

  @Test func looksThatComeTooSoonFollowEachOtherForAWhileAndThenRest() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own)
    own.acknowledged = 401
    _ = gate.withheld(own: own, now: 0)
    #expect(Self.answer(&gate, 2, Self.look(200), Self.look(200), own, now: 5_000) == Self.query(3, .look))
    #expect(Self.answer(&gate, 3, Self.look(200), own, now: 8_000) == Self.query(4, .look))
    #expect(Self.answer(&gate, 4, Self.look(200), own, now: 11_000) == Self.query(5, .look))
    #expect(Self.answer(&gate, 5, Self.look(200), own, now: 14_000) == .wake(at: 34_000))
    #expect(gate.timer(own: own, now: 34_000) == Self.query(6, .twoLooks))
    #expect(Self.answer(&gate, 6, Self.look(200), Self.look(200), own, now: 400_000) == .wake(at: 500_000))
    // One that is away for long is looked at once at a time.
    #expect(gate.timer(own: own, now: 1_200_000) == Self.query(7, .look))
  }

  @Test func aReplyIsLookedAtWhenTheLastOnesWereBegun() {
    let own = Own(acknowledged: 200)
    var gate = Self.proved(own, reply: 131_128)
    var written: UInt64 = 201 + 131_128
    var number: UInt64 = 2
    var looks = 0
    var releasedAt: UInt64 = 0
    // The caller takes the header after 60 µs and is done with the rest, but for the tail, after 100.
    for _ in 0..<40 {
      own.acknowledged = written
      var now: UInt64 = 0
      looks = 0
      var action = gate.withheld(own: own, now: now)
      while action != .release {
        switch action {
        case .wake(let at):
          now = at
          action = gate.timer(own: own, now: now)
        case .query:
          let queue: UInt32 = now < 60_000 ? 131_128 : now < 100_000 ? 70_000 : 0
          now += 3_000
          action = gate.answer(
            to: Gate.QueryID(number: number), .observedTwice(Self.look(queue), Self.look(queue)), took: 3_000, own: own, now: now)
          number += 1
          looks += 1
        default:
          Issue.record("\(action)")
          return
        }
      }
      releasedAt = now
      gate.wrote(1, as: .gated)
      gate.tailWritten()
      gate.wrote(131_128, as: .gated)
      written += 131_129
    }
    #expect(looks <= 2)
    #expect((60_000...105_000).contains(releasedAt))
  }

  @Test func thePaceFollowsTheReader() {
    var pace = LookPace()
    func begun(at time: UInt64, done: UInt64, rounds: Int) {
      for _ in 0..<rounds {
        let first = pace.firstLook
        pace.begun(after: max(time, first), missed: first < time, starved: first >= done)
      }
    }
    begun(at: 70_000, done: 100_000, rounds: 200)
    #expect((60_000...100_000).contains(pace.firstLook))
    // One that was away for a second leaves no lasting mark.
    pace.begun(after: 1_000_000_000, missed: true, starved: false)
    #expect(pace.firstLook <= 110_000)
    // One that always is meets the bound; and one that waits for us is not kept waiting long.
    for _ in 0..<1_000 { pace.begun(after: .max, missed: true, starved: false) }
    #expect(pace.firstLook <= LookPace.longest)
    begun(at: 0, done: 0, rounds: 20)
    #expect(pace.firstLook == 0)
  }
}
