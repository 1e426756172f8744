import CubeFSWire
import Testing

@testable import LaneCore

/// What the table of whole headers does not show: numbers inside Arg, and the order of things.
@Suite struct HoleTests {
  private func request(size: UInt32, offset: Int64 = 0) -> TestPacket {
    var header = PacketHeader()
    header.opcode = Opcode(0x15)
    header.size = size
    header.partitionID = 4
    header.extentID = 5
    header.extentOffset = offset
    return TestPacket(header)
  }

  private func run(_ size: UInt32, at offset: Int64, hole: UInt64? = nil, total: UInt64) -> TestPacket {
    var reply = request(size: size, offset: offset)
    reply.header.resultCode = .ok
    reply.header.argLength = 17
    reply.argument = [hole == nil ? 0 : UInt8(ascii: "E")]
    for number in [hole ?? 0, total] { reply.argument += (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) } }
    return reply
  }

  @Test func totalOfTheFirstBlockBoundsTheStream() {
    var exchange = request(size: 100_000).exchange()
    #expect(
      run(4096, at: 0, total: 8192).judged(by: &exchange)
        == .passed(.init(isError: false, checksPayload: true, expectedCRC: 0, completes: false)))
    // A later total does not count.
    #expect(
      run(4096, at: 4096, total: 1_000_000).judged(by: &exchange)
        == .passed(.init(isError: false, checksPayload: true, expectedCRC: 0, completes: true)))
  }

  @Test(arguments: [UInt64(Int64.max), UInt64(Int64.max) - 5, 1 << 40])
  func enormousHolesCompleteAndDoNotTrap(_ length: UInt64) {
    var exchange = request(size: 100_000, offset: .max - 10).exchange()
    #expect(run(0, at: .max - 10, hole: length, total: .max).judged(by: &exchange).isPassed == true)
    #expect(exchange.received >= exchange.due)
  }

  @Test(arguments: [UInt64(Int64.max) + 1, .max])
  func negativeHolesAreRefused(_ length: UInt64) {
    var exchange = request(size: 100_000).exchange()
    #expect(run(0, at: 0, hole: length, total: 9).judged(by: &exchange) == .refused(.sizeOutOfBounds))
    #expect(run(4096, at: 0, total: 8192).judged(by: &exchange).isPassed == true)
  }

  @Test func emptyBlocksAreCapped() {
    for hole in [nil, 0] as [UInt64?] {
      var exchange = request(size: 100_000).exchange()
      for _ in 0..<8 { #expect(run(0, at: 0, hole: hole, total: 9000).judged(by: &exchange).isPassed == true) }
      #expect(run(0, at: 0, hole: hole, total: 9000).judged(by: &exchange) == .refused(.emptyReplies))
      #expect(run(9000, at: 0, total: 9000).judged(by: &exchange).isPassed == true)
    }
  }

  @Test func nothingPassesBeforeTheRequestOrAfterTheEnd() {
    var exchange = request(size: 4096).exchange()
    exchange.requestComplete = false
    let reply = run(4096, at: 0, total: 4096)
    #expect(reply.judged(by: &exchange) == .refused(.replyBeforeRequest))
    exchange.requestComplete = true
    #expect(reply.judged(by: &exchange).isPassed == true)
    exchange.isComplete = true
    #expect(reply.judged(by: &exchange) == .refused(.replySurplus))
  }

  @Test func readOfNothingIsDueNothing() {
    for opcode: UInt8 in [0x05, 0x06, 0x09, 0x59] {
      var packet = request(size: 0)
      packet.header.opcode = Opcode(opcode)
      #expect(packet.exchange().isDueNothing)
      packet.header.size = 1
      #expect(!packet.exchange().isDueNothing)
    }
    var packet = request(size: 10)
    packet.header.opcode = Opcode(0x04)
    #expect(packet.exchange().isDueNothing)
    // The deadline is 80% of the caller's (G11).
    #expect(packet.exchange().allowance == nil)
    packet.header.opcode = Opcode(0x09)
    #expect(packet.exchange().allowance == 48_000_000_000)
    for (opcode, seconds) in [0x08: nil, 0x66: nil, 0x14: 4, 0x75: 96, 0x03: 4, 0x07: 48, 0x0A: 48, 0x62: 4, 0x60: 24] as [UInt8: UInt64?] {
      packet.header.opcode = Opcode(opcode)
      #expect(packet.exchange().allowance == seconds.map { $0 * 1_000_000_000 })
    }
  }
}
