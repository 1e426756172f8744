internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

// Where two operations conflict the peer owns the extents, but for a repair: that writes what it reads into the local datanode's.
extension CallerSession {
  func claim(_ exchange: Exchange) -> ConflictGuard.Claim? {
    let role = exchange.conflictRole
    switch role {
    case .none: return nil
    case .repair: return ConflictGuard.Claim(owner: nil, partition: exchange.partitionID, role: .repair)
    case .repairRead:
      var claim = ConflictGuard.Claim(owner: nil, partition: exchange.partitionID, role: .repair)
      claim.otherOwner = peer.endpoint
      claim.otherRole = .repairRead
      return claim
    case .delete, .repairTask, .repairRound, .removal:
      return ConflictGuard.Claim(owner: peer.endpoint, partition: exchange.partitionID, role: role)
    }
  }

  func operation(_ exchange: Exchange) -> LaneEvent.Operation { LaneEvent.Operation(exchange) }

  /// They read at the peer, and not through here.
  func learn(_ task: RepairTaskScanner.Outcome, _ exchange: Exchange) {}

  func resumeHeld() { resume() }

  /// It has waited for as long as it may.
  func waitsTooLong(_ reason: Reason) {
    guard let wait = conflictWait, !overstays(wait) else { return }
    guard heldTail > 0 else { return failHeld(reason) }
    refusal = reason
    repliesHandled()
  }

  /// A request that has waited too long ends with an error reply, once nothing else is in flight. True where that was now.
  func refuses() -> Bool {
    guard let reason = refusal, conflictWait != nil, exchanges.unanswered <= 1 else { return false }
    refusal = nil
    failAll(reason, replyCame: true)
    return true
  }
}
