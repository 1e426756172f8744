import CubeFSWire
import Testing

@testable import LaneCore

@Suite struct JudgeTests {
  /// Replays the replies; at each one, every change in `variants` is put to a copy of the exchange, which must say what the oracle
  /// says and, where it refuses, be as it was.
  private func walk(
    _ request: TestPacket, _ replies: [TestPacket], _ variants: (TestPacket) -> [(String, TestPacket)]
  ) throws {
    var exchange = request.exchange()
    var oracle = ReplyOracle(request.header)
    for (number, reply) in replies.enumerated() {
      for (what, variant) in variants(reply) {
        var tried = exchange
        let verdict = variant.judged(by: &tried)
        let right = oracle.accepts(variant)
        if verdict.isPassed != right { Issue.record("reply \(number), \(what): \(verdict)") }
        guard !verdict.isPassed else { continue }
        var untouched = exchange
        let after = reply.judged(by: &tried)
        let isUnchanged =
          after == reply.judged(by: &untouched) && after.isPassed && tried.received == untouched.received && tried.due == untouched.due
          && tried.replies == untouched.replies && tried.emptyReplies == untouched.emptyReplies
        if !isUnchanged { Issue.record("reply \(number) after \(what)") }
      }
      #expect(oracle.accepts(reply), "the oracle, reply \(number)")
      guard case .passed(let plan) = reply.judged(by: &exchange) else {
        Issue.record("reply \(number) was refused")
        return
      }
      let completes = oracle.take(reply)
      #expect(plan.completes == completes, "reply \(number) of \(replies.count)")
      #expect(plan.isError == (reply.header.resultCode != .ok))
      #expect(!plan.checksPayload || plan.expectedCRC == reply.header.crc)
      exchange.isComplete = plan.completes
      // The final reply of 17, and its doubled error, come after the end and belong to nobody.
      if plan.completes { break }
    }
    guard exchange.isComplete, case .anything = oracle.shape else {
      if exchange.isComplete, let last = replies.last { #expect(last.judged(by: &exchange) == .refused(.replySurplus)) }
      return
    }
  }

  private func bitFlips(_ reply: TestPacket) -> [(String, TestPacket)] {
    (8..<57 * 8).compactMap { bit in reply.flipped(bit: bit).map { ("byte \(bit / 8) bit \(bit % 8)", $0) } }
  }

  private func fieldChanges(_ reply: TestPacket) -> [(String, TestPacket)] {
    var changes: [(String, TestPacket)] = []
    func change(_ what: String, _ body: (inout PacketHeader) -> Void) {
      var variant = reply
      body(&variant.header)
      changes.append((what, variant))
    }
    for value in UInt8.min...UInt8.max {
      change("ExtentType \(value)") { $0.extentType = value }
      change("Opcode \(value)") { $0.opcode = Opcode(value) }
      change("ResultCode \(value)") { $0.resultCode = ResultCode(value) }
      change("RemainingFollowers \(value)") { $0.remainingFollowers = value }
    }
    let header = reply.header
    for value: UInt32 in [
      0, 1, 7, 8, 9, 15, 16, 17, 24, 25, 48, 4096, 4097, header.size &+ 1, header.size &- 1, 2_400_000, 2_400_024, 1 << 20, (1 << 20) + 1,
      .max,
    ] {
      change("Size \(value)") { $0.size = value }
      change("CRC \(value)") { $0.crc = value }
    }
    for value: UInt32 in [0, 16, 18, 33, 34, 35, 65_536, 65_537, .max] where header.argLength != 17 && value != 17 {
      change("ArgLen \(value)") { $0.argLength = value }
    }
    for value: UInt64 in [0, 1, header.partitionID &+ 1, header.partitionID &- 1, 1 << 63, .max] {
      change("PartitionID \(value)") { $0.partitionID = value }
      change("ExtentID \(value)") { $0.extentID = value }
      change("KernelOffset \(value)") { $0.kernelOffset = value }
    }
    for value: Int64 in [0, -1, .min, .max, header.extentOffset + 1, header.extentOffset - 1, header.extentOffset + 131_072] {
      change("ExtentOffset \(value)") { $0.extentOffset = value }
    }
    return changes
  }

  @Test(arguments: LiveExchange.all)
  func repliesOfRealServersPass(_ live: LiveExchange) throws {
    try walk(live.request, live.replies) { _ in [] }
  }

  @Test func captureIsWhole() {
    #expect(LiveExchange.all.count > 90)
    #expect(LiveExchange.all.contains { $0.replies.count == 3 })
  }

  @Test(arguments: LiveExchange.all)
  func everyBitOfARealReply(_ live: LiveExchange) throws {
    try walk(live.request, live.replies, bitFlips)
  }

  @Test(arguments: CorrectExchange.all)
  func everyBitOfACorrectReply(_ correct: CorrectExchange) throws {
    try walk(TestPacket(correct.request), correct.replies, bitFlips)
  }

  @Test(arguments: CorrectExchange.all)
  func everyChangedField(_ correct: CorrectExchange) throws {
    try walk(TestPacket(correct.request), correct.replies, fieldChanges)
  }
}
