internal import CubeFSWire
internal import NetEndpoint
internal import Synchronization

/// Four datanodes of one release that keep and repair partitions between them: each is a server to its peers and, with one
/// pool of connections, a caller of theirs.
final class Cluster: @unchecked Sendable {
  let plan: ClusterPlan
  let contents: Contents
  let rules: DatanodeRules
  let stores: [ReplicaStore]
  let callers: [FaithfulCaller]
  let ledger = ReplyLedger()
  let oracle: ClusterOracle
  private(set) var datanodes: [ScriptedDatanode] = []
  /// Where callers reach each datanode: its own address, or the sidecar's listener for it. Set before the first call.
  var routes: [Endpoint] = []

  private let lock = LabLock()
  private var troubles: [ExtentKey: RepairTrouble]
  private var deletesBegun: Set<ExtentKey> = []
  private var deletesAcknowledged: Set<ExtentKey> = []
  private var stopSignals: Set<UInt64>
  private var grown: Set<UInt64> = []

  init(_ plan: ClusterPlan, seed: UInt64) throws(LabIOError) {
    self.plan = plan
    contents = Contents(seed: seed)
    rules = DatanodeRules(release: plan.release, contents: contents)
    let contents = contents
    stores = (0..<ClusterPlan.nodeCount).map { _ in ReplicaStore(contents) }
    callers = (0..<ClusterPlan.nodeCount).map { _ in FaithfulCaller(CallerOptions(release: plan.release)) }
    oracle = ClusterOracle(ledger)
    troubles = plan.troubles
    stopSignals = Set(plan.partitions.filter(\.stopsTinyDelete).map(\.id))
    for partition in plan.partitions {
      for node in partition.replicas { stores[node].install(partition, whole: node != partition.newReplica) }
    }
    for index in 0..<ClusterPlan.nodeCount {
      let address = Endpoint(address: 0x7F00_0200 + UInt32(index + 2), port: 0)
      let datanode = try ScriptedDatanode(at: address, rules: rules, script: FaultScript()) { [weak self] datanode, socket, number in
        guard let self else { return }
        var connection = ReplicaConnection(
          node: ClusterNode(cluster: self, index: index), socket: socket, ledger: datanode.ledger, number: number)
        connection.run()
      }
      datanodes.append(datanode)
    }
    routes = endpoints
  }

  var endpoints: [Endpoint] { datanodes.map(\.endpoint) }

  /// The datanode with that address in a task.
  func node(at address: String) -> Int? { endpoints.firstIndex { "\($0)" == address } }

  func stop() {
    for caller in callers { caller.pool.closeAll() }
    for datanode in datanodes { datanode.stop() }
  }

  // MARK: What happens on the way

  /// The trouble that an extent still has to meet, taken where `isNow` says that its moment has come.
  func takeTrouble(_ key: ExtentKey, where isNow: (RepairTrouble) -> Bool) -> RepairTrouble? {
    lock.withLock {
      guard let trouble = troubles[key], isNow(trouble) else { return nil }
      troubles[key] = nil
      return trouble
    }
  }

  /// True once, where a stop signal is to end the first read of a partition's tiny deletes.
  func takeStopSignal(_ partition: UInt64) -> Bool { lock.withLock { stopSignals.remove(partition) != nil } }

  /// True once for a partition: now its leader's file of tiny deletes grows.
  func takeGrowth(_ partition: UInt64) -> Bool { lock.withLock { grown.insert(partition).inserted } }

  /// A client deletes an extent: the leader deletes its own copy and has the followers delete theirs. Returns when they have,
  /// or when the leader has given up.
  func delete(_ key: ExtentKey) {
    guard let partition = plan.partitions.first(where: { $0.id == key.partition }) else { return }
    guard lock.withLock({ deletesBegun.insert(key).inserted }) else { return }
    stores[partition.leader].delete(key)
    let leader = ClusterNode(cluster: self, index: partition.leader)
    let acknowledged = partition.replicas.dropFirst().count { leader.forwardDelete(key, to: $0) }
    guard acknowledged == partition.replicas.count - 1 else { return }
    lock.withLock { _ = deletesAcknowledged.insert(key) }
    oracle.note { $0.deletesDone += 1 }
  }

  /// The extents of a partition whose delete has begun.
  func deleted(_ partition: UInt64) -> Set<UInt64> {
    lock.withLock { Set(deletesBegun.lazy.filter { $0.partition == partition }.map(\.extent)) }
  }

  /// True where the new replica has all that its leader has.
  func isWhole(_ partition: ClusterPlan.Partition) -> Bool {
    let store = stores[partition.newReplica]
    let gone = deleted(partition.id)
    let normal = partition.extents.allSatisfy { extent, size in
      gone.contains(extent) || store.size(ExtentKey(partition: partition.id, extent: extent)) >= size
    }
    return normal
      && partition.tinyExtents.allSatisfy { extent in
        let end = contents.tinyRuns(partition: partition.id, extent: extent).last?.end ?? 0
        return store.size(ExtentKey(partition: partition.id, extent: extent)) >= end
      }
  }

  /// True where a partition's story is over: whole, and every extent that is to be deleted is.
  func isDone(_ partition: ClusterPlan.Partition) -> Bool {
    let victims = partition.extents.keys.map { ExtentKey(partition: partition.id, extent: $0) }.filter { plan.isVictim($0) }
    return isWhole(partition) && lock.withLock { victims.allSatisfy { deletesAcknowledged.contains($0) } }
  }

  /// Compares every byte of every replica.
  func compare() {
    for partition in plan.partitions {
      let gone = deleted(partition.id)
      for node in partition.replicas {
        let faults = stores[node].faults(partition, deleted: gone)
        oracle.compared(node: node, faults: faults, ghosts: stores[node].ghosts(partition.id))
        stores[node].remove(partition.id)
      }
    }
  }
}
