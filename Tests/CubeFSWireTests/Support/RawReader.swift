import CubeFSWire

/// A packet as an independent reader sees it: nothing here comes from CubeFSWire but the name of the release.
struct RawPacket: Equatable {
  var offset = 0
  var fields: [String: Int128] = [:]
  var versions: [[Int128]]?
  var headerLength = 0
  var argument: [UInt8] = []
  var payload: [UInt8] = []

  subscript(_ name: String) -> Int128 { fields[name] ?? -1 }
}

/// The wire format once more, written from its table alone, over arrays and with no regard to speed.
enum RawReader {
  enum Ending: Equatable {
    case clean
    case badMagic
    case truncated
  }

  /// Name, offset, length, signed.
  static let layout: [(String, Int, Int, Bool)] = [
    ("Magic", 0, 1, false), ("ExtentType", 1, 1, false), ("Opcode", 2, 1, false), ("ResultCode", 3, 1, false),
    ("RemainingFollowers", 4, 1, false), ("CRC", 5, 4, false), ("Size", 9, 4, false), ("ArgLen", 13, 4, false),
    ("PartitionID", 17, 8, false), ("ExtentID", 25, 8, false), ("ExtentOffset", 33, 8, true), ("ReqID", 41, 8, true),
    ("KernelOffset", 49, 8, false),
  ]

  /// Reads packets until the bytes end or make no sense.
  /// - Returns: the packets, how the stream ended, and the offset of the first byte that belongs to none of them.
  static func read(_ bytes: [UInt8], release: CubeFSRelease = .auto) -> (packets: [RawPacket], ending: Ending, consumed: Int) {
    var packets: [RawPacket] = []
    var position = 0
    while position < bytes.count {
      guard bytes[position] == 255 else { return (packets, .badMagic, position) }
      guard let packet = one(bytes, at: position, release) else { return (packets, .truncated, position) }
      packets.append(packet)
      position += packet.headerLength + packet.argument.count + packet.payload.count
    }
    return (packets, .clean, position)
  }

  private static func one(_ bytes: [UInt8], at start: Int, _ release: CubeFSRelease) -> RawPacket? {
    var position = start
    func take(_ count: Int) -> [UInt8]? {
      guard bytes.count - position >= count else { return nil }
      defer { position += count }
      return Array(bytes[position..<position + count])
    }
    var packet = RawPacket(offset: start)
    guard let fixed = take(57) else { return nil }
    for (name, offset, length, signed) in layout { packet.fields[name] = number(fixed[offset..<offset + length], signed: signed) }
    let flags = packet["ExtentType"]
    let (knowsProtocol, knowsVersions) =
      switch release {
      case .auto, .v3_5_3: (true, true)
      case .v3_4_0: (false, true)
      case .v3_3_0: (false, false)
      }
    if knowsProtocol && flags & 0x10 > 0 {
      guard let sequence = take(8), let version = take(4) else { return nil }
      packet.fields["VerSeq"] = number(sequence[...], signed: false)
      packet.fields["ProtoVersion"] = number(version[...], signed: false)
    } else if knowsVersions && flags & 0x80 > 0 {
      guard let sequence = take(8) else { return nil }
      packet.fields["VerSeq"] = number(sequence[...], signed: false)
    }
    if knowsVersions && flags & 0x40 > 0 {
      guard let count = take(2) else { return nil }
      var list: [[Int128]] = []
      for _ in 0..<number(count[...], signed: false) {
        guard let entry = take(17) else { return nil }
        list.append([number(entry[0..<8], signed: false), number(entry[8..<16], signed: false), Int128(entry[16])])
      }
      packet.versions = list
    }
    packet.headerLength = position - start
    guard let argument = take(Int(packet["ArgLen"])) else { return nil }
    packet.argument = argument
    var readRequests: [Int128] = [4, 5, 6, 9, 20, 21]
    if release != .v3_3_0 { readRequests.append(23) }
    if release != .v3_4_0 { readRequests.append(89) }
    let isReadRequest = packet["ResultCode"] == 0 && readRequests.contains(packet["Opcode"])
    guard let payload = take(isReadRequest ? 0 : Int(packet["Size"])) else { return nil }
    packet.payload = payload
    return packet
  }

  private static func number(_ bytes: ArraySlice<UInt8>, signed: Bool) -> Int128 {
    var value: Int128 = 0
    for byte in bytes { value = value * 256 + Int128(byte) }
    if signed && bytes.first ?? 0 > 127 { value -= 1 << Int128(bytes.count * 8) }
    return value
  }
}

extension RawPacket {
  /// The same packet as CubeFSWire's header has it; versions and optional fields included.
  init(_ header: PacketHeader, offset: Int, argument: [UInt8], payload: [UInt8], headerLength: Int) {
    self.offset = offset
    self.argument = argument
    self.payload = payload
    self.headerLength = headerLength
    fields = [
      "Magic": Int128(header.magic), "ExtentType": Int128(header.extentType), "Opcode": Int128(header.opcode.rawValue),
      "ResultCode": Int128(header.resultCode.rawValue), "RemainingFollowers": Int128(header.remainingFollowers),
      "CRC": Int128(header.crc), "Size": Int128(header.size), "ArgLen": Int128(header.argLength),
      "PartitionID": Int128(header.partitionID), "ExtentID": Int128(header.extentID), "ExtentOffset": Int128(header.extentOffset),
      "ReqID": Int128(header.reqID), "KernelOffset": Int128(header.kernelOffset),
    ]
    fields["VerSeq"] = header.verSeq.map { Int128($0) }
    fields["ProtoVersion"] = header.protoVersion.map { Int128($0) }
    versions = header.versions?.map { [Int128($0.sequence), Int128($0.deletionTime), Int128($0.status)] }
  }
}
