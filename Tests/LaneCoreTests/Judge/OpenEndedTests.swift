import CubeFSWire
import LaneCore
import Testing

/// ReadTinyDeleteRecord: its reader may stop before its sender does.
@Suite struct OpenEndedTests {
  private static let full: UInt32 = 2_400_000

  private func request(at offset: Int64) -> TestPacket {
    var header = PacketHeader()
    header.extentType = 1
    header.opcode = Opcode(0x14)
    header.partitionID = 7
    header.extentOffset = offset
    header.reqID = 77
    return TestPacket(header)
  }

  private func chunk(at offset: Int64, _ size: UInt32) -> TestPacket {
    var header = PacketHeader()
    header.extentType = 1
    header.opcode = Opcode(0xF0)
    header.resultCode = .ok
    header.size = size
    header.partitionID = 7
    header.extentOffset = offset
    header.reqID = 77
    return TestPacket(header)
  }

  /// Whether each chunk completes the operation, up to the first that does.
  private func completions(_ exchange: inout Exchange, from offset: Int64, _ sizes: [UInt32]) -> [Bool] {
    var found: [Bool] = []
    var offset = offset
    for size in sizes {
      guard case .passed(let plan) = chunk(at: offset, size).judged(by: &exchange) else { break }
      found.append(plan.completes)
      offset += Int64(size)
      if plan.completes { break }
    }
    return found
  }

  @Test func withoutAWordOfItsReaderAStreamEndsWithAShortChunk() {
    var exchange = request(at: 240).exchange()
    #expect(!exchange.mayTrail)
    #expect(completions(&exchange, from: 240, [Self.full, Self.full, Self.full, 24]) == [false, false, false, true])
  }

  /// Four chunks lie in the file; the reader was told of a size in the second one.
  @Test(arguments: [
    (240 + 1, 1), (240 + 2_400_000, 1), (240 + 2_400_000 + 1, 2), (240 + 4_800_000, 2), (240 + 4_800_024, 3),
  ]) func theReadersSizeEndsIt(_ size: Int, _ chunks: Int) {
    var exchange = request(at: 240).exchange()
    exchange.readerStops(atFileSize: UInt64(size))
    #expect(exchange.mayTrail)
    let found = completions(&exchange, from: 240, [Self.full, Self.full, Self.full, Self.full])
    #expect(found.count == chunks && found.last == true)
  }

  @Test func whatIsNoSizeChangesNothing() {
    var exchange = request(at: 0).exchange()
    exchange.readerStops(atFileSize: .max)
    #expect(!exchange.mayTrail)
    #expect(completions(&exchange, from: 0, [Self.full, 48]) == [false, true])
    // Too late: a reply is in.
    exchange.readerStops(atFileSize: 24)
    #expect(!exchange.mayTrail)
    // A size behind the request: the first reply is the last.
    var past = request(at: 4_800_000).exchange()
    past.readerStops(atFileSize: 24)
    #expect(completions(&past, from: 4_800_000, [Self.full, Self.full]) == [true])
    // Another operation keeps its own rule.
    var other = request(at: 0)
    other.header.opcode = Opcode(0x09)
    other.header.size = 4096
    var read = other.exchange()
    read.readerStops(atFileSize: 24)
    #expect(!read.mayTrail && read.due == 4096)
  }
}
