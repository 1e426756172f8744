internal import CubeFSWire

/// What a correct datanode of one release answers to one request: the datanode's own behaviour and the oracle's expectation.
///
/// Written from PROTOCOL.md section 2 and held against the live captures by the tests; it shares nothing with the judge.
struct DatanodeRules: Sendable {
  let release: CubeFSRelease
  let contents: Contents
  /// How long a part of a packet may take to be written, nanoseconds. CubeFS `proto.WriteDeadlineTime`.
  var writeDeadline: Int64 = 5_000_000_000

  /// Every reply due, in order; empty where none is. An error, where there is one, is the last (17: the last two).
  func replies(to request: LabPacket) -> [LabPacket] {
    let opcode = request.header.opcode.rawValue
    guard Self.handled(opcode, release) else {
      return opcode == 0x04 ? [] : [error(request, .init(0xF4), "unknown opcode_unknown opcode\(opcode)")]
    }
    if let refusal = preparation(request) { return [refusal] }
    return switch opcode {
    case 0x05, 0x06, 0x09, 0x59: blocks(request)
    case 0x14: tinyDeleteRecords(request)
    case 0x15: tinyRepair(request)
    case 0x17: snapshotRepair(request)
    case 0x07: [mutated(request, payload: watermarks(request))]
    case 0x08: [notified(request)]
    case 0x10: [mutated(request, payload: bigEndianBytes(contents.appliedID(partition(request))))]
    case 0x11: [mutated(request, payload: partitionSize(request))]
    case 0x16:
      [
        mutated(
          request,
          payload: bigEndianBytes(contents.maxExtentID(partition(request))) + bigEndianBytes(contents.partitionSize(partition(request))))
      ]
    case 0x60, 0x67, 0x68: [named(mutated(request))]
    case 0x66: [named(error(request, .init(0xF8), "ActionDecommissionPartition_raft: the replica is no member"))]
    case 0x03, 0x13, 0x0F, 0x12, 0x5A, 0xB1...0xB4, 0xB6, 0xB7: [written(request)]
    case LabOpcode.future: [mutated(request, payload: bigEndianBytes(contents.hash(request.header.partitionID, 0, 10)))]
    default: [mutated(request)]
    }
  }

  /// PROTOCOL.md, "Opcodes by release".
  static func handled(_ opcode: UInt8, _ release: CubeFSRelease) -> Bool {
    switch opcode {
    case 0x01...0x03, 0x05...0x0A, 0x0F...0x16, 0x60...0x63, 0x66...0x69, 0x75: true
    case 0x57...0x5A, 0x76, 0x17, 0xD6, 0xB1...0xB4, 0xB6, 0xB7, 0xD5, 0x6B...0x6F, 0x80: release != .v3_3_0
    case 0x8A...0x8C: release == .v3_5_3
    case LabOpcode.future: true
    default: false
    }
  }

  /// What fails before an operation starts, and so overtakes those before it (PROTOCOL.md 6.1).
  func preparation(_ request: LabPacket) -> LabPacket? {
    let opcode = request.header.opcode.rawValue
    // Tasks that name no partition in the header, or make one, are not looked up.
    let looksUp =
      switch opcode {
      case 0x60, 0x63, 0x66...0x68, 0x6B...0x6F, 0x80, 0x8A...0x8C, 0xD5, LabOpcode.future: false
      default: true
      }
    if looksUp && LabExtent.isAbsent(partition: request.header.partitionID) {
      let suffix = release == .v3_3_0 ? "" : " \(request.header.partitionID)"
      return error(request, .init(0xFC), "ActionPreparePkt_data partition not exists\(suffix)")
    }
    switch opcode {
    case 0x03, 0x13, 0x0F, 0x12, 0x5A, 0xB1...0xB4, 0xB6, 0xB7:
      guard request.header.crc == PayloadCRC.of(request.payload) else {
        return error(request, .init(0xF3), "ActionPreparePkt_packet Crc is incorrect")
      }
    default: break
    }
    return nil
  }

  /// The request object sent back: everything echoes but the result, Size and Arg.
  func mutated(_ request: LabPacket, payload: [UInt8] = []) -> LabPacket {
    var reply = request
    reply.header.resultCode = .ok
    reply.header.size = UInt32(truncatingIfNeeded: payload.count)
    reply.header.argLength = 0
    reply.argument = []
    reply.payload = payload
    return reply
  }

  /// The request object with a result and a text; Arg stays where the local step failed.
  func error(_ request: LabPacket, _ result: ResultCode, _ text: String) -> LabPacket {
    var reply = request
    reply.header.resultCode = result
    reply.payload = Array(text.utf8)
    reply.header.size = UInt32(truncatingIfNeeded: reply.payload.count)
    return reply
  }

  /// A new packet, as stream reads send them.
  func block(
    _ request: LabPacket, extent: UInt64, offset: Int64, payload: [UInt8], opcode: UInt8? = nil, extentType: UInt8 = 1
  )
    -> LabPacket
  {
    var reply = LabPacket()
    reply.header.extentType = extentType
    reply.header.opcode = opcode.map { Opcode($0) } ?? request.header.opcode
    reply.header.resultCode = .ok
    reply.header.crc = PayloadCRC.of(payload)
    reply.header.size = UInt32(truncatingIfNeeded: payload.count)
    reply.header.partitionID = request.header.partitionID
    reply.header.extentID = extent
    reply.header.extentOffset = offset
    reply.header.reqID = request.header.reqID
    reply.payload = payload
    return reply
  }

  private func partition(_ request: LabPacket) -> UInt64 { request.header.partitionID }

  private func watermarks(_ request: LabPacket) -> [UInt8] {
    let tiny = request.header.extentType & 1 == 0 ? LabJSON.numbers(request.payload) : nil
    return contents.watermarks(partition: partition(request), tiny: tiny, release: release)
  }

  private func partitionSize(_ request: LabPacket) -> [UInt8] {
    let size = bigEndianBytes(contents.partitionSize(partition(request)))
    return release == .v3_5_3 ? size + bigEndianBytes(contents.hash(partition(request), 0, 11) >> 24) : size
  }

  private func notified(_ request: LabPacket) -> LabPacket {
    LabJSON.isValid(request.payload) ? mutated(request) : error(request, .init(0xF3), "ActionRepair:_unexpected end of JSON input")
  }

  private func named(_ reply: LabPacket) -> LabPacket {
    var named = reply
    named.header.partitionID &+= LabOpcode.adminPartitionShift
    return named
  }

  private func written(_ request: LabPacket) -> LabPacket {
    var reply = mutated(request)
    let opcode = request.header.opcode.rawValue
    if opcode == 0xB3 || opcode == 0xB4 { reply.header.opcode = Opcode(0xB5) }
    if release != .v3_3_0 && opcode != 0x5A && LabExtent.isSnapshotVolume(partition: partition(request)) {
      reply.header.extentType |= 0xC0
      reply.header.verSeq = 1_700_000_000_000_000
      reply.header.versions = [
        .init(sequence: 0, deletionTime: 0, status: 1), .init(sequence: 1_700_000_000_000_000, deletionTime: 0, status: 1),
      ]
    }
    return reply
  }
}

/// Opcodes with a meaning of their own in the lab.
enum LabOpcode {
  /// Stands for an opcode that a later release adds: the datanode knows it, the sidecar's table does not.
  static let future: UInt8 = 0xC0
  /// In no release.
  static let unknown: UInt8 = 0x1F
  /// The admin tasks whose reply names the partition of their JSON name this much more than the header does.
  static let adminPartitionShift: UInt64 = 1 << 40
}
