internal import CubeFSWire

/// One datanode of a cluster, in what it does by itself: the leader's rounds, the new replica's work.
struct ClusterNode: Sendable {
  let cluster: Cluster
  let index: Int

  /// CubeFS `datanode/const.go` `NumOfFilesToRecoverInParallel`.
  private static let parallelRepairs = 10
  /// CubeFS `datanode/const.go` `MinTinyExtentDeleteRecordSyncSize`, bytes.
  private static let tinyDeleteLag: Int64 = 4 << 20
  private static let deleteAttempts = 5
  /// For how long a disk's rate limit, or a leader's other work, leaves a delete the time to overtake: nanoseconds.
  static let delay: Int64 = 150_000_000

  var store: ReplicaStore { cluster.stores[index] }
  private var caller: FaithfulCaller { cluster.callers[index] }

  /// One operation from its first byte to its end, by the node's own pool.
  private func asked(
    _ request: LabPacket, _ site: CallSite, of target: Int, local: (any LocalSteps)? = nil
  ) -> (result: CallResult, isStale: Bool) {
    var operation = LabOperation(request: request, site: site)
    operation.request.header.kernelOffset = cluster.ledger.nextSerial()
    operation.local = local
    cluster.oracle.started(operation, from: index, to: target)
    let result = caller.run(operation, to: cluster.routes[index][target])
    return (result, cluster.oracle.ended(result, from: index, to: target))
  }

  private func ask(_ request: LabPacket, _ site: CallSite, of target: Int, local: (any LocalSteps)? = nil) -> CallResult {
    asked(request, site, of: target, local: local).result
  }

  // MARK: As leader

  /// CubeFS `datanode/data_partition_repair.go` `repair`: asks who has what, and has each replica do its part.
  func repair(_ partition: ClusterPlan.Partition, tiny: Bool) {
    let ids = tiny ? partition.tinyExtents : nil
    let address = "\(cluster.addresses[index])"
    let size = store.tinyDeleteFileSize(partition.id)
    var known: [[ExtentWatermark]?] = [store.watermarks(partition.id, tiny: ids, source: address)]
    for follower in partition.replicas.dropFirst() { known.append(watermarks(partition.id, tiny: ids, of: follower)) }
    let tasks = RepairTask.prepare(known) { store.isDeleted(ExtentKey(partition: partition.id, extent: $0)) }
    deleteBeforeNotify(partition, tasks)
    var notifiers: [LabThread] = []
    for (follower, task) in zip(partition.replicas, tasks).dropFirst() {
      guard var task else { continue }
      task.tinyDeleteFileSize = size
      task.leader = address
      let body = task.body(naming: cluster.plan.naming)
      notifiers.append(
        LabThread {
          _ = ask(.request(0x08, partition: partition.id, extentType: 1, payload: body), .unchecked, of: follower)
        })
    }
    for notifier in notifiers { notifier.join() }
    guard let own = tasks[0] else { return }
    for mark in own.created where !store.isDeleted(ExtentKey(partition: partition.id, extent: mark.extent)) {
      store.create(ExtentKey(partition: partition.id, extent: mark.extent))
    }
    for mark in own.repaired { stream(mark, partition.id) }
    endTroubles(partition.id)
  }

  /// Clients delete extents that the tasks name already, and the followers obey before the notifies go out, unless somebody holds the
  /// deletes.
  private func deleteBeforeNotify(_ partition: ClusterPlan.Partition, _ tasks: [RepairTask?]) {
    var victims: [(follower: Int, key: ExtentKey)] = []
    for (follower, task) in zip(partition.replicas, tasks).dropFirst() {
      for mark in task?.created ?? [] {
        let key = ExtentKey(partition: partition.id, extent: mark.extent)
        guard cluster.takeTrouble(key, where: { $0 == .deletedBeforeNotify }) != nil else { continue }
        cluster.beginDelete(key)
        victims.append((follower, key))
      }
    }
    let deadline = LabClock.nanoseconds + Self.delay
    for (follower, key) in victims { cluster.stores[follower].waitUntilDeleted(key, deadline: deadline) }
  }

  /// There is space on the disk again, and the partition is back.
  private func endTroubles(_ partition: UInt64) {
    store.isFull = false
    store.setAttached(true, partition)
  }

  private func watermarks(_ partition: UInt64, tiny: [UInt64]?, of target: Int) -> [ExtentWatermark]? {
    let ids = tiny.map { Array("[\($0.map { "\($0)" }.joined(separator: ","))]".utf8) } ?? []
    let result = ask(.request(0x07, partition: partition, extentType: tiny == nil ? 1 : 0, payload: ids), .watermarks, of: target)
    guard result.outcome == .delivered, let reply = result.accepted.last else { return nil }
    let list = ExtentWatermark.list(LabJSON(reply.payload))
    if list == nil { cluster.oracle.note { $0.unparsed["unmarshal json", default: 0] += 1 } }
    return list?.map { ExtentWatermark(extent: $0.extent, size: $0.size, source: "\(cluster.addresses[target])") }
  }

  /// CubeFS `datanode/partition_raft.go` `updateMaxMinAppliedID`: asks all replicas, and tells them the least.
  func updateAppliedIDs(_ partition: ClusterPlan.Partition) {
    var least = cluster.contents.appliedID(partition.id)
    for follower in partition.replicas.dropFirst() {
      let result = ask(.request(0x10, partition: partition.id), .query, of: follower)
      if result.outcome == .delivered, let reply = result.accepted.last { least = min(least, bigEndianNumber(reply.payload) ?? least) }
    }
    for follower in partition.replicas.dropFirst() {
      _ = ask(.request(0x0A, partition: partition.id, payload: bigEndianBytes(least)), .unchecked, of: follower)
    }
  }

  /// Has one follower delete an extent, by a connection of its own, and does not give up at once.
  /// - Returns: true where it said that it did.
  func forwardDelete(_ key: ExtentKey, to follower: Int) -> Bool {
    (0..<Self.deleteAttempts).contains { _ in forwardDeleteOnce(key, to: follower) }
  }

  private func forwardDeleteOnce(_ key: ExtentKey, to follower: Int) -> Bool {
    var operation = LabOperation(request: .request(0x02, partition: key.partition, extent: key.extent, extentType: 1), site: .follower)
    operation.request.header.kernelOffset = cluster.ledger.nextSerial()
    cluster.oracle.started(operation, from: index, to: follower)
    let results = FollowerTransport(caller: caller, target: cluster.routes[index][follower], depth: 1).run([operation])
    for result in results { cluster.oracle.ended(result, from: index, to: follower) }
    return results.first?.outcome == .delivered
  }

  /// What a leader does for a client that deletes an extent: its own copy goes at once, and all followers are asked at the same time.
  /// CubeFS `repl/repl_protocol.go`, v3.3.0.
  /// - Returns: true where all followers said that they did.
  func lead(deleteOf key: ExtentKey) -> Bool {
    store.delete(key)
    guard let partition = cluster.plan.partitions.first(where: { $0.id == key.partition }) else { return false }
    let hasFailed = LabFlag()
    let threads = partition.replicas.dropFirst().map { follower in
      LabThread { if !forwardDeleteOnce(key, to: follower) { hasFailed.raise() } }
    }
    for thread in threads { thread.join() }
    return !hasFailed.isRaised
  }

  // MARK: As new replica

  /// What a new replica was told of its leader's.
  struct LeaderSize {
    var largest: UInt64 = 0
    var bytes: UInt64 = 0
    /// One of these is another operation's answer.
    var isStale = false
  }

  /// CubeFS `datanode/partition_raft.go` `StartRaftAfterRepair`, one turn of it.
  /// - Returns: true where raft was started.
  func startRaftIfRepaired(_ partition: ClusterPlan.Partition, _ wanted: inout LeaderSize) -> Bool {
    if wanted.largest == 0 || wanted.bytes == 0 {
      let (result, isStale) = asked(.request(0x16, partition: partition.id), .query, of: partition.leader)
      guard result.outcome == .delivered, let reply = result.accepted.last else { return false }
      guard let largest = bigEndianNumber(reply.payload), let bytes = bigEndianNumber(reply.payload.dropFirst(8)) else {
        // The original indexes behind the end of the body and panics.
        cluster.oracle.note { $0.unparsed["a body too short", default: 0] += 1 }
        return false
      }
      wanted = LeaderSize(largest: largest, bytes: bytes, isStale: isStale)
    }
    let (result, isStale) = asked(.request(0x11, partition: partition.id, extent: wanted.largest), .query, of: partition.leader)
    guard result.outcome == .delivered, let reply = result.accepted.last, let now = bigEndianNumber(reply.payload) else { return false }
    wanted.bytes = min(wanted.bytes, now)
    wanted.isStale = wanted.isStale || isStale
    guard store.sizes(partition.id, upTo: wanted.largest).bytes >= wanted.bytes else { return false }
    if wanted.isStale, !cluster.isWhole(partition) { cluster.oracle.note { $0.earlyStarts += 1 } }
    return true
  }

  /// CubeFS `datanode/partition.go` `DoExtentStoreRepair`: what a notify has a replica do before it is answered.
  func obey(_ task: RepairTask, _ partition: UInt64) {
    for mark in task.created where mark.extent > LabExtent.lastTiny {
      store.create(ExtentKey(partition: partition, extent: mark.extent))
    }
    var running: [LabThread] = []
    for mark in task.repaired where store.has(ExtentKey(partition: partition, extent: mark.extent)) {
      running.append(LabThread { stream(mark, partition) })
      if running.count == Self.parallelRepairs {
        for thread in running { thread.join() }
        running = []
      }
    }
    for thread in running { thread.join() }
    syncTinyDeletes(task, partition)
    endTroubles(partition)
  }

  /// CubeFS `streamRepairExtent`: reads what a replica lacks of one extent.
  private func stream(_ mark: ExtentWatermark, _ partition: UInt64) {
    let key = ExtentKey(partition: partition, extent: mark.extent)
    let start = store.size(key)
    guard store.has(key), !store.isDeleted(key), start < mark.size, let source = cluster.node(at: mark.source) else { return }
    let isTiny = mark.extent <= LabExtent.lastTiny
    let request = LabPacket.request(
      isTiny ? 0x15 : 0x09, partition: partition, extent: mark.extent, offset: start, size: UInt32(clamping: mark.size - start),
      extentType: isTiny ? 0 : 1)
    let steps = ExtentSteps(node: self, key: key, end: mark.size)
    let (result, isStale) = asked(request, .repair, of: source, local: steps)
    let isGone = result.errorReply?.header.resultCode == .init(0xF5)
    // An error in place of the first block is no abort: the extent was gone before.
    if isGone, !isStale, !result.accepted.isEmpty { cluster.oracle.note { $0.abortedRepairs += 1 } }
    if result.outcome == .delivered, store.size(key) >= mark.size { cluster.oracle.note { $0.repairsCompleted += 1 } }
    countLeftBehind(result)
  }

  /// CubeFS `doStreamFixTinyDeleteRecord`.
  private func syncTinyDeletes(_ task: RepairTask, _ partition: UInt64) {
    let size = store.tinyDeleteFileSize(partition)
    guard task.tinyDeleteFileSize - size >= Self.tinyDeleteLag, let leader = cluster.node(at: task.leader) else { return }
    // Clients go on deleting small files: the sender's file is longer by now than the task says.
    if cluster.takeGrowth(partition), let plan = cluster.plan.partitions.first(where: { $0.id == partition }) {
      cluster.stores[leader].growTinyDeletes(partition, by: plan.tinyDeleteGrowth)
    }
    let result = ask(
      .request(0x14, partition: partition, offset: size, size: 0), .tinyDelete(until: task.tinyDeleteFileSize), of: leader,
      local: TinyDeleteSteps(node: self, partition: partition))
    countLeftBehind(result)
  }

  private func countLeftBehind(_ result: CallResult) {
    // What v3.3.0 refuses or cannot write it leaves in the pool like what it does not want; v3.5.3 leaves without an error.
    let keeps = result.outcome == .abandoned || result.outcome == .rejected && cluster.plan.release == .v3_3_0
    if keeps { cluster.oracle.note { $0.leftBehind += 1 } }
  }
}

/// A replica's own side while it reads an extent.
private struct ExtentSteps: LocalSteps {
  let node: ClusterNode
  let key: ExtentKey
  let end: Int64

  private var cluster: Cluster { node.cluster }

  func beforeRead(_ replies: Int) throws(CallFailure) {
    switch cluster.takeTrouble(key, where: { $0 == .diskFull(beforeRead: replies) || $0 == .detached(beforeRead: replies) }) {
    case .diskFull: node.store.isFull = true
    case .detached: node.store.setAttached(false, key.partition)
    case .deleted, .deletedBeforeNotify, nil: break
    }
    if cluster.plan.release == .v3_3_0 {
      if node.store.isFull { throw .local("disk is full, can't do repair write any more") }
    } else if !node.store.isAttached(key.partition) {
      // It returns without an error, so the connection goes back to the pool.
      throw .left
    }
  }

  func take(_ reply: LabPacket, at offset: Int64, count: Int64) throws(CallFailure) {
    let number = (offset + count) / ClusterPlan.blockLength
    let isLast = offset + count >= end
    let met = cluster.takeTrouble(key) { trouble in
      if case .deleted(let at) = trouble { number > at || isLast } else { false }
    }
    // The disk's rate limit holds a write for as long as it takes the delete to come from the leader, unless somebody holds that.
    if met != nil {
      cluster.beginDelete(key)
      node.store.waitUntilDeleted(key, deadline: LabClock.nanoseconds + ClusterNode.delay)
    }
    let bytes = reply.payload.isEmpty ? [UInt8](repeating: 0, count: Int(clamping: min(count, 1 << 27))) : reply.payload
    do throws(ReplicaStore.Failure) { try node.store.append(bytes, to: key, at: offset) } catch {
      if case .deleted = error { cluster.oracle.note { $0.abortedRepairs += 1 } }
      throw .local("streamRepairExtent repair data error: \(error)")
    }
  }
}

/// A replica's own side while it reads its leader's tiny deletes.
private struct TinyDeleteSteps: LocalSteps {
  let node: ClusterNode
  let partition: UInt64

  func beforeRead(_ replies: Int) throws(CallFailure) {
    // v3.5.3 `datanode/partition.go:1312`: without an error, so the connection goes back to the pool.
    if node.cluster.takeStopSignal(partition) { throw .left }
  }

  func take(_ reply: LabPacket, at offset: Int64, count: Int64) throws(CallFailure) {
    node.store.appendTinyDeletes(reply.payload, partition)
  }
}
