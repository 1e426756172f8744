internal import CubeFSWire

/// Makes operations, each with a PartitionID of its own, the same ones for the same seed.
struct Workload {
  private var random: LabRandom
  private var nextKey: UInt64
  private let contents: Contents
  let release: CubeFSRelease

  /// - Parameter firstKey: the first PartitionID given out; the workloads of a run have ranges of their own.
  init(seed: UInt64, firstKey: UInt64, contents: Contents, release: CubeFSRelease) {
    random = LabRandom(seed: seed ^ firstKey &* 0x9E37)
    nextKey = firstKey
    self.contents = contents
    self.release = release
  }

  /// One operation of a class.
  mutating func operation(_ kind: LabClass) -> LabOperation {
    let opcodes: [UInt8] =
      switch kind {
      case .repairStream: release == .v3_3_0 ? [0x09, 0x09, 0x14, 0x15] : [0x09, 0x09, 0x14, 0x15, 0x17]
      case .repairControl: [0x07, 0x08, 0x0A, 0x10, 0x11, 0x16]
      case .deletion: release == .v3_3_0 ? [0x02, 0x75] : [0x02, 0x75, 0x57, 0x58, 0x76, 0xD6]
      case .replication: release == .v3_3_0 ? [0x01, 0x03, 0x13] : [0x01, 0x03, 0x13, 0x5A]
      // The reader of a v3.4.0 server waits for a payload after 59, and fsck sends none.
      case .read: release == .v3_5_3 ? [0x05, 0x06, 0x59] : [0x05, 0x06]
      case .admin: [0x60, 0x61, 0x62, 0x63, 0x63, 0x66, 0x67, 0x68]
      case .other: [LabOpcode.unknown, LabOpcode.future, LabOpcode.future, LabOpcode.future]
      }
    return operation(opcodes[random.below(opcodes.count)])
  }

  /// One operation with that opcode.
  mutating func operation(_ opcode: UInt8) -> LabOperation {
    let key = nextKey
    nextKey += 1
    let extent = 1_025 + UInt64(random.below(50_000))
    let offset = Int64(random.below(1_000)) * 4_096
    switch opcode {
    case 0x09, 0x17, 0x05, 0x06, 0x59:
      let isRepair = opcode == 0x09 || opcode == 0x17
      let size = random.below(10) == 0 ? 100_000 + random.below(300_000) : 1 + random.below(16_384)
      let named: UInt64 =
        switch random.below(60) {
        case 0: LabExtent.absent
        // 17 beyond an extent's end is answered with nothing but its last reply, and the reader waits a minute for more.
        case 1: opcode == 0x17 ? extent : LabExtent.short
        default: extent
        }
      return LabOperation(
        request: .request(opcode, partition: key, extent: named, offset: offset, size: UInt32(size), extentType: 1),
        site: isRepair ? .repair : .clientRead)
    case 0x15: return tinyRepair(key)
    case 0x14:
      let end = contents.tinyDeleteFileSize(key)
      return LabOperation(request: .request(opcode, partition: key, size: 0), site: .tinyDelete(until: end))
    case 0x07:
      let tiny = random.below(3) == 0
      let asked = tiny ? Array("[\(1 + random.below(30)),\(31 + random.below(30))]".utf8) : []
      return LabOperation(request: .request(opcode, partition: key, extentType: tiny ? 0 : 1, payload: asked), site: .watermarks)
    case 0x08: return notify(key, extent)
    case 0x0A: return LabOperation(request: .request(opcode, partition: key, payload: bigEndianBytes(key)), site: .unchecked)
    case 0x10, 0x16: return LabOperation(request: .request(opcode, partition: key), site: .query)
    case 0x11: return LabOperation(request: .request(opcode, partition: key, extent: extent), site: .query)
    case 0x01, 0x03, 0x13, 0x5A: return write(opcode, key, extent, offset)
    case 0x02, 0xD6, 0x57, 0x58, 0x75, 0x76: return deletion(opcode, key, extent, offset)
    case 0x60...0x6F: return task(opcode, key)
    default:
      let site: CallSite = opcode == 0x04 ? .silent : .probe
      return LabOperation(request: .request(opcode, partition: key, extent: extent, extentType: 1), site: site)
    }
  }

  /// A request to which no reply is due.
  /// - Parameter known: only ones whose header says so; to the others an error may be the answer, as where the peer is down.
  mutating func silent(known: Bool = false) -> LabOperation {
    let key = nextKey
    nextKey += 1
    // A partition that does not exist answers with an error, whatever was asked.
    if LabExtent.isAbsent(partition: key) { return silent(known: known) }
    let request: LabPacket =
      switch known ? 0 : random.below(3) {
      case 0: .request(0x09, partition: key, extent: 1_025, size: 0, extentType: 1)
      case 1: .request(0x15, partition: key, extent: 5, offset: 1 << 30, size: 8_192)
      default: .request(0x14, partition: key, offset: 1 << 30, size: 0)
      }
    return LabOperation(request: request, site: .silent)
  }

  private mutating func tinyRepair(_ key: UInt64) -> LabOperation {
    let extent = UInt64(1 + random.below(60))
    let end = contents.tinyRuns(partition: key, extent: extent).last?.end ?? 0
    let offset = Int64(random.below(Int(end) / 4_096)) * 4_096
    return LabOperation(
      request: .request(0x15, partition: key, extent: extent, offset: offset, size: UInt32(truncatingIfNeeded: end - offset)),
      site: .repair)
  }

  private mutating func notify(_ key: UInt64, _ extent: UInt64) -> LabOperation {
    let body =
      "{\"TaskType\":0,\"ExtentsToBeCreated\":[],\"ExtentsToBeRepaired\":[{\"fileId\":\(extent),\"size\":4096,\"Crc\":0,\"deleted\":false,"
      + "\"modTime\":1700000000,\"accessTime\":0,\"src\":\"127.0.0.1:17310\"}],\"LeaderTinyDeleteRecordFileSize\":0,"
      + "\"LeaderAddr\":\"127.0.0.1:17310\"}"
    return LabOperation(request: .request(0x08, partition: key, extentType: 1, payload: Array(body.utf8)), site: .unchecked)
  }

  private mutating func write(_ opcode: UInt8, _ key: UInt64, _ extent: UInt64, _ offset: Int64) -> LabOperation {
    let count = opcode == 0x01 ? 0 : random.below(20) == 0 ? 128 << 10 : 1 + random.below(4_096)
    let payload = contents.bytes(partition: key, extent: extent, offset: offset, count: count)
    var request = LabPacket.request(opcode, partition: key, extent: extent, offset: offset, extentType: 1, payload: payload)
    if opcode != 0x01 { request.header.crc = PayloadCRC.of(payload) }
    request.header.kernelOffset = UInt64(random.below(1 << 20))
    // The norm for writes between datanodes of v3.5.3.
    if release == .v3_5_3 {
      request.header.extentType |= ExtentTypeBits.protocolVersion
      request.header.verSeq = 0
      request.header.protoVersion = 1
    }
    return LabOperation(request: request, site: .follower)
  }

  private mutating func deletion(_ opcode: UInt8, _ key: UInt64, _ extent: UInt64, _ offset: Int64) -> LabOperation {
    let tiny = opcode == 0x02 && random.below(2) == 0
    let one =
      "{\"FileOffset\":0,\"PartitionId\":\(key),\"ExtentId\":\(extent),\"ExtentOffset\":\(offset),\"Size\":4096,\"CRC\":0}"
    let body =
      switch opcode {
      case 0x02, 0xD6: tiny ? one : ""
      case 0x57: "{\"IsCreate\":false,\"BeforeTime\":0,\"Eks\":[\(one)],\"Flag\":0}"
      default: "[\(one)]"
      }
    let marks = opcode == 0x02 || opcode == 0xD6
    var request = LabPacket.request(
      opcode, partition: key, extent: marks ? (tiny ? 5 : extent) : 0, offset: tiny ? offset : 0, extentType: tiny ? 0 : 1,
      payload: Array(body.utf8))
    if tiny { request.header.crc = PayloadCRC.of(request.payload) }
    return LabOperation(request: request, site: .follower)
  }

  private mutating func task(_ opcode: UInt8, _ key: UInt64) -> LabOperation {
    let body = "{\"OpCode\":\(opcode),\"Request\":{\"PartitionId\":\(key &+ LabOpcode.adminPartitionShift)}}"
    let forwarded = (0x66...0x68).contains(opcode)
    return LabOperation(
      request: .request(opcode, partition: key, payload: Array(body.utf8)), site: forwarded ? .unchecked : .master)
  }
}
