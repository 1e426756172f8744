internal import NetEndpoint

/// What cannot be read as evidence: what is wrong, at which byte, and what would be right.
public struct EvidenceFailure: Error, Equatable, CustomStringConvertible {
  /// In one line.
  public let description: String

  init(_ problem: String, at offset: Int) { description = "byte \(offset): \(problem)" }
}

/// A file of the flight recorder, read back.
public struct StoredEvidence: Sendable, Equatable {
  /// A packet.
  public struct Packet: Sendable, Equatable {
    /// The name of its interface: `caller` or `peer`.
    public var side: String
    /// When it was seen, nanoseconds since 1970.
    public var time: UInt64
    /// What it was and what became of it.
    public var comment: String
    /// It came to Lanekeeper; else it left.
    public var isInbound: Bool
  }

  /// Keys of the log's line and their values, in order.
  public var facts: [(key: String, value: String)]
  /// The packets, in the order of the file.
  public var packets: [Packet]

  /// Equal facts and packets.
  public static func == (left: Self, right: Self) -> Bool {
    left.packets == right.packets && left.facts.map(\.key) == right.facts.map(\.key)
      && left.facts.map(\.value) == right.facts.map(\.value)
  }

  /// The value under a key of the log's line.
  public subscript(key: String) -> String? { facts.first { $0.key == key }?.value }

  /// The longest file that is read, bytes: the recorder's are hundreds of times shorter.
  public static let longest = 4 << 20

  /// Reads a file of the flight recorder.
  /// - Throws: where it is none, was changed, or ends too early.
  public init(_ bytes: [UInt8]) throws(EvidenceFailure) {
    var reader = BlockReader(bytes)
    guard let first = try reader.next(), first.type == PcapngWriter.Block.section else {
      throw EvidenceFailure("not a pcapng file: a section header block is wanted here", at: 0)
    }
    // Byte-order magic, version and the section's length stand before the options.
    let comment = try reader.options(first, from: 16).first { $0.code == PcapngWriter.Option.comment }
    let lines = String(decoding: comment?.value ?? [], as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    guard let mark = lines.first, mark == EvidenceFile.mark else {
      throw EvidenceFailure("a pcapng file of another program: the section's comment begins with \"\(EvidenceFile.mark)\" in ours", at: 0)
    }
    facts = []
    packets = []
    for line in lines.dropFirst() {
      guard let end = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
        throw EvidenceFailure("a line of the section's comment is no \"key: value\"", at: 0)
      }
      facts.append((String(line[..<end]), String(line[end...].dropFirst().drop { $0 == " " })))
    }
    var sides: [String] = []
    while let block = try reader.next() {
      switch block.type {
      case PcapngWriter.Block.interface:
        let name = try reader.options(block, from: 8).first { $0.code == PcapngWriter.Option.interfaceName }
        sides.append(String(decoding: name?.value ?? [], as: UTF8.self))
      case PcapngWriter.Block.packet:
        packets.append(try Self.packet(block, &reader, sides))
      default:
        // A file that another program has added to is still ours.
        continue
      }
    }
  }

  private static func packet(_ block: BlockReader.Block, _ reader: inout BlockReader, _ sides: [String]) throws(EvidenceFailure) -> Packet {
    let interface = try reader.word(block, 0)
    guard interface < UInt32(sides.count) else {
      throw EvidenceFailure("a packet of interface \(interface), and only \(sides.count) are described before it", at: block.offset)
    }
    let time = UInt64(try reader.word(block, 4)) << 32 | UInt64(try reader.word(block, 8))
    let captured = Int(try reader.word(block, 12))
    guard captured <= block.body.count - 20 else {
      throw EvidenceFailure("a packet of \(captured) bytes in a block of \(block.body.count)", at: block.offset)
    }
    let options = try reader.options(block, from: 20 + (captured + 3) / 4 * 4)
    let comment = options.first { $0.code == PcapngWriter.Option.comment }
    let flags = options.first { $0.code == PcapngWriter.Option.packetFlags }
    return Packet(
      side: sides[Int(interface)], time: time, comment: String(decoding: comment?.value ?? [], as: UTF8.self),
      isInbound: (flags?.value.first ?? 0) & 3 == 1)
  }
}

/// Takes a pcapng file of little-endian byte order apart, block by block.
private struct BlockReader {
  struct Block {
    var type: UInt32
    /// Where it begins in the file.
    var offset: Int
    /// What stands between its two lengths.
    var body: ArraySlice<UInt8>
  }

  private let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The next block; nil at the end.
  mutating func next() throws(EvidenceFailure) -> Block? {
    guard offset < bytes.count else { return nil }
    guard bytes.count - offset >= 12 else {
      throw EvidenceFailure("the file ends within a block: \(bytes.count - offset) bytes are left", at: offset)
    }
    let type = number(at: offset)
    if type == PcapngWriter.Block.section, number(at: offset + 8) != PcapngWriter.byteOrderMagic {
      throw EvidenceFailure("a section of another byte order than Lanekeeper writes (little endian)", at: offset)
    }
    let length = Int(number(at: offset + 4))
    guard offset > 0 || type == PcapngWriter.Block.section else {
      throw EvidenceFailure("not a pcapng file: it begins with \(String(type, radix: 16)), not with a section header (a0d0d0a)", at: 0)
    }
    guard length >= 12, length % 4 == 0 else {
      throw EvidenceFailure("a block's length is a multiple of 4 and at least 12; this one says \(length)", at: offset)
    }
    guard length <= bytes.count - offset else {
      throw EvidenceFailure("a block of \(length) bytes, and the file has only \(bytes.count - offset) more", at: offset)
    }
    guard Int(number(at: offset + length - 4)) == length else {
      throw EvidenceFailure("the length behind the block is not the one before it (\(length))", at: offset + length - 4)
    }
    let block = Block(type: type, offset: offset, body: bytes[(offset + 8)..<(offset + length - 4)])
    offset += length
    return block
  }

  /// A number in a block's body.
  func word(_ block: Block, _ position: Int) throws(EvidenceFailure) -> UInt32 {
    guard position + 4 <= block.body.count else {
      throw EvidenceFailure("a block of type \(block.type) is too short (\(block.body.count) bytes)", at: block.offset)
    }
    return number(at: block.body.startIndex + position)
  }

  /// The options of a block, which begin there in its body.
  func options(_ block: Block, from position: Int) throws(EvidenceFailure) -> [(code: UInt16, value: ArraySlice<UInt8>)] {
    var found: [(code: UInt16, value: ArraySlice<UInt8>)] = []
    var rest = block.body.dropFirst(position)
    while rest.count >= 4 {
      let head = number(at: rest.startIndex)
      let (code, length) = (UInt16(truncatingIfNeeded: head), Int(head >> 16))
      if code == PcapngWriter.Option.end { break }
      rest = rest.dropFirst(4)
      guard length <= rest.count else {
        throw EvidenceFailure("an option of \(length) bytes, and the block has only \(rest.count) more", at: rest.startIndex - 4)
      }
      found.append((code, rest.prefix(length)))
      rest = rest.dropFirst((length + 3) / 4 * 4)
    }
    return found
  }

  private func number(at index: Int) -> UInt32 {
    UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16 | UInt32(bytes[index + 3]) << 24
  }
}
