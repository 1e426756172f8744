import NetEndpoint
import Testing

@testable import LaneLab

/// Each fault, met by a caller that does not check what would give it away, over a direct connection.
@Suite struct FaultTests {
  /// One operation, or a few on the same pooled connection, with a fault planned for the first of them.
  private func run(_ fault: FaultKind?, _ opcodes: [UInt8], release: Int = 0, haste: Int64 = 20) throws -> Oracle.Findings {
    let contents = Contents(seed: 11)
    let script = FaultScript()
    let rules = DatanodeRules(release: LabWorld.releases[release], contents: contents)
    let datanode = try ScriptedDatanode(at: Endpoint(address: 0x7F00_0001, port: 0), rules: rules, script: script)
    defer { datanode.stop() }
    let caller = FaithfulCaller(CallerOptions(release: rules.release, haste: haste))
    var workload = Workload(seed: 11, firstKey: 200, contents: contents, release: rules.release)
    let oracle = Oracle()
    for (index, opcode) in opcodes.enumerated() {
      let operation = workload.operation(opcode)
      if index == 0, let fault { script.plan(fault, for: operation.key) }
      oracle.started(operation)
      if operation.kind.isPipelined {
        for result in FollowerTransport(caller: caller, target: datanode.endpoint, depth: 4).run([operation]) {
          oracle.ended(result, rules: rules)
        }
      } else {
        oracle.ended(caller.run(operation, to: datanode.endpoint), rules: rules)
      }
    }
    caller.pool.closeAll()
    #expect(oracle.findings.lost == 0)
    if let fault { #expect(script.injections.contains { $0.kind == fault }, "\(fault) was not injected") }
    return oracle.findings
  }

  @Test(arguments: [0x07, 0x08, 0x0A, 0x10, 0x11, 0x16, 0x09, 0x05, 0x03, 0x02, 0x63, 0xC0] as [UInt8])
  func withoutAFaultNothingIsWrong(_ opcode: UInt8) throws {
    let found = try run(nil, [opcode, opcode, opcode])
    #expect(found.staleAccepted == 0 && found.wrongBytes == 0 && found.failedOperations.isEmpty)
    #expect(found.outcomes == [.delivered: 3])
  }

  @Test(arguments: [FaultKind.wrongStamp, .swappedPartition, .swappedOpcode, .oversized])
  func aCallerThatChecksTheResultOnlyBelieves(_ fault: FaultKind) throws {
    #expect(try run(fault, [0x10]).staleAccepted == 1)
  }

  @Test func nobodyChecksTheOpcode() throws {
    #expect(try run(.swappedOpcode, [0x03]).staleAccepted == 1)
    #expect(try run(.swappedOpcode, [0x09]).staleAccepted == 1)
  }

  @Test(arguments: [FaultKind.swappedExtent, .swappedOffset, .wrongStamp, .swappedPartition])
  func aFollowerTransportRefusesWhatItChecks(_ fault: FaultKind) throws {
    let found = try run(fault, [0x03])
    #expect(found.staleAccepted == 0)
    #expect(found.outcomes == [.rejected: 1])
  }

  @Test func aRepairerRefusesAFlippedByte() throws {
    let found = try run(.flippedPayloadByte, [0x09])
    #expect(found.outcomes == [.rejected: 1])
    #expect(found.wrongBytes == 0)
  }

  /// The pool is first in, first out and has five connections: the sixth operation meets the first one's again.
  @Test(arguments: [FaultKind.duplicate, .replyWithoutRequest])
  func whatIsLeftOnAPooledConnectionIsBelievedByTheNext(_ fault: FaultKind) throws {
    #expect(try run(fault, [0x10, 0x10, 0x10, 0x10, 0x10, 0x11]).staleAccepted >= 1)
  }

  @Test(arguments: [FaultKind.truncated, .reset])
  func halfAReplyIsAReset(_ fault: FaultKind) throws {
    #expect(try run(fault, [0x08]).outcomes == [.reset: 1])
  }

  @Test(arguments: [FaultKind.slow, .oneBytePieces], [0x07, 0x09, 0x15, 0x03] as [UInt8])
  func oddButRightIsDelivered(_ fault: FaultKind, _ opcode: UInt8) throws {
    let found = try run(fault, [opcode], haste: 1)
    #expect(found.outcomes == [.delivered: 1])
    #expect(found.staleAccepted == 0 && found.wrongBytes == 0)
  }

  @Test func silenceIsATimeout() throws {
    #expect(try run(.silent, [0x14]).outcomes == [.timedOut: 1])
  }

  /// v3.3.0 pools the connection after the CRC mismatch; only its deadline helps the operation that takes it next, and
  /// 08, 66, 67 and 68 have none.
  @Test func anErrorInABlockSilencesThePooledConnection() throws {
    let found = try run(.errorInBlock, [0x09, 0x10, 0x10, 0x10, 0x10, 0x10])
    #expect(found.outcomes == [.rejected: 1, .delivered: 4, .timedOut: 1])
    #expect(found.staleAccepted == 0)
  }

  @Test func aReaderWhoLeavesPoisonsThePool() throws {
    let contents = Contents(seed: 11)
    let rules = DatanodeRules(release: LabWorld.releases[0], contents: contents)
    let datanode = try ScriptedDatanode(at: Endpoint(address: 0x7F00_0001, port: 0), rules: rules, script: FaultScript())
    defer { datanode.stop() }
    let caller = FaithfulCaller(CallerOptions(release: rules.release, leavesRepliesUnread: true))
    var workload = Workload(seed: 11, firstKey: 300, contents: contents, release: rules.release)
    let oracle = Oracle()
    var left = workload.operation(0x09)
    left.leavesAfter = 0
    let operations = [left] + (0..<5).map { _ in workload.operation(0x08) }
    for operation in operations {
      oracle.started(operation)
      oracle.ended(caller.run(operation, to: datanode.endpoint), rules: rules)
    }
    caller.pool.closeAll()
    // NotifyReplicasToRepair checks nothing: it takes the block for its OK.
    #expect(oracle.findings.staleAccepted == 1)
    #expect(oracle.findings.outcomes[.abandoned] == 1)
  }
}
