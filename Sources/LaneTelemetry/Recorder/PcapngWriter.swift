/// Writes blocks of a pcapng file (draft-ietf-opsawg-pcapng), little endian.
struct PcapngWriter {
  /// Types of blocks.
  enum Block {
    static let section: UInt32 = 0x0A0D_0D0A
    static let interface: UInt32 = 1
    static let packet: UInt32 = 6
  }

  /// Codes of options; each block has its own.
  enum Option {
    static let end: UInt16 = 0
    static let comment: UInt16 = 1
    static let interfaceName: UInt16 = 2
    static let packetFlags: UInt16 = 2
    static let interfaceDescription: UInt16 = 3
    static let application: UInt16 = 4
    static let timeResolution: UInt16 = 9
  }

  static let byteOrderMagic: UInt32 = 0x1A2B_3C4D
  /// LINKTYPE_RAW (tcpdump.org/linktypes.html): packets begin with an IP header.
  static let linkTypeRaw: UInt16 = 101
  /// An option's length has 16 bits.
  private static let longestOption = 65_532

  private(set) var bytes: [UInt8] = []

  /// The section's header, the first block.
  mutating func section(application: String, comment: String) {
    block(Block.section) { body in
      Self.put(Self.byteOrderMagic, &body)
      Self.put(UInt16(1), &body)
      Self.put(UInt16(0), &body)
      // The section's length is not given: there is one section.
      Self.put(UInt64.max, &body)
      Self.option(Option.comment, Array(comment.utf8), &body)
      Self.option(Option.application, Array(application.utf8), &body)
      Self.option(Option.end, [], &body)
    }
  }

  /// An interface; interfaces count from 0.
  mutating func interface(name: String, description: String) {
    block(Block.interface) { body in
      Self.put(Self.linkTypeRaw, &body)
      Self.put(UInt16(0), &body)
      // No limit to what is kept of each packet.
      Self.put(UInt32(0), &body)
      Self.option(Option.interfaceName, Array(name.utf8), &body)
      Self.option(Option.interfaceDescription, Array(description.utf8), &body)
      // Times are in nanoseconds.
      Self.option(Option.timeResolution, [9], &body)
      Self.option(Option.end, [], &body)
    }
  }

  /// A packet.
  /// - Parameters:
  ///   - time: nanoseconds since 1970.
  ///   - length: the whole packet's, bytes; `captured` holds the first of them.
  ///   - isInbound: it came to us.
  mutating func packet(interface: UInt32, time: UInt64, length: Int, captured: [UInt8], isInbound: Bool, comment: String) {
    block(Block.packet) { body in
      Self.put(interface, &body)
      Self.put(UInt32(truncatingIfNeeded: time >> 32), &body)
      Self.put(UInt32(truncatingIfNeeded: time), &body)
      Self.put(UInt32(clamping: captured.count), &body)
      Self.put(UInt32(clamping: length), &body)
      body += captured
      Self.pad(&body)
      Self.option(Option.comment, Array(comment.utf8), &body)
      var flags: [UInt8] = []
      Self.put(UInt32(isInbound ? 1 : 2), &flags)
      Self.option(Option.packetFlags, flags, &body)
      Self.option(Option.end, [], &body)
    }
  }

  private mutating func block(_ type: UInt32, _ fill: (inout [UInt8]) -> Void) {
    var body: [UInt8] = []
    fill(&body)
    let length = UInt32(clamping: body.count + 12)
    Self.put(type, &bytes)
    Self.put(length, &bytes)
    bytes += body
    Self.put(length, &bytes)
  }

  private static func option(_ code: UInt16, _ value: [UInt8], _ body: inout [UInt8]) {
    let value = value.prefix(Self.longestOption)
    Self.put(code, &body)
    Self.put(UInt16(value.count), &body)
    body += value
    Self.pad(&body)
  }

  private static func pad(_ body: inout [UInt8]) {
    while body.count % 4 != 0 { body.append(0) }
  }

  private static func put<Number: FixedWidthInteger>(_ number: Number, _ body: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { body.append(contentsOf: $0) }
  }
}
