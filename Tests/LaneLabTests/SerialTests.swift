import CubeFSWire
import Testing

@testable import LaneLab

@Suite struct SerialTests {
  private let serial = Serial(thread: 3, number: 77, kind: .small)

  private func request(_ opcode: UInt8, _ serial: Serial, extent: UInt64 = 1_025, size: UInt32? = nil) -> LabPacket {
    var request = LabPacket.request(opcode, partition: 5, extent: extent, size: size)
    request.header.kernelOffset = serial.value
    request.header.reqID = 42
    return request
  }

  private func result(_ request: LabPacket, accepted: [LabPacket], error: LabPacket? = nil) -> CallResult {
    var result = CallResult(request: request, operation: LabOperation(request: request, site: .query), outcome: .delivered)
    result.accepted = accepted
    result.errorReply = error
    return result
  }

  @Test(arguments: [24, 25, 54, 55, 56, 86, 87, 4_800, 100_000]) func aPayloadIsJSONAndNamesItsOperation(_ count: Int) {
    let payload = SerialPayload.bytes(serial, index: 1, count: count)
    #expect(payload.count == count)
    #expect(LabJSON.isValid(payload))
    #expect(SerialPayload.serial(in: payload) == serial)
    #expect(payload.last != 0xFF)
    #expect(payload != SerialPayload.bytes(serial, index: 2, count: count))
    #expect(payload != SerialPayload.bytes(Serial(thread: 3, number: 78, kind: .small), index: 1, count: count))
  }

  @Test func otherBytesNameNobody() {
    #expect(SerialPayload.serial(in: bigEndianBytes(5)) == nil)
    #expect(SerialPayload.serial(in: [UInt8](repeating: 0x20, count: 100)) == nil)
  }

  @Test(arguments: [0x09, 0x14, 0x15, 0x17] as [UInt8]) func aStreamHasAsManyBytesAsItSays(_ opcode: UInt8) {
    for number in 1...200 as ClosedRange<UInt64> {
      let serial = Serial(thread: 0, number: number, kind: .small)
      let replies = SerialRules(release: .v3_5_3).replies(to: request(opcode, serial, extent: opcode == 0x15 ? 5 : 1_025))
      let runs = SerialRules(release: .v3_5_3).runs(opcode, serial)
      #expect(replies.count == runs.count + (opcode == 0x17 ? 1 : 0))
      var offset: Int64 = 0
      for (reply, run) in zip(replies, runs) {
        #expect(reply.header.extentOffset == offset)
        #expect(reply.header.kernelOffset == 0, "the blocks of real datanodes have none")
        #expect(reply.header.crc == PayloadCRC.of(reply.payload))
        offset += Int64(run.length)
      }
      #expect(Int(offset) == SerialRules(release: .v3_5_3).length(opcode, serial))
    }
  }

  @Test func tinyDeleteRecordsGoOnAfterAFullChunk() {
    let replies = SerialRules(release: .v3_3_0).replies(to: request(0x14, Serial(thread: 0, number: 1, kind: .fullChunk)))
    #expect(replies.map(\.payload.count).first == 2_400_000)
    #expect(replies.count == 2)
    #expect(replies.allSatisfy { $0.payload.count % 24 == 0 && $0.header.opcode == Opcode(0xF0) })
  }

  @Test func aSnapshotReadEndsWithAReplyTooMany() throws {
    let rules = SerialRules(release: .v3_5_3)
    let last = try #require(rules.replies(to: request(0x17, serial)).last)
    #expect(last.header.opcode == Opcode(0x17) && last.header.size == 0 && last.header.resultCode == .ok)
    let errors = rules.replies(to: request(0x17, Serial(thread: 0, number: 1, kind: .failing)))
    #expect(errors.count == 2 && errors[0] == errors[1] && errors[0].isError)
  }

  @Test func theOracleTellsOwnFromAlike() throws {
    let rules = SerialRules(release: .v3_3_0)
    let oracle = SerialOracle(rules: rules)
    let asked = request(0x10, serial)
    let own = try #require(rules.replies(to: asked).first)
    #expect(oracle.judge(result(asked, accepted: [own])) == .own)
    // The same call for the same partition with the same ReqID: only the serial differs.
    let other = try #require(rules.replies(to: request(0x10, Serial(thread: 4, number: 77, kind: .small))).first)
    guard case .stale = oracle.judge(result(asked, accepted: [other])) else {
      Issue.record("a reply of another operation passed")
      return
    }
    var broken = own
    broken.payload[7] ^= 1
    guard case .wrong = oracle.judge(result(asked, accepted: [broken])) else {
      Issue.record("a wrong byte passed")
      return
    }
  }

  @Test func theOracleSeesAStaleBlockAndAStaleError() throws {
    let rules = SerialRules(release: .v3_3_0)
    let oracle = SerialOracle(rules: rules)
    let asked = request(0x08, serial)
    let block = try #require(rules.replies(to: request(0x09, Serial(thread: 3, number: 76, kind: .small))).first)
    let error = try #require(rules.replies(to: request(0x08, Serial(thread: 3, number: 75, kind: .failing))).first)
    for verdict in [
      oracle.judge(result(asked, accepted: [block])), oracle.judge(result(asked, accepted: [error])),
      oracle.judge(result(asked, accepted: [], error: error)),
    ] {
      guard case .stale = verdict else {
        Issue.record("\(verdict)")
        continue
      }
    }
    var surplus = rules.replies(to: asked)
    surplus += surplus
    #expect(oracle.judge(result(asked, accepted: surplus)) != .own)
  }
}
