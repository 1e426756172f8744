internal import CubeFSWire

/// What a scripted datanode can do wrong, or unusually, with one operation.
enum FaultKind: String, CaseIterable, Sendable {
  /// A reply bears a ReqID that nobody asked with.
  case wrongStamp
  /// A reply is sent twice.
  case duplicate
  /// The reply of the connection's previous operation comes in front of this one's.
  case late
  /// A reply names another partition.
  case swappedPartition
  /// A reply names another extent.
  case swappedExtent
  /// A reply names another offset.
  case swappedOffset
  /// A reply bears another operation's opcode.
  case swappedOpcode
  /// One byte of a payload differs from what its CRC was taken over.
  case flippedPayloadByte
  /// Half a reply, then FIN.
  case truncated
  /// A reply with more bytes than were asked for, or than the protocol allows.
  case oversized
  /// A reply on an idle connection.
  case replyWithoutRequest
  /// A reply as soon as the connection is accepted.
  case replyBeforeRequest
  /// A reply after some 100 ms.
  case slow
  /// No reply.
  case silent
  /// Half a reply, then RST.
  case reset
  /// A reply in pieces of one byte, a large one partly in larger pieces.
  case oneBytePieces
  /// An error packet in the middle of a truncated block (PROTOCOL.md 6.2).
  case errorInBlock

  /// Correct replies, only delivered oddly: the operation has to succeed.
  var isHarmless: Bool { self == .slow || self == .oneBytePieces }

  /// True where the fault belongs to an accepted connection and not to an operation.
  var isOfConnection: Bool { self == .replyBeforeRequest }

  /// True where the datanode never answers on that connection again and does not close it either. A caller may have pooled
  /// it, and the next operation there has no deadline where it is 08, 66, 67 or 68: it hangs, as it does in a real cluster.
  var endsInSilence: Bool { self == .silent || self == .errorInBlock }

  /// True where an operation with that opcode can show the fault: swapped fields must be ones that have to echo, flipped
  /// bytes need a CRC, silence needs a caller who gives up within seconds.
  func suits(_ opcode: UInt8) -> Bool {
    switch self {
    case .wrongStamp, .truncated, .reset, .slow, .oneBytePieces: opcode != LabOpcode.unknown && opcode != 0x04
    case .duplicate: [0x07, 0x08, 0x0A, 0x10, 0x11, 0x16, 0x09, 0x05, 0x06, 0x63, 0x03].contains(opcode)
    case .late, .replyWithoutRequest: [0x07, 0x08, 0x0A, 0x10, 0x11, 0x16, 0x63].contains(opcode)
    case .swappedPartition: ![0x60, 0x66, 0x67, 0x68, LabOpcode.unknown, LabOpcode.future, 0x04].contains(opcode)
    case .swappedExtent: [0x09, 0x15, 0x05, 0x06, 0x03, 0x13, 0x02].contains(opcode)
    case .swappedOffset: [0x09, 0x15, 0x05, 0x06, 0x03, 0x13].contains(opcode)
    case .swappedOpcode: [0x07, 0x08, 0x0A, 0x10, 0x11, 0x16, 0x09, 0x05, 0x06, 0x02, 0x03, 0x13].contains(opcode)
    case .flippedPayloadByte: [0x09, 0x14, 0x15, 0x17, 0x05, 0x06, 0x59].contains(opcode)
    case .oversized: [0x09, 0x05, 0x06, 0x10, 0x11, 0x16].contains(opcode)
    case .silent: [0x14, 0x03].contains(opcode)
    case .errorInBlock: [0x09, 0x14, 0x05, 0x06].contains(opcode)
    case .replyBeforeRequest: false
    }
  }

  /// The reason codes by which the sidecar may report the fault.
  var reasons: Set<String> {
    let lost: Set = ["upstream-closed", "upstream-reset", "upstream-truncated"]
    return switch self {
    case .wrongStamp: ["stamp-unknown"]
    case .duplicate, .late, .replyWithoutRequest, .replyBeforeRequest:
      ["stamp-unknown", "reply-unsolicited", "reply-surplus", "unread-bytes", "reply-before-request"]
    case .swappedPartition: ["partition-mismatch"]
    case .swappedExtent: ["extent-mismatch"]
    case .swappedOffset: ["offset-mismatch"]
    case .swappedOpcode: ["opcode-mismatch", "limit-exceeded"]
    case .flippedPayloadByte: ["payload-crc"]
    case .truncated, .reset: lost
    case .oversized: ["size-out-of-bounds", "limit-exceeded"]
    case .silent: ["deadline"]
    case .errorInBlock: lost.union(["payload-crc", "deadline", "bad-magic"])
    case .slow, .oneBytePieces: []
    }
  }

  /// True where a report is due each time. A duplicate may also be lost with the connection it came on.
  var mustBeReported: Bool {
    switch self {
    case .duplicate, .replyWithoutRequest, .replyBeforeRequest, .slow, .oneBytePieces: false
    default: true
    }
  }
}
