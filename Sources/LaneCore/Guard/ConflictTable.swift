/// What an operation does to extents at the datanode that owns them, as far as that can conflict (PROTOCOL.md section 7).
public enum ConflictRole: UInt8, Sendable, CaseIterable {
  /// It conflicts with nothing.
  case none
  /// It deletes extents, or punches a hole into a tiny one.
  case delete
  /// Its requester writes what it reads into its own copy of the extent: a repair at the destination.
  case repair
  /// It reads an extent for another datanode's repair: a repair at the source.
  case repairRead
  /// NotifyReplicasToRepair: creates and repairs what its task names before it is answered.
  case repairTask
  /// From GetAllWatermarks, by which a leader learns what a replica has, to the NotifyReplicasToRepair that rests on the answer: an
  /// extent that is deleted between the two is created again, empty.
  case repairRound
  /// It takes the whole partition away, or stops its repair.
  case removal

  /// It reads an extent for a repair: its header says which, and it may have to wait before it is sent.
  public var isRepair: Bool { self == .repair || self == .repairRead }
}

/// Which operations on one extent conflict, and which of them waits.
public enum ConflictTable {
  /// What is to be done about two operations on one extent.
  public struct Conflict: Equatable, Sendable {
    /// What they do to each other.
    public var reason: Reason
    /// The later one waits; otherwise it is told of only.
    public var holds: Bool
  }

  /// The conflict of an operation with one that came before it and is not over; nil where there is none.
  /// - Parameters:
  ///   - isWaiting: the earlier one is held itself. A repair goes past a delete that waits: deletes come after repairs. A delete goes
  ///     past a repair that waits: that waits for a delete itself, whose answer may in turn wait for this one at a follower.
  ///   - hasFollowers: the earlier one is a delete that is answered only when its followers have done it, too. A follower may hold
  ///     it until its own repair is over, for which it reads here.
  ///   - creates: the later one creates the extent.
  ///   - mutations: the simulator's defects; none in production.
  static func conflict(
    of later: ConflictRole, with earlier: ConflictRole, isWaiting: Bool, hasFollowers: Bool, creates: Bool,
    mutations: GuardMutations = []
  ) -> Conflict? {
    if mutations.lacks(earlier, later) { return nil }
    let isWaiting = isWaiting && !mutations.contains(earlier == .delete ? .waitForWaitingDelete : .waitForWaitingRepair)
    return switch (earlier, later) {
    case (.repair, .delete): isWaiting ? nil : Conflict(reason: .deleteDuringRepair, holds: true)
    case (.repairRead, .delete): isWaiting ? nil : Conflict(reason: .deleteDuringRepairRead, holds: true)
    case (.repairTask, .delete): Conflict(reason: .deleteDuringRepairTask, holds: true)
    case (.repairRound, .delete): Conflict(reason: .deleteDuringRepairRound, holds: true)
    case (.delete, .repair): isWaiting ? nil : Conflict(reason: .deleteDuringRepair, holds: true)
    case (.delete, .repairRead): isWaiting || hasFollowers ? nil : Conflict(reason: .deleteDuringRepairRead, holds: true)
    // A notification is never held: it has no deadline, and its leader's scheduler waits for it.
    case (.delete, .repairTask):
      isWaiting ? nil : Conflict(reason: creates ? .ghostExtent : .deleteDuringRepairTask, holds: mutations.contains(.holdTask))
    case (.removal, .delete), (.removal, .repair), (.removal, .repairRead), (.removal, .repairTask), (.delete, .removal),
      (.repair, .removal), (.repairRead, .removal), (.repairTask, .removal):
      Conflict(reason: .partitionRemoval, holds: false)
    default: nil
    }
  }
}
