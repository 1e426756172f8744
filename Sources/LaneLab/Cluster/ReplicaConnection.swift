internal import CubeFSWire

/// One accepted connection of a datanode that keeps replicas.
struct ReplicaConnection {
  /// CubeFS `datanode/const.go` `MaxSyncTinyDeleteBufferSize`.
  private static let tinyDeleteChunk: Int64 = 2_400_000

  let node: ClusterNode
  let socket: LabSocket
  let ledger: DatanodeLedger
  let number: Int
  /// An error reply went out: one more packet is read, dropped, and the connection closed (PROTOCOL.md section 2).
  private var doomed = false

  init(node: ClusterNode, socket: LabSocket, ledger: DatanodeLedger, number: Int) {
    self.node = node
    self.socket = socket
    self.ledger = ledger
    self.number = number
  }

  private var cluster: Cluster { node.cluster }
  private var store: ReplicaStore { node.store }
  private var rules: DatanodeRules { cluster.rules }

  /// Serves until the connection ends.
  mutating func run() {
    do throws(LabIOError) {
      while true {
        let request = try LabPacket.read(from: socket, release: rules.release, deadline: nil)
        let header = request.header
        ledger.request(
          header.opcode.rawValue, partition: header.partitionID, reqID: header.reqID, on: number, afterError: doomed)
        if doomed { return }
        try serve(request)
      }
    } catch {
      // Whatever ended it, the connection is over; what was due to whom is the oracle's to say.
    }
  }

  private mutating func serve(_ request: LabPacket) throws(LabIOError) {
    let partition = request.header.partitionID
    let key = ExtentKey(partition: partition, extent: request.header.extentID)
    switch request.header.opcode.rawValue {
    case 0x02:
      // A tiny extent's delete has a body; only the leader's file of them is followed here.
      guard request.header.remainingFollowers > 0 else {
        if request.payload.isEmpty { store.delete(key) }
        return try send(rules.mutated(request), request)
      }
      guard node.lead(deleteOf: key) else {
        return try fail(rules.error(request, .init(0xF3), "ActionMarkDelete_follower"), request)
      }
      try send(rules.mutated(request), request)
    case 0x07:
      let tiny = request.header.extentType & ExtentTypeBits.normal == 0 ? LabJSON.numbers(request.payload) : nil
      let marks = store.watermarks(partition, tiny: tiny, source: "")
      try send(rules.mutated(request, payload: Array("[\(marks.map(\.json).joined(separator: ","))]".utf8)), request)
    case 0x08:
      guard let task = RepairTask(request.payload) else {
        return try fail(rules.error(request, .init(0xF3), "ActionRepair:_unexpected end of JSON input"), request)
      }
      node.obey(task, partition)
      try send(rules.mutated(request), request)
    case 0x10:
      try send(rules.mutated(request, payload: bigEndianBytes(cluster.contents.appliedID(partition))), request)
    case 0x11:
      let bytes = store.sizes(partition, upTo: key.extent).bytes
      let padding = rules.release == .v3_5_3 ? bigEndianBytes(0) : []
      try send(rules.mutated(request, payload: bigEndianBytes(bytes) + padding), request)
    case 0x16:
      let (largest, bytes) = store.sizes(partition)
      try send(rules.mutated(request, payload: bigEndianBytes(largest) + bigEndianBytes(bytes)), request)
    case 0x09: try sendBlocks(request, key)
    case 0x14: try sendTinyDeletes(request, key)
    case 0x15: try sendRuns(request, key)
    case 0x0A: try send(rules.mutated(request), request)
    default: try fail(rules.error(request, .init(0xF4), "unknown opcode"), request)
    }
  }

  private func send(_ reply: LabPacket, _ request: LabPacket) throws(LabIOError) {
    cluster.ledger.sends(reply, for: request.header.kernelOffset)
    try reply.write(to: socket, deadline: LabClock.nanoseconds + rules.writeDeadline)
  }

  private mutating func fail(_ reply: LabPacket, _ request: LabPacket) throws(LabIOError) {
    doomed = true
    try send(reply, request)
  }

  private func sendBlock(_ block: LabPacket, _ request: LabPacket, _ reader: UInt8) throws(LabIOError) {
    var block = block
    block.header.remainingFollowers = reader
    try send(block, request)
  }

  private mutating func sendBlocks(_ request: LabPacket, _ key: ExtentKey) throws(LabIOError) {
    let reader = cluster.ledger.begin(request.header.kernelOffset, key)
    var offset = request.header.extentOffset
    var left = Int64(request.header.size)
    while left > 0 {
      let count = min(left, ClusterPlan.blockLength)
      // What a delete leaves of an extent in mid-stream is one error.
      guard let bytes = store.read(key, at: offset, count: count) else {
        var current = request
        current.header.extentOffset = offset
        let gone = store.isDeleted(key)
        let text = gone ? "ActionStreamRead_extent has been deleted" : "ActionStreamRead_EOF"
        return try fail(rules.error(current, .init(gone ? 0xF5 : 0xF3), text), request)
      }
      try sendBlock(rules.block(request, extent: key.extent, offset: offset, payload: bytes), request, reader)
      offset += count
      left -= count
    }
  }

  private func sendTinyDeletes(_ request: LabPacket, _ key: ExtentKey) throws(LabIOError) {
    let file = ExtentKey(partition: key.partition, extent: 0)
    let reader = cluster.ledger.begin(request.header.kernelOffset, file)
    let end = store.tinyDeleteFileSize(key.partition)
    var offset = request.header.extentOffset
    while offset >= 0 && offset < end {
      let count = min(end - offset, Self.tinyDeleteChunk)
      let bytes = cluster.contents.bytes(partition: key.partition, extent: 0, offset: offset, count: Int(count))
      try sendBlock(rules.block(request, extent: 0, offset: offset, payload: bytes, opcode: 0xF0), request, reader)
      offset += count
    }
  }

  private func sendRuns(_ request: LabPacket, _ key: ExtentKey) throws(LabIOError) {
    let reader = cluster.ledger.begin(request.header.kernelOffset, key)
    let runs = cluster.contents.tinyRuns(partition: key.partition, extent: key.extent)
    var offset = request.header.extentOffset
    let available = min(Int64(request.header.size), store.size(key) - offset)
    var left = available
    while left > 0, let run = runs.first(where: { offset >= $0.offset && offset < $0.end }) {
      let count = min(run.end - offset, ClusterPlan.blockLength)
      let bytes = run.isHole ? [] : store.read(key, at: offset, count: count) ?? []
      var block = rules.block(request, extent: key.extent, offset: offset, payload: bytes, extentType: 0)
      block.argument = rules.repairArgument(hole: run.isHole ? count : nil, available: available)
      block.header.argLength = 17
      try sendBlock(block, request, reader)
      offset += count
      left -= count
    }
  }
}
