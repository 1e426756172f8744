/// Plays a cluster's story once: every leader's rounds and every new replica's wait, at once, until all replicas are whole.
struct ClusterPass {
  /// Rounds of one leader, at most.
  private static let mostTurns = 60
  /// Rounds after its partition is whole: what lies in the pools is met by whoever comes next.
  private static let laterTurns = 6
  /// Real time for one pass, nanoseconds.
  private static let patience: Int64 = 25_000_000_000

  let cluster: Cluster

  func run() {
    let deadline = LabClock.nanoseconds + Self.patience
    var threads: [LabThread] = []
    for partition in cluster.plan.partitions {
      let leader = ClusterNode(cluster: cluster, index: partition.leader)
      let replica = ClusterNode(cluster: cluster, index: partition.newReplica)
      let ended = LabFlag()
      threads.append(
        LabThread {
          lead(partition, leader, until: deadline)
          ended.raise()
        })
      threads.append(LabThread { waitForRaft(partition, replica, ended) })
    }
    for thread in threads { thread.join() }
    cluster.finishDeletes()
    cluster.compare()
  }

  private func lead(_ partition: ClusterPlan.Partition, _ leader: ClusterNode, until deadline: Int64) {
    var later = 0
    for _ in 0..<Self.mostTurns where later < Self.laterTurns && LabClock.nanoseconds < deadline {
      if cluster.isDone(partition) { later += 1 }
      leader.repair(partition, tiny: false)
      if !partition.tinyExtents.isEmpty { leader.repair(partition, tiny: true) }
      leader.updateAppliedIDs(partition)
    }
  }

  private func waitForRaft(_ partition: ClusterPlan.Partition, _ replica: ClusterNode, _ ended: LabFlag) {
    var wanted = ClusterNode.LeaderSize()
    while !ended.isRaised, !replica.startRaftIfRepaired(partition, &wanted) {
      // The original asks every five seconds.
      LabClock.sleep(milliseconds: 10)
    }
  }
}
