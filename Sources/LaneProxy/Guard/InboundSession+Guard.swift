internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

// Where two operations conflict that come to the local datanode, that owns the extents.
extension InboundSession {
  func claim(_ exchange: Exchange) -> ConflictGuard.Claim? {
    let role = exchange.conflictRole
    // Who reads writes it elsewhere; what a read of tiny extents misses it gets as zeros.
    if role == .none || role == .repair { return nil }
    return ConflictGuard.Claim(
      owner: nil, partition: exchange.partitionID, role: role,
      hasFollowers: exchange.remainingFollowers > 0 && exchange.remainingFollowers != Self.specialReplicaCount)
  }

  func operation(_ exchange: Exchange) -> LaneEvent.Operation {
    var operation = LaneEvent.Operation(exchange)
    if let introduction { operation.adopt(introduction) }
    return operation
  }

  /// RemainingFollowers of a request that is not forwarded. CubeFS `datanode/const.go`, PROTOCOL.md section 1.
  private static let specialReplicaCount: UInt8 = 127

  /// Before the datanode has the last byte of the task, and so before it can act on it.
  func learn(_ task: RepairTaskScanner.Outcome, _ exchange: Exchange) {
    let partition = exchange.partitionID
    switch task {
    case .none, .unreadable: break
    case .size(0, let leader): proxy.tinyDeleteSizes.forget(partition: partition, leader: leader)
    case .size(let size, let leader): proxy.tinyDeleteSizes.learn(partition: partition, leader: leader, size: size)
    }
  }

  func resumeHeld() {
    resumeRequests()
    updateTimer()
    closeIfIdle()
  }

  /// It has waited for as long as it may.
  func waitsTooLong() {
    guard let wait = conflictWait, !overstays(wait) else { return }
    refusal = wait.sighting.conflict.reason
    resumeRequests()
    updateTimer()
  }
}
