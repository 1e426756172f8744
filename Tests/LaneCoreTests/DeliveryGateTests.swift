import Testing

@testable import LaneCore

/// The delivery gate, one call at a time: what it does in each situation is written out here, not derived.
@Suite struct DeliveryGateTests {
  typealias Gate = DeliveryGate

  private static let microsecond: UInt64 = 1_000
  private static let millisecond: UInt64 = 1_000_000
  private static let second: UInt64 = 1_000_000_000
  private static let cookie: UInt64 = 77

  /// A gate whose caller sent a request of 57 bytes and was handed 200 bytes of its reply.
  private static func watched(_ limits: GateLimits = GateLimits()) -> Gate {
    var gate = Gate(limits: limits)
    #expect(gate.accepted(.observed(look(queue: 0)), ownCookie: 1) == .none)
    gate.read(57)
    gate.requestArrived()
    gate.wrote(200, as: .gated)
    return gate
  }

  private static func look(
    queue: UInt32, wqueue: UInt32 = 0, received: UInt64? = nil, sent: UInt64 = 57, retransmitted: UInt64 = 0, acked: UInt64 = 58,
    notSent: UInt32 = 0
  ) -> Gate.Observation {
    Gate.Observation(
      cookie: cookie, receiveQueue: queue, sendQueue: wqueue,
      counters: received.map {
        Gate.Counters(bytesReceived: $0, bytesSent: sent, bytesRetransmitted: retransmitted, bytesAcked: acked, notSent: notSent)
      })
  }

  private static func query(_ number: UInt64, _ question: Gate.Question) -> Gate.Action {
    .query(Gate.QueryID(number: number), question)
  }

  private static func answer(
    _ gate: inout Gate, _ number: UInt64, _ answer: Gate.Answer, took: UInt64 = 5_000, unacknowledged: Bool = false, now: UInt64
  ) -> Gate.Action {
    gate.answer(to: Gate.QueryID(number: number), answer, took: took, own: Waiting(hasUnacknowledgedBytes: unacknowledged), now: now)
  }

  /// A socket that tells of its send queue only.
  private struct Waiting: Gate.OwnSocket {
    let hasUnacknowledgedBytes: Bool
    var acknowledgedBytes: UInt64? { nil }
    var receivedBytes: UInt64? { nil }
  }

  // MARK: The ordinary case

  @Test func aReaderIsServedAfterTwoQueries() {
    var gate = Self.watched()
    #expect(gate.withheld(now: 0) == Self.query(0, .counters))
    #expect(gate.isWaiting)
    // Q1: arrived, and partly read.
    #expect(Self.answer(&gate, 0, .observed(Self.look(queue: 143, received: 200)), now: 5_000) == Self.query(1, .counters))
    // Q2: all read; nothing written but the request.
    #expect(Self.answer(&gate, 1, .observed(Self.look(queue: 0, received: 200)), now: 10_000) == .release)
    #expect(!gate.isWaiting)
    gate.wrote(1, as: .gated)
    gate.tailWritten()
    #expect(gate.handedOver.mayCancel)
    // The next reply's W is 401.
    gate.wrote(200, as: .gated)
    #expect(gate.withheld(now: 20_000) == Self.query(2, .counters))
    #expect(Self.answer(&gate, 2, .observed(Self.look(queue: 200, received: 401)), now: 25_000) == Self.query(3, .counters))
    #expect(Self.answer(&gate, 3, .observed(Self.look(queue: 0, received: 401)), now: 30_000) == .release)
  }

  @Test func oneAnswerIsNeverEnough() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    #expect(Self.answer(&gate, 0, .observed(Self.look(queue: 0, received: 200)), now: 5_000) == Self.query(1, .counters))
    #expect(gate.isWaiting)
  }

  @Test func anUnreadReplyIsLookedAtWithoutCountersInGrowingSteps() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    _ = Self.answer(&gate, 0, .observed(Self.look(queue: 200, received: 200)), now: 5_000)
    #expect(Self.answer(&gate, 1, .observed(Self.look(queue: 200, received: 200)), now: 10_000) == .wake(at: 30_000))
    // Too early, then in time.
    #expect(gate.timer(now: 29_999) == .wake(at: 30_000))
    #expect(gate.timer(now: 30_000) == Self.query(2, .look))
    // A quarter of what has passed, between 20 µs and 25 ms.
    var number: UInt64 = 2
    for (now, step) in [
      (60 * Self.microsecond, 20 * Self.microsecond), (400 * Self.microsecond, 100 * Self.microsecond),
      (80 * Self.millisecond, 20 * Self.millisecond), (200 * Self.millisecond, 25 * Self.millisecond),
      (30 * Self.second, 25 * Self.millisecond),
    ] {
      #expect(Self.answer(&gate, number, .observed(Self.look(queue: 200)), now: now) == .wake(at: now + step))
      number += 1
      #expect(gate.timer(now: now + step) == Self.query(number, .look))
    }
    // Empty at last: now the counters, and B alone does, since the queue was seen empty by an earlier query.
    let now = 31 * Self.second
    #expect(Self.answer(&gate, number, .observed(Self.look(queue: 0)), now: now) == Self.query(number + 1, .counters))
    #expect(Self.answer(&gate, number + 1, .observed(Self.look(queue: 0, received: 200, sent: 114)), now: now) == .release)
  }

  @Test func bytesOnTheirWayAreWaitedFor() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    #expect(Self.answer(&gate, 0, .observed(Self.look(queue: 0, received: 199)), now: 5_000) == .wake(at: 25_000))
    #expect(gate.timer(now: 25_000) == Self.query(1, .look))
    #expect(Self.answer(&gate, 1, .observed(Self.look(queue: 0)), now: 26_000) == Self.query(2, .counters))
    // This is the first proof of arrival; the empty queue beside it and before it proves nothing.
    #expect(Self.answer(&gate, 2, .observed(Self.look(queue: 0, received: 200)), now: 31_000) == Self.query(3, .counters))
    #expect(Self.answer(&gate, 3, .observed(Self.look(queue: 0, received: 200)), now: 36_000) == .release)
  }

  // MARK: Counters

  /// What Q2 leads to.
  private static let countersOfQ2: [(Gate.Observation, Gate.Action)] = [
    (look(queue: 0, received: 200), .release),
    // On its way in every form: not sent, sent, retransmitted.
    (look(queue: 0, wqueue: 57, received: 200, notSent: 57), .wake(at: 30_000)),
    (look(queue: 0, wqueue: 57, received: 200, sent: 114), .wake(at: 30_000)),
    (look(queue: 0, wqueue: 57, received: 200, sent: 171, retransmitted: 57), .wake(at: 30_000)),
    // The request itself is not acknowledged yet: B counts it all the same.
    (look(queue: 0, wqueue: 57, received: 200, acked: 1), .release),
    // A request that only A shows, or that A counts twice: Q3 decides.
    (look(queue: 0, received: 200, sent: 114), query(2, .counters)),
    // A falls short, or may.
    (look(queue: 0, received: 200, sent: 57, retransmitted: 57), query(2, .counters)),
    (look(queue: 0, received: 200, sent: 114, retransmitted: 57), query(2, .counters)),
    // B falls short: another socket, or not the kernel we know.
    (look(queue: 0, received: 200, acked: 57), .wake(at: 30_000)), (look(queue: 0, received: 200, acked: 0), .wake(at: 30_000)),
    // One byte is not read.
    (look(queue: 1, received: 200), .wake(at: 30_000)),
    // A FIN of ours counts as one byte in both.
    (look(queue: 1, received: 201), .wake(at: 30_000)), (look(queue: 0, received: 201), .wake(at: 30_000)),
    // Numbers that no kernel has do not trap.
    (look(queue: 0, wqueue: .max, received: 200, sent: 0, retransmitted: .max, acked: .max, notSent: .max), .wake(at: 30_000)),
  ]

  @Test(arguments: countersOfQ2.indices)
  func countersDecideWhetherARequestIsOnItsWay(_ index: Int) {
    let (second, expected) = Self.countersOfQ2[index]
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    _ = Self.answer(&gate, 0, .observed(Self.look(queue: 200, received: 200)), now: 5_000)
    #expect(Self.answer(&gate, 1, .observed(second), now: 10_000) == expected)
  }

  @Test func whereSentBytesHaveDriftedAThirdQueryDecides() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    _ = Self.answer(&gate, 0, .observed(Self.look(queue: 200, received: 200)), now: 0)
    #expect(Self.answer(&gate, 1, .observed(Self.look(queue: 0, received: 200, sent: 114)), now: 0) == Self.query(2, .counters))
    // A request was on its way after all.
    #expect(Self.answer(&gate, 2, .observed(Self.look(queue: 0, wqueue: 57, received: 200, sent: 114)), now: 0) == .wake(at: 20_000))
    #expect(gate.isWaiting)
  }

  // MARK: Answers that are no evidence

  private static let foreign: [(String, Gate.Answer)] = {
    var cookie = look(queue: 0, received: 200)
    var tuple = cookie
    var state = cookie
    cookie.cookie = 78
    tuple.tupleMatches = false
    state.isEstablished = false
    return [("cookie", .observed(cookie)), ("tuple", .observed(tuple)), ("state", .observed(state)), ("gone", .notFound)]
  }()

  @Test(arguments: foreign.indices)
  func anotherSocketsAnswerOnlyWithholds(_ index: Int) {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    for number in 0..<UInt64(100) {
      let now = number * 25 * Self.millisecond
      #expect(Self.answer(&gate, number, Self.foreign[index].1, now: now) == .wake(at: now + 25 * Self.millisecond))
      #expect(gate.timer(now: now + 25 * Self.millisecond) == Self.query(number + 1, .look))
    }
    #expect(gate.isWaiting)
  }

  @Test func anAnswerToAnotherQueryIsIgnored() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    #expect(Self.answer(&gate, 1, .observed(Self.look(queue: 0, received: 200)), now: 0) == .none)
    _ = Self.answer(&gate, 0, .observed(Self.look(queue: 0, received: 200)), now: 0)
    #expect(Self.answer(&gate, 0, .observed(Self.look(queue: 0, received: 200)), now: 0) == .none)
    #expect(gate.isWaiting)
  }

  // MARK: Callers that cannot be watched

  @Test func aCallerThatIsNotFoundIsToldOnceAndServed() {
    let own = Gate.Observation(cookie: 5, receiveQueue: 0)
    var upper = own
    upper.hasULP = true
    var other = own
    other.tupleMatches = false
    for (answer, reason) in [
      (Gate.Answer.notFound, Gate.Blindness.notFound), (.failed, .queryFailed), (.observed(own), .ownSocket), (.observed(other), .notFound),
    ] {
      var gate = Gate()
      #expect(gate.accepted(answer, ownCookie: 5) == .fallBack(reason))
      #expect(!gate.gatesReply(0))
      #expect(gate.withheld(now: 0) == .release)
    }
    var gate = Gate()
    #expect(gate.accepted(.observed(upper), ownCookie: 6) == .fallBack(.upperLayer))
    gate = Gate()
    #expect(gate.unsupported() == .fallBack(.unsupported))
    #expect(gate.accepted(.notFound, ownCookie: 5) == .none)
    // What such a caller was handed is never proved consumed.
    gate.wrote(100, as: .gated)
    gate.tailWritten()
    gate.requestArrived()
    #expect(gate.newerRequest() == .reset(.dirtyReuse))
  }

  @Test func anUpperLayerOrAShortAnswerEndsTheWait() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    var look = Self.look(queue: 0, received: 200)
    look.hasULP = true
    #expect(Self.answer(&gate, 0, .observed(look), now: 0) == .fallBack(.upperLayer))
    gate = Self.watched()
    _ = gate.withheld(now: 0)
    #expect(Self.answer(&gate, 0, .observed(Self.look(queue: 0)), now: 0) == .fallBack(.shortInfo))
    #expect(gate.newerRequest() == .reset(.dirtyReuse))
  }

  @Test func acknowledgedBytesThatAreNotCountedForASecondTookAnotherWay() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    var number: UInt64 = 0
    func miss(_ gate: inout Gate, _ unacknowledged: Bool, _ now: UInt64) -> Gate.Action {
      let action = Self.answer(
        &gate, number, .observed(Self.look(queue: 0, received: 0)), unacknowledged: unacknowledged, now: now)
      guard case .wake(let at) = action else { return action }
      _ = gate.timer(now: at)
      _ = Self.answer(&gate, number + 1, .observed(Self.look(queue: 0)), now: at)
      number += 2
      return action
    }
    // Not acknowledged: however long.
    #expect(miss(&gate, true, 5 * Self.second) == .wake(at: 5 * Self.second + 25 * Self.millisecond))
    #expect(miss(&gate, false, 6 * Self.second) == .wake(at: 6 * Self.second + 25 * Self.millisecond))
    #expect(miss(&gate, true, 7 * Self.second) == .wake(at: 7 * Self.second + 25 * Self.millisecond))
    #expect(miss(&gate, false, 8 * Self.second) == .wake(at: 8 * Self.second + 25 * Self.millisecond))
    #expect(miss(&gate, false, 9 * Self.second - 1) == .wake(at: 9 * Self.second - 1 + 25 * Self.millisecond))
    #expect(miss(&gate, false, 9 * Self.second) == .fallBack(.sockmap))
  }

  /// Received more than was ever written to this caller, a FIN counted: whoever that is, it is not this caller.
  @Test(arguments: [(199, nil), (201, nil), (202, .notFound), (9_000, .notFound)] as [(UInt64, Gate.Blindness?)])
  func aSocketThatHasReceivedMoreThanWasWrittenIsAnothers(received: UInt64, blindness: Gate.Blindness?) {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    let action = Self.answer(&gate, 0, .observed(Self.look(queue: 0, received: received)), now: 0)
    if let blindness { #expect(action == .fallBack(blindness)) } else { #expect(action == .wake(at: 20_000)) }
  }

  @Test func queriesThatFailForASecondAreGivenUp() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    #expect(Self.answer(&gate, 0, .failed, now: 0) == .wake(at: 20_000))
    _ = gate.timer(now: 20_000)
    #expect(Self.answer(&gate, 1, .failed, now: Self.second - 1) == .wake(at: Self.second - 1 + 25 * Self.millisecond))
    _ = gate.timer(now: Self.second + 25 * Self.millisecond)
    #expect(Self.answer(&gate, 2, .failed, now: Self.second + 25 * Self.millisecond) == .fallBack(.queryFailed))
  }

  // MARK: Slow queries

  @Test func aSlowQueryKeepsTheCountersAwayUntilTheQueueIsEmptyAndAPauseIsOver() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    let answered = 300 * Self.millisecond
    #expect(
      Self.answer(&gate, 0, .observed(Self.look(queue: 200, received: 200)), took: answered, now: answered)
        == .wake(at: answered + Self.second))
    #expect(gate.isMarkedSlow)
  }

  @Test func theNextReplyOfASlowCallerBeginsWithALookThatTakesNoLock() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    _ = Self.answer(&gate, 0, .observed(Self.look(queue: 200, received: 200)), now: 0)
    let answered = 200 * Self.millisecond
    #expect(
      Self.answer(&gate, 1, .observed(Self.look(queue: 0, received: 200)), took: answered, now: answered) == .release)
    gate.wrote(1, as: .gated)
    gate.tailWritten()
    gate.wrote(99, as: .gated)
    #expect(gate.withheld(now: answered) == Self.query(2, .look))
    #expect(Self.answer(&gate, 2, .observed(Self.look(queue: 99)), now: answered) == .wake(at: answered + 20_000))
    _ = gate.timer(now: answered + 20_000)
    // Empty, but the pause of a second is not over.
    #expect(Self.answer(&gate, 3, .observed(Self.look(queue: 0)), now: answered + 30_000) == .wake(at: answered + Self.second))
    #expect(gate.timer(now: answered + Self.second) == Self.query(4, .counters))
    // A quick answer takes the mark away.
    #expect(
      Self.answer(&gate, 4, .observed(Self.look(queue: 0, received: 300)), now: answered + Self.second) == Self.query(5, .counters))
    #expect(!gate.isMarkedSlow)
    #expect(Self.answer(&gate, 5, .observed(Self.look(queue: 0, received: 300)), now: answered + Self.second) == .release)
  }

  // MARK: Limits

  @Test func aSlowStreamIsAlertedOnceAndResetAtTheLimitOnly() {
    var gate = Self.watched()
    _ = gate.withheld(now: 1)
    #expect(gate.deadline == 1 + 60 * Self.second)
    _ = Self.answer(&gate, 0, .observed(Self.look(queue: 200, received: 200)), now: 1)
    // The next look would be later than the alert.
    let before = 60 * Self.second - Self.millisecond
    #expect(Self.answer(&gate, 1, .observed(Self.look(queue: 200, received: 200)), now: before) == .wake(at: 1 + 60 * Self.second))
    #expect(gate.timer(now: 1 + 60 * Self.second) == .slowStream(wakeAt: before + 25 * Self.millisecond))
    #expect(gate.timer(now: 61 * Self.second) == Self.query(2, .look))
    // No second alert, and the limits hold while a query is outstanding.
    #expect(gate.timer(now: 899 * Self.second) == .wake(at: 1 + 900 * Self.second))
    #expect(gate.deadline == 1 + 900 * Self.second)
    #expect(gate.timer(now: 1 + 900 * Self.second) == .reset(.resourceLimit))
    #expect(gate.timer(now: 2000 * Self.second) == .none)
    #expect(Self.answer(&gate, 2, .observed(Self.look(queue: 0, received: 200)), now: 2000 * Self.second) == .none)
  }

  @Test func aReaderWhoComesBackAfterTheAlertIsServed() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    _ = Self.answer(&gate, 0, .observed(Self.look(queue: 200, received: 200)), now: 0)
    _ = Self.answer(&gate, 1, .observed(Self.look(queue: 200, received: 200)), now: 0)
    let now = 100 * Self.second
    #expect(gate.timer(now: now) == .slowStream(wakeAt: now))
    #expect(gate.timer(now: now) == Self.query(2, .look))
    #expect(Self.answer(&gate, 2, .observed(Self.look(queue: 0)), now: now) == Self.query(3, .counters))
    #expect(Self.answer(&gate, 3, .observed(Self.look(queue: 0, received: 200)), now: now) == .release)
  }

  // MARK: Newer requests

  @Test func aNewerRequestResetsWhileATailIsWithheldAndWhileAReplyIsPartlyWritten() {
    var gate = Self.watched()
    #expect(gate.newerRequest() == .reset(.dirtyReuse))
    gate = Self.watched()
    _ = gate.withheld(now: 0)
    #expect(gate.newerRequest() == .reset(.dirtyReuse))
    #expect(Self.answer(&gate, 0, .observed(Self.look(queue: 0, received: 200)), now: 0) == .none)
    #expect(gate.newerRequest() == .none)
  }

  @Test func aCallerThatIsGoneGetsNothingMore() {
    var gate = Self.watched()
    _ = gate.withheld(now: 0)
    gate.callerGone()
    #expect(Self.answer(&gate, 0, .observed(Self.look(queue: 0, received: 200)), now: 0) == .none)
    #expect(gate.timer(now: 1000 * Self.second) == .none)
    #expect(gate.withheld(now: 0) == .none)
  }

  @Test func theTailBeginsWhereTheShortestReadingEnds() {
    // Header 57, 65, 69, and a version list of two; Arg 17; payload 128 KiB.
    #expect(Gate.tailLength(packetLength: 57, argLength: 0, size: 0) == 1)
    #expect(Gate.tailLength(packetLength: 65 + 17, argLength: 17, size: 0) == 9)
    #expect(Gate.tailLength(packetLength: 69 + 131_072, argLength: 0, size: 131_072) == 13)
    #expect(Gate.tailLength(packetLength: 71 + 34 + 4, argLength: 0, size: 4) == 49)
    // A Size that no payload follows.
    #expect(Gate.tailLength(packetLength: 57, argLength: 0, size: 131_072) == 1)
    #expect(Gate.tailLength(packetLength: 57, argLength: .max, size: .max) == 1)
  }
}
