import CubeFSWire
import NetEndpoint
import Testing

@testable import LaneLab

/// Callers that leave replies unread, without a sidecar: what they are there to believe, they believe.
@Suite struct AbandonTests {
  private func run(_ plan: AbandonPlan, rounds: Int, seed: UInt64 = 7) throws -> AbandonTally {
    let datanodes = try plan.releases.map { release in
      try SerialDatanode(at: Endpoint(address: 0x7F00_0001, port: 0), rules: SerialRules(release: release))
    }
    let tally = AbandonCallers(plan: plan, targets: datanodes.map(\.endpoint), seed: seed, rounds: rounds).run()
    for datanode in datanodes { datanode.stop() }
    return tally
  }

  @Test(arguments: AbandonPlan.allCases) func directlyConnectedTheyBelieveStaleReplies(_ plan: AbandonPlan) throws {
    let tally = try run(plan, rounds: plan == .tinyDeleteOverread ? 12 : 300)
    #expect(tally.staleAccepted > 0, "seed 7: \(tally.summary)")
    #expect(tally.wrongBytes == 0, "\(tally.examples)")
    #expect(tally.lost == 0)
    #expect(plan == .everywhere || tally.malformed == 0)
  }

  @Test func everyPlaceIsLeft() throws {
    let places = try run(.everywhere, rounds: 300).places
    for place in AbandonWorkload.Place.allCases where place != .surplus { #expect((places[place] ?? 0) > 0, "seed 7: \(place)") }
  }

  @Test func beforeTheFirstReadIsNowhereElse() throws {
    #expect(Set(try run(.beforeFirstRead, rounds: 100).places.keys) == [.beforeFirstRead])
  }

  /// Every opcode, read to its end as its call site does, is the operation's own answer.
  @Test(arguments: [CubeFSRelease.v3_3_0, .v3_5_3]) func whoLeavesNothingUnreadBelievesNothingStale(_ release: CubeFSRelease) throws {
    let rules = SerialRules(release: release)
    let datanode = try SerialDatanode(at: Endpoint(address: 0x7F00_0001, port: 0), rules: rules)
    defer { datanode.stop() }
    let caller = FaithfulCaller(CallerOptions(release: release, leavesRepliesUnread: true, closesAfterSnapshot: true))
    let oracle = SerialOracle(rules: rules)
    var workload = AbandonWorkload(.everywhere, rules, seed: 5, thread: 0)
    for _ in 0..<300 {
      let result = caller.run(workload.followUp(), to: datanode.endpoint)
      #expect(oracle.judge(result) == .own)
      // A pool may hold a connection that an error reply of the datanode's has ended (v3.3.0).
      #expect([.delivered, .errorReply, .reset].contains(result.outcome), "\(result.note)")
    }
    caller.pool.closeAll()
  }

  @Test func theSameSeedMakesTheSameOperations() {
    for plan in AbandonPlan.allCases {
      var one = AbandonWorkload(plan, SerialRules(release: .v3_5_3), seed: 3, thread: 1)
      var same = AbandonWorkload(plan, SerialRules(release: .v3_5_3), seed: 3, thread: 1)
      for _ in 0..<50 {
        #expect(one.left().operation.request == same.left().operation.request)
        #expect(one.followUp().request == same.followUp().request)
      }
    }
  }

  @Test(arguments: [ReplyPart.header, .argument, .someOfPayload(0), .someOfPayload(977), .allButLastByte])
  func whatIsNotReadStaysInTheSocket(_ part: ReplyPart) throws {
    let rules = SerialRules(release: .v3_5_3)
    var request = LabPacket.request(0x17, partition: 3, extent: 1_025, size: 100, extentType: 1)
    request.header.kernelOffset = Serial(thread: 2, number: 9, kind: .small).value
    let reply = try #require(rules.replies(to: request).first)
    let listener = try LabListener(Endpoint(address: 0x7F00_0001, port: 0))
    let writer = try LabSocket.connect(to: listener.endpoint)
    let reader = try #require(listener.accept(withinMs: 5_000))
    try writer.write(reply.bytes)
    writer.shutdownWrite()
    let deadline = LabClock.nanoseconds + 5_000_000_000
    let read = try LabPacket.read(from: reader, release: .v3_5_3, deadline: deadline, stoppingAfter: part)
    let expected =
      switch part {
      case .header: 57
      case .argument: 57 + 17
      case .someOfPayload, .allButLastByte: 57 + 17 + part.payloadLength(of: reply.payload.count)
      }
    #expect(read.bytes.count == expected)
    let rest = try reader.read(reply.bytes.count - expected, deadline: deadline)
    #expect(read.bytes + rest == reply.bytes)
    #expect(throws: LabIOError.endOfStream) { try reader.read(1, deadline: deadline) }
  }

  @Test func someOfAPayloadIsNeitherNothingNorAllButOneByte() {
    for size in 3...100 {
      for pick in 0..<200 as Range<UInt64> { #expect((1..<(size - 1)).contains(ReplyPart.someOfPayload(pick).payloadLength(of: size))) }
    }
    for size in 0..<3 { #expect(ReplyPart.someOfPayload(5).payloadLength(of: size) == 0) }
    #expect(ReplyPart.allButLastByte.payloadLength(of: 0) == 0)
    #expect(ReplyPart.allButLastByte.payloadLength(of: 24) == 23)
  }
}
