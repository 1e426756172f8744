import CubeFSWire
import TestBytes

/// PROTOCOL.md sections 1, 2 and 6 once more, as a fresh reader took them down: what a caller must see for any bytes that a peer
/// answers, and what a peer must see for any bytes that a caller sends. It knows nothing of the program's own tables.
enum ProtocolTable {
  /// What an OK reply is like.
  enum Shape: Equatable {
    /// The request object with one of these payload lengths; empty: any length.
    case mutated([Int])
    case block
    /// Data and holes under that opcode, bit 0 of ExtentType as given.
    case holes(UInt8, UInt8)
    case records
    case unknown
  }

  static let mutatedWithoutPayload: [UInt8] = [
    0x01, 0x02, 0xD6, 0x75, 0x76, 0x57, 0x58, 0x03, 0x13, 0x0F, 0x12, 0xB1, 0xB2, 0xB3, 0xB4, 0xB6, 0xB7, 0x08, 0x0A, 0x5A,
  ]
  static let admin: [UInt8] = [
    0x60, 0x61, 0x62, 0x63, 0x66, 0x67, 0x68, 0x69, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F, 0x80, 0x8A, 0x8B, 0x8C, 0xD5,
  ]
  /// Every opcode of section 2 that is due an answer, and two that no release knows.
  static let answered: [UInt8] =
    mutatedWithoutPayload + admin + [0x05, 0x06, 0x59, 0x07, 0x10, 0x11, 0x16, 0x09, 0x15, 0x17, 0x14, 0xEA, 0x21]
  /// Callers that would take an error reply for success, or of which nothing is known: sections 3 and 6.
  static func mustReset(_ opcode: UInt8) -> Bool { [0x08, 0x0A, 0x66, 0x67, 0x68].contains(opcode) || shape(opcode) == .unknown }
  /// Read requests announce in Size what they ask for: section 1.
  static let reads: Set<UInt8> = [0x04, 0x05, 0x06, 0x09, 0x14, 0x15, 0x17, 0x59]

  static func shape(_ opcode: UInt8) -> Shape {
    switch opcode {
    case 0x07: .mutated([])
    case 0x10: .mutated([8])
    case 0x11: .mutated([8, 16])
    case 0x16: .mutated([16])
    case 0x05, 0x06, 0x09, 0x59: .block
    case 0x15: .holes(0x15, 0)
    case 0x17: .holes(0x18, 1)
    case 0x14: .records
    default: mutatedWithoutPayload.contains(opcode) ? .mutated([0]) : admin.contains(opcode) ? .mutated([]) : .unknown
    }
  }

  private static let mebibyte = 1 << 20

  private static func requestLimit(_ opcode: UInt8) -> Int {
    switch opcode {
    case 0x07, 0x08, 0x57, 0x58, 0x75, 0x76, 0x60...0x6F, 0x80, 0x8A...0x8C, 0xD5: 64 * mebibyte
    case 0x03, 0x13, 0x0F, 0x12, 0xB1...0xB7: 16 * mebibyte
    case 0x01, 0x02, 0xD6, 0x18: mebibyte
    case 0xF0: 4 * mebibyte
    case 0x0A, 0x10, 0x11, 0x16: 4096
    default: 160 * mebibyte
    }
  }

  private static func replyLimit(_ opcode: UInt8, isError: Bool) -> Int {
    switch opcode {
    case _ where isError: mebibyte
    case 0x07: 64 * mebibyte
    case 0x05, 0x06, 0x09, 0x59: 8 * mebibyte
    case 0x14, 0xF0: 4 * mebibyte
    case 0x0A, 0x10, 0x11, 0x16: 4096
    default: shape(opcode) != .unknown || [0x18, 0xB5].contains(opcode) || (0x60...0x6F).contains(opcode) ? mebibyte : 160 * mebibyte
    }
  }

  /// Where the parts of the packet at the front of `bytes` end; nil where a length is over its limit or the magic is wrong.
  private struct Layout {
    var header: PacketHeader
    /// After VerSeq, ProtoVersion and the list's count; for blocks with an Arg that says what they are, after it.
    var head: Int
    var argument: Int
    var payload: Int
    var end: Int

    init?(_ bytes: [UInt8], isReply: Bool) {
      guard bytes.first == 0xFF, let header = PacketHeader(parsing: bytes, release: .v3_3_0) else { return nil }
      self.header = header
      let opcode = header.opcode.rawValue
      let result = header.resultCode.rawValue
      let announcesOnly = !isReply && reads.contains(opcode)
      let size = announcesOnly || (isReply && result == 0 && reads.contains(opcode)) ? 0 : Int(header.size)
      let limit = isReply ? replyLimit(opcode, isError: result != 0 && result != 0xF0) : requestLimit(opcode)
      guard size <= limit, header.argLength <= 65_536 else { return nil }
      let flags = header.extentType
      head = 57 + (flags & 0x10 != 0 ? 12 : flags & 0x80 != 0 ? 8 : 0)
      var list = 0
      if flags & 0x40 != 0 {
        head += 2
        if bytes.count >= head { list = Int(bytes[head - 2]) << 8 | Int(bytes[head - 1]) }
        guard list <= 3855 else { return nil }
      }
      argument = head + 17 * list
      payload = argument + Int(header.argLength)
      end = payload + size
      if isReply && list == 0 && header.argLength == 17 && [0x15, 0x18].contains(opcode) { head = payload }
    }
  }

  /// What the caller must see.
  enum CallerSees: Equatable {
    /// That many bytes of the stream, and nothing more.
    case passed(Int)
    /// An error reply of the sidecar's, or a reset where the caller would not look. `peerMustEnd`: only when the peer closes.
    case refused(peerMustEnd: Bool)
    /// A reply that begins and never completes: a reset.
    case cutOff
    /// The payload is wrong: an error reply if all of it was there at once, else a reset before the last byte.
    case withheld
  }

  /// Judges a peer's answer, which may be anything, as the first to that request.
  static func callerSees(_ stream: [UInt8], to request: PacketHeader) -> CallerSees {
    guard stream.count >= 57, let layout = Layout(stream, isReply: true) else {
      return .refused(peerMustEnd: stream.count < 57)
    }
    guard stream.count >= layout.head else { return .refused(peerMustEnd: true) }
    let header = layout.header
    guard header.reqID == request.reqID, header.resultCode.rawValue != 0 else { return .refused(peerMustEnd: false) }
    let shape = shape(request.opcode.rawValue)
    let isOK = header.resultCode.rawValue == 0xF0
    let isRight =
      shape == .unknown || (isOK ? isRightAnswer(header, shape, request, stream, layout.argument) : isRightError(header, shape, request))
    guard isRight else { return .refused(peerMustEnd: false) }
    guard stream.count >= layout.end else { return .cutOff }
    switch shape {
    case .mutated, .unknown: break
    case .block, .holes, .records:
      if isOK && crc32(stream[layout.payload..<layout.end]) != header.crc { return .withheld }
    }
    return .passed(layout.end)
  }

  private static func isRightError(_ header: PacketHeader, _ shape: Shape, _ request: PacketHeader) -> Bool {
    var isStream = true
    if case .mutated = shape { isStream = false }
    return header.opcode == request.opcode && [0, request.argLength].contains(header.argLength)
      && isRequestObject(header, request, anyCRC: isStream)
  }

  private static func isRequestObject(_ header: PacketHeader, _ request: PacketHeader, anyCRC: Bool) -> Bool {
    let partitionIsTheJSONs = [0x60, 0x66, 0x67, 0x68].contains(request.opcode.rawValue)
    return header.extentType & 1 == request.extentType & 1 && (partitionIsTheJSONs || header.partitionID == request.partitionID)
      && header.extentID == request.extentID && header.extentOffset == request.extentOffset && (anyCRC || header.crc == request.crc)
      && header.kernelOffset == request.kernelOffset
  }

  private static func isRightAnswer(
    _ header: PacketHeader, _ shape: Shape, _ request: PacketHeader, _ stream: [UInt8], _ argument: Int
  ) -> Bool {
    let opcode = header.opcode.rawValue
    func isBlock(_ right: UInt8, _ bit: UInt8, extent: UInt64) -> Bool {
      opcode == right && header.extentType & 1 == bit && header.extentID == extent && header.partitionID == request.partitionID
        && header.extentOffset == request.extentOffset && header.kernelOffset == 0
    }
    switch shape {
    case .mutated(let sizes):
      let asked = request.opcode.rawValue
      // B3 and B4 come back as B5; that their own opcode came back would prove nothing wrong.
      let opcodes = [0xB3, 0xB4].contains(asked) ? [0xB5, asked] : [asked]
      return opcodes.contains(opcode) && header.argLength == 0 && (sizes.isEmpty || sizes.contains(Int(header.size)))
        && isRequestObject(header, request, anyCRC: false)
    case .block:
      return isBlock(request.opcode.rawValue, 1, extent: request.extentID) && header.argLength == 0 && header.size > 0
        && header.size <= request.size
    case .records:
      return isBlock(0xF0, 1, extent: 0) && header.argLength == 0 && header.size > 0 && header.size <= 2_400_000 && header.size % 24 == 0
    case .holes(let right, let bit):
      if request.opcode.rawValue == 0x17 && opcode == 0x17 {
        return header.argLength == 0 && header.size == 0 && isRequestObject(header, request, anyCRC: false)
      }
      guard isBlock(right, bit, extent: request.extentID), header.argLength == 17, stream.count > argument else { return false }
      return stream[argument] != UInt8(ascii: "E") || header.size == 0
    case .unknown: return true
    }
  }

  /// What the peer must see of a caller's bytes.
  enum PeerSees: Equatable {
    /// Nothing at all; the caller is reset.
    case nothing
    /// The whole packet, of that many bytes. Where more bytes followed, the caller is reset afterwards.
    case packet(Int)
    /// At most the bytes there are: the packet never completes.
    case part
  }

  /// Judges a caller's bytes.
  static func peerSees(_ stream: [UInt8]) -> PeerSees {
    guard let layout = Layout(stream, isReply: false), layout.header.resultCode.rawValue == 0 || stream.count < layout.head else {
      return .nothing
    }
    return stream.count >= layout.end ? .packet(layout.end) : .part
  }
}
