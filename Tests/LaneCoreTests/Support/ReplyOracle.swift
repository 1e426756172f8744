import CubeFSWire

/// What PROTOCOL.md sections 2 and 6.4 say of replies, written down a second time and in another way than the judge: a table by
/// opcode, and one function over whole headers. It knows nothing of the catalogue.
struct ReplyOracle {
  enum Shape {
    /// The request object with these payload lengths; nil: any.
    case mutated([UInt32]?)
    /// New packets of data until Size is reached.
    case block
    /// New packets of data and holes, under this opcode, of a tiny or a normal extent.
    case holes(UInt8, bit: UInt8)
    /// New packets of 24-byte records.
    case records
    /// At least one reply, of which nothing is known.
    case anything
  }

  static let shapes: [UInt8: Shape] = {
    var shapes: [UInt8: Shape] = [
      0x07: .mutated(nil), 0x10: .mutated([8]), 0x11: .mutated([8, 16]), 0x16: .mutated([16]), 0x15: .holes(0x15, bit: 0),
      0x17: .holes(0x18, bit: 1), 0x14: .records,
    ]
    for opcode in [0x01, 0x02, 0xD6, 0x75, 0x76, 0x57, 0x58, 0x03, 0x13, 0x0F, 0x12, 0xB1, 0xB2, 0xB3, 0xB4, 0xB6, 0xB7, 0x08, 0x0A, 0x5A] {
      shapes[UInt8(opcode)] = .mutated([0])
    }
    for opcode in [0x05, 0x06, 0x09, 0x59] { shapes[UInt8(opcode)] = .block }
    for opcode in [0x60, 0x61, 0x62, 0x63, 0x66, 0x67, 0x68, 0x69, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F, 0x80, 0x8A, 0x8B, 0x8C, 0xD5] {
      shapes[UInt8(opcode)] = .mutated(nil)
    }
    return shapes
  }()

  let request: PacketHeader
  /// Bytes of data and holes so far.
  var received: UInt64 = 0
  var replies = 0
  /// The total that the first block of 15 or 17 announced.
  var announced: UInt64?

  init(_ request: PacketHeader) { self.request = request }

  var shape: Shape { Self.shapes[request.opcode.rawValue] ?? .anything }

  /// Whether a reply of these fields may be the next one.
  func accepts(_ reply: TestPacket) -> Bool {
    let header = reply.header
    // What the framer lets by: PROTOCOL.md section 6, "limits that are safe".
    if header.argLength > 65_536 || header.size > limit(header) { return false }
    if header.resultCode.rawValue == 0 { return false }
    if case .anything = shape { return true }
    return header.resultCode.rawValue == 0xF0 ? acceptsOK(reply) : acceptsError(header)
  }

  private func limit(_ header: PacketHeader) -> UInt32 {
    let mebibyte: UInt32 = 1_048_576
    if header.resultCode.rawValue != 0xF0 && header.resultCode.rawValue != 0 { return mebibyte }
    switch header.opcode.rawValue {
    case 0x07: return 64 * mebibyte
    case 0x09, 0x05, 0x06, 0x59: return 8 * mebibyte
    case 0x14, 0xF0: return 4 * mebibyte
    case 0x0A, 0x10, 0x11, 0x16: return 4096
    default: return Self.shapes[header.opcode.rawValue] == nil && header.opcode.rawValue != 0x18 ? 160 * mebibyte : mebibyte
    }
  }

  private var nextOffset: Int64 { request.extentOffset + Int64(received) }

  private func sameBit(_ header: PacketHeader) -> Bool { header.extentType % 2 == request.extentType % 2 }

  private var answersWithJSONsPartition: Bool { [0x60, 0x66, 0x67, 0x68].contains(request.opcode.rawValue) }
  private var leaderChoosesExtent: Bool {
    request.extentID == 0 && (request.opcode.rawValue == 0x01 || leaderChoosesOffset)
  }
  private var leaderChoosesOffset: Bool {
    [0x03, 0x13].contains(request.opcode.rawValue) && request.extentID == 0 && request.extentType % 2 == 0
  }

  private func isRequestObject(_ header: PacketHeader, offsets: [Int64], anyCRC: Bool) -> Bool {
    sameBit(header)
      && (answersWithJSONsPartition || header.partitionID == request.partitionID)
      && (leaderChoosesExtent || header.extentID == request.extentID)
      && (leaderChoosesOffset || offsets.contains(header.extentOffset))
      && (anyCRC || header.crc == request.crc)
      && header.kernelOffset == request.kernelOffset
  }

  private func acceptsError(_ header: PacketHeader) -> Bool {
    let isStream: Bool
    switch shape {
    case .mutated, .anything: isStream = false
    case .block, .holes, .records: isStream = true
    }
    return header.opcode == request.opcode && (header.argLength == 0 || header.argLength == request.argLength)
      && isRequestObject(header, offsets: isStream ? [request.extentOffset, nextOffset] : [request.extentOffset], anyCRC: isStream)
  }

  private func acceptsOK(_ reply: TestPacket) -> Bool {
    let header = reply.header
    switch shape {
    case .anything: return true
    case .mutated(let sizes):
      // B3 and B4 are answered under B5; that their own opcode comes back is not seen, and proves nothing wrong.
      let opcodes: [UInt8] =
        [0xB3, 0xB4].contains(request.opcode.rawValue) ? [0xB5, request.opcode.rawValue] : [request.opcode.rawValue]
      return opcodes.contains(header.opcode.rawValue) && header.argLength == 0 && (sizes?.contains(header.size) ?? true)
        && isRequestObject(header, offsets: [request.extentOffset], anyCRC: false)
    case .block:
      return isBlock(header, opcode: request.opcode.rawValue, extent: request.extentID, bit: 1) && header.argLength == 0 && header.size > 0
        && UInt64(header.size) <= UInt64(request.size) - received
    case .records:
      return isBlock(header, opcode: 0xF0, extent: 0, bit: 1) && header.argLength == 0 && header.size > 0 && header.size <= 2_400_000
        && header.size % 24 == 0
    case .holes(let opcode, let bit):
      if request.opcode.rawValue == 0x17 && header.opcode.rawValue == 0x17 {
        return header.argLength == 0 && header.size == 0
          && isRequestObject(header, offsets: [request.extentOffset], anyCRC: false)
      }
      let isHole = reply.argument.first == UInt8(ascii: "E")
      return isBlock(header, opcode: opcode, extent: request.extentID, bit: bit) && header.argLength == 17 && (!isHole || header.size == 0)
    }
  }

  private func isBlock(_ header: PacketHeader, opcode: UInt8, extent: UInt64, bit: UInt8) -> Bool {
    header.opcode.rawValue == opcode && header.partitionID == request.partitionID && header.extentID == extent
      && header.extentOffset == nextOffset && header.kernelOffset == 0 && header.extentType % 2 == bit
  }

  /// Whether that reply, which was accepted, is the last one due.
  mutating func take(_ reply: TestPacket) -> Bool {
    let header = reply.header
    replies += 1
    guard header.resultCode.rawValue == 0xF0 else { return true }
    switch shape {
    case .mutated, .anything: return true
    case .block:
      received += UInt64(header.size)
      return received == UInt64(request.size)
    case .records:
      received += UInt64(header.size)
      return header.size < 2_400_000
    case .holes:
      if header.opcode.rawValue == 0x17 { return true }
      func number(_ range: Range<Int>) -> UInt64 { reply.argument[range].reduce(0) { $0 << 8 | UInt64($1) } }
      received += reply.argument[0] == UInt8(ascii: "E") ? number(1..<9) : UInt64(header.size)
      if announced == nil { announced = number(9..<17) }
      return received >= min(UInt64(request.size), announced ?? 0)
    }
  }
}
