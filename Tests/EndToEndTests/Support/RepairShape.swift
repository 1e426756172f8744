import CubeFSWire
import TestBytes

/// What a peer answers to a repair stream's request: one shape of replies each. Request and answer follow from the caller's number
/// alone, which travels as the partition: the peer and the oracle need no more.
enum RepairShape: Int, CaseIterable, Sendable {
  /// An error reply without a text: 57 bytes in all.
  case bareError
  /// An error reply of v3.5.3 to a request with ProtocolVersion: a header of 69 bytes, and a text.
  case longError
  /// 09: blocks.
  case blocks
  /// 15: data and holes of a tiny extent, each reply with an Arg of 17 bytes.
  case holes
  /// 14: a chunk of 2.4 MB, and what is left.
  case chunks

  /// The requester's packet.
  /// - Parameter tag: comes back by `tag(of:)`.
  func request(reqID: Int64, tag: Int) -> WirePacket {
    let partition = UInt64(tag * Self.allCases.count + rawValue)
    switch self {
    case .bareError, .blocks: return .request(0x09, reqID: reqID, partition: partition, size: 3 * 5000)
    case .longError:
      return .request(0x09, reqID: reqID, partition: partition, size: 3 * 5000) {
        $0.header.extentType |= 0x10
        $0.header.verSeq = 7
        $0.header.protoVersion = 1
      }
    case .holes:
      return .request(0x15, reqID: reqID, partition: partition, size: 400_000) {
        $0.header.extentType = 0
        $0.header.extentID = 33
      }
    case .chunks: return .request(0x14, reqID: reqID, partition: partition)
    }
  }

  /// Of a request as the peer got it.
  static func of(_ request: WirePacket) -> RepairShape { allCases[Int(request.header.partitionID) % allCases.count] }

  /// The number that the request was made with.
  static func tag(of request: WirePacket) -> Int { Int(request.header.partitionID) / allCases.count }

  /// All replies to that request.
  func replies(to request: WirePacket) -> [WirePacket] {
    let offset = request.header.extentOffset
    switch self {
    case .bareError: return [request.mutated(result: 0xF5)]
    case .longError: return [request.mutated(Array("ActionRepair_extent has been deleted".utf8), result: 0xF8)]
    case .blocks: return (0..<3).map { request.block(at: offset + Int64($0) * 5000, Self.data) }
    case .holes:
      var place = offset
      return [5000, -131_072, 40, -128, -262_144, 1616].map { run in
        defer { place += Int64(abs(run)) }
        return request.block(at: place, run > 0 ? Array(Self.data[..<run]) : []) {
          $0.header.extentType = 0
          if run < 0 { $0.header.crc = 0 }
          $0.argument = (run < 0 ? [UInt8(ascii: "E")] + bigEndian(UInt64(-run)) : [0] + bigEndian(0)) + bigEndian(400_000)
        }
      }
    case .chunks: return [Self.chunk(of: request, at: offset, Self.records), Self.chunk(of: request, at: offset + 2_400_000, Self.rest)]
    }
  }

  /// Whether it is a single error reply.
  var isError: Bool { self == .bareError || self == .longError }

  private static let data = pattern(5000)
  private static let records = Payload(pattern(2_400_000))
  private static let rest = Payload(pattern(240, seed: 1))

  /// The checksum of so much is reckoned once.
  private struct Payload {
    let bytes: [UInt8]
    let checksum: UInt32

    init(_ bytes: [UInt8]) {
      self.bytes = bytes
      checksum = crc32(bytes)
    }
  }

  private static func chunk(of request: WirePacket, at offset: Int64, _ payload: Payload) -> WirePacket {
    var reply = request.block(at: offset, []) {
      $0.header.opcode = Opcode(0xF0)
      $0.header.extentID = 0
      $0.header.size = UInt32(payload.bytes.count)
      $0.header.crc = payload.checksum
    }
    reply.payload = payload.bytes
    return reply
  }
}
