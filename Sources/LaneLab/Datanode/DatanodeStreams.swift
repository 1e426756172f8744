internal import CubeFSWire

/// The operations with many replies.
extension DatanodeRules {
  /// Bytes of a block: 128 KiB, from v3.4.0 on the volume's own choice.
  func blockLength(partition: UInt64) -> Int {
    release != .v3_3_0 && partition % 16 == 11 ? 512 << 10 : 128 << 10
  }

  /// 05 06 09 59: blocks until Size bytes were sent; none at all where Size is 0.
  func blocks(_ request: LabPacket) -> [LabPacket] {
    let header = request.header
    var replies: [LabPacket] = []
    var current = request
    var left = Int64(header.size)
    var offset = header.extentOffset
    while left > 0 {
      let count = min(left, Int64(blockLength(partition: header.partitionID)))
      // The server's own packet carries the block's offset from here on, and its error shows it.
      current.header.extentOffset = offset
      if header.extentID == LabExtent.absent {
        let text =
          "ActionStreamRead_[extent_store.go 385] [Read] extent[\(header.extentID)] is already been deleted :: extent has been deleted"
        return replies + [error(current, .init(0xF5), text)]
      }
      guard offset >= 0, offset &+ count <= contents.extentSize(header.extentID) else {
        current.header.crc = 0
        return replies + [error(current, .init(0xF3), "ActionStreamRead_EOF")]
      }
      let bytes = contents.bytes(partition: header.partitionID, extent: header.extentID, offset: offset, count: Int(count))
      let reply = block(request, extent: header.extentID, offset: offset, payload: bytes)
      current.header.crc = reply.header.crc
      replies.append(reply)
      left -= count
      offset += count
    }
    return replies
  }

  /// 14: chunks of up to 2,400,000 bytes from the offset to the file's current end, under opcode F0.
  func tinyDeleteRecords(_ request: LabPacket) -> [LabPacket] {
    let partition = request.header.partitionID
    var replies: [LabPacket] = []
    var offset = request.header.extentOffset
    let end = contents.tinyDeleteFileSize(partition)
    while offset >= 0 && offset < end {
      let count = min(end - offset, 2_400_000)
      let bytes = contents.bytes(partition: partition, extent: 0, offset: offset, count: Int(count))
      replies.append(block(request, extent: 0, offset: offset, payload: bytes, opcode: 0xF0))
      offset += count
    }
    return replies
  }

  /// 15: one reply for each data or hole run, at most 128 KiB each; the last may go beyond what was asked for.
  func tinyRepair(_ request: LabPacket) -> [LabPacket] {
    let header = request.header
    guard header.extentID >= 1, header.extentID <= LabExtent.lastTiny else {
      return [error(request, .init(0xF3), "ActionStreamReadTinyExtentRepair_unavali extentID (\(header.extentID))")]
    }
    let runs = contents.tinyRuns(partition: header.partitionID, extent: header.extentID)
    let end = runs.last?.end ?? 0
    var offset = header.extentOffset
    var left = min(Int64(header.size), end &- offset)
    let available = left
    var replies: [LabPacket] = []
    while left > 0, let run = runs.first(where: { offset >= $0.offset && offset < $0.end }) {
      let count = min(run.end - offset, 128 << 10)
      let bytes =
        run.isHole ? [] : contents.bytes(partition: header.partitionID, extent: header.extentID, offset: offset, count: Int(count))
      var reply = block(request, extent: header.extentID, offset: offset, payload: bytes, extentType: 0)
      reply.argument = repairArgument(hole: run.isHole ? count : nil, available: available)
      reply.header.argLength = 17
      replies.append(reply)
      left -= count
      offset += count
    }
    return replies
  }

  /// 17: as 15 over a normal extent, under opcode 18, and one reply of its own at the end; its error comes twice.
  func snapshotRepair(_ request: LabPacket) -> [LabPacket] {
    let header = request.header
    guard header.extentID != LabExtent.absent else {
      let failure = error(request, .init(0xF5), "ActionStreamReadTinyExtentRepair_extent does not exist")
      return [failure, failure]
    }
    let end = contents.extentSize(header.extentID)
    var offset = header.extentOffset
    var left = min(Int64(header.size), end &- offset)
    let available = left
    var replies: [LabPacket] = []
    while left > 0 && offset >= 0 {
      let count = min(end - offset, 128 << 10)
      let bytes = contents.bytes(partition: header.partitionID, extent: header.extentID, offset: offset, count: Int(count))
      var reply = block(request, extent: header.extentID, offset: offset, payload: bytes, opcode: 0x18)
      reply.argument = repairArgument(hole: nil, available: available)
      reply.header.argLength = 17
      replies.append(reply)
      left -= count
      offset += count
    }
    return replies + [mutated(request)]
  }

  func repairArgument(hole: Int64?, available: Int64) -> [UInt8] {
    let kind: UInt8 = hole == nil ? 0 : UInt8(ascii: "E")
    return [kind] + bigEndianBytes(UInt64(clamping: hole ?? 0)) + bigEndianBytes(UInt64(clamping: available))
  }
}
