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
  /// Where the callers of each datanode reach each: its own address, or a sidecar's listener for it. Set before the first call.
  var routes: [[Endpoint]] = []
  /// By which address each datanode is known, to clients and in tasks. Set before the first call.
  var addresses: [Endpoint] = []

  private static let deleteAttempts = 5

  private let lock = LabLock()
  private var troubles: [ExtentKey: RepairTrouble]
  private var deletesBegun: Set<ExtentKey> = []
  private var deletesAcknowledged: Set<ExtentKey> = []
  private var stopSignals: Set<UInt64>
  private var grown: Set<UInt64> = []
  private let client: FaithfulCaller
  private var deletes: [LabThread] = []

  /// - Parameter hosts: one for each datanode and its callers, or none: then all are on the lab's own, at loopback addresses.
  init(_ plan: ClusterPlan, seed: UInt64, hosts: [LabHost] = []) throws(LabIOError) {
    self.plan = plan
    contents = Contents(seed: seed)
    rules = DatanodeRules(release: plan.release, contents: contents)
    let contents = contents
    stores = (0..<ClusterPlan.nodeCount).map { _ in ReplicaStore(contents) }
    callers = (0..<ClusterPlan.nodeCount).map { index in
      FaithfulCaller(
        CallerOptions(release: plan.release), pool: CallerPool(namespace: index < hosts.count ? hosts[index].namespace : nil))
    }
    client = FaithfulCaller(CallerOptions(release: plan.release))
    oracle = ClusterOracle(ledger)
    troubles = plan.troubles
    stopSignals = Set(plan.partitions.filter(\.stopsTinyDelete).map(\.id))
    for partition in plan.partitions {
      for node in partition.replicas { stores[node].install(partition, whole: node != partition.newReplica) }
    }
    for index in 0..<ClusterPlan.nodeCount {
      let address = Endpoint(address: 0x7F00_0200 + UInt32(index + 2), port: 0)
      let host = index < hosts.count ? hosts[index] : nil
      let datanode = try ScriptedDatanode(at: address, host: host, rules: rules, script: FaultScript()) {
        [weak self] datanode, socket, number in
        guard let self else { return }
        var connection = ReplicaConnection(
          node: ClusterNode(cluster: self, index: index), socket: socket, ledger: datanode.ledger, number: number)
        connection.run()
      }
      datanodes.append(datanode)
    }
    addresses = endpoints
    routes = Array(repeating: endpoints, count: ClusterPlan.nodeCount)
  }

  var endpoints: [Endpoint] { datanodes.map(\.endpoint) }

  /// The datanode with that address in a task.
  func node(at address: String) -> Int? { addresses.firstIndex { "\($0)" == address } }

  func stop() {
    for caller in callers { caller.pool.closeAll() }
    client.pool.closeAll()
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

  /// A delete of an extent begins, on a thread of its own: the leader deletes its own copy and has the followers delete theirs.
  func beginDelete(_ key: ExtentKey) {
    guard let partition = plan.partitions.first(where: { $0.id == key.partition }) else { return }
    guard lock.withLock({ deletesBegun.insert(key).inserted }) else { return }
    let thread = LabThread { [self] in
      guard plan.hasClients ? askForDelete(key, of: partition) : delete(key, of: partition) else { return }
      lock.withLock { _ = deletesAcknowledged.insert(key) }
      oracle.note { $0.deletesDone += 1 }
    }
    lock.withLock { deletes.append(thread) }
  }

  /// The client's request is not played: as where it comes by smux (PROTOCOL.md section 4).
  private func delete(_ key: ExtentKey, of partition: ClusterPlan.Partition) -> Bool {
    stores[partition.leader].delete(key)
    let leader = ClusterNode(cluster: self, index: partition.leader)
    return partition.replicas.dropFirst().count { leader.forwardDelete(key, to: $0) } == partition.replicas.count - 1
  }

  /// A client asks the leader, and does not give up at once.
  private func askForDelete(_ key: ExtentKey, of partition: ClusterPlan.Partition) -> Bool {
    (0..<Self.deleteAttempts).contains { _ in askForDeleteOnce(key, of: partition) }
  }

  /// CubeFS `metanode/packet.go` `NewPacketToDeleteExtent`, v3.3.0: the followers' addresses are in Arg.
  private func askForDeleteOnce(_ key: ExtentKey, of partition: ClusterPlan.Partition) -> Bool {
    let followers = partition.replicas.dropFirst()
    let names = Array(followers.map { "\(addresses[$0])/" }.joined().utf8)
    let request = LabPacket.request(0x02, partition: key.partition, extent: key.extent, extentType: 1, argument: names)
    var operation = LabOperation(request: request, site: .follower)
    operation.request.header.remainingFollowers = UInt8(followers.count)
    operation.request.header.kernelOffset = ledger.nextSerial()
    oracle.started(operation, from: ClusterPlan.client, to: partition.leader)
    let results = FollowerTransport(caller: client, target: addresses[partition.leader], depth: 1).run([operation])
    for result in results { oracle.ended(result, from: ClusterPlan.client, to: partition.leader) }
    return results.first?.outcome == .delivered
  }

  /// Waits until each delete is done, or was given up.
  func finishDeletes() {
    for thread in lock.withLock({ deletes }) { thread.join() }
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
