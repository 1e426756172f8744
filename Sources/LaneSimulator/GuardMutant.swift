package import LaneCore

/// One defect of the conflict guard for each rule of its table and each condition of its machine.
public enum GuardMutant: String, Sendable, CaseIterable {
  /// A delete does not wait for a repair of its extent.
  case deleteAfterRepair = "delete-after-repair"
  /// A delete does not wait for a read of its extent for a repair elsewhere.
  case deleteAfterRead = "delete-after-read"
  /// A delete does not wait for a task that names its extent.
  case deleteAfterTask = "delete-after-task"
  /// A delete does not wait for a round.
  case deleteAfterRound = "delete-after-round"
  /// A repair does not wait for a delete of its extent.
  case repairAfterDelete = "repair-after-delete"
  /// A read for a repair elsewhere does not wait for a delete of its extent.
  case readAfterDelete = "read-after-delete"
  /// A task that names an extent which is being deleted is not told of.
  case taskAfterDelete = "task-after-delete"
  /// A removal is not told of.
  case removals
  /// A repair waits for a delete that waits.
  case waitForWaitingDelete = "wait-for-waiting-delete"
  /// A delete waits for a repair that waits.
  case waitForWaitingRepair = "wait-for-waiting-repair"
  /// A task is held.
  case holdTask = "hold-task"
  /// Followers of a delete do not count.
  case ignoreFollowers = "ignore-followers"
  /// What a task creates does not count.
  case ignoreCreated = "ignore-created"
  /// What an operation touches at the other datanode does not count.
  case ignoreOther = "ignore-other"
  /// All datanodes are one.
  case ignoreOwner = "ignore-owner"
  /// All partitions are one.
  case ignorePartition = "ignore-partition"
  /// All extents are one.
  case ignoreExtents = "ignore-extents"
  /// Who is let go on is not asked again whom it must wait for.
  case releaseAll = "release-all"
  /// Nobody is let go on.
  case releaseNone = "release-none"
  /// What arrived later does not count, though it runs.
  case earlierOnly = "earlier-only"
  /// A round ends before its task has taken its place.
  case roundEndsFirst = "round-ends-first"
  /// A task does not end its round.
  case taskKeepsRound = "task-keeps-round"
  /// A new round does not end the older one.
  case keepOlderRound = "keep-older-round"
  /// Rounds last for ever.
  case endlessRounds = "endless-rounds"
  /// Deletes that are over are not remembered.
  case forgetDeletes = "forget-deletes"
  /// They are, for ever.
  case rememberForEver = "remember-for-ever"
  /// Deletes that never ran are remembered, too.
  case rememberAbandoned = "remember-abandoned"
  /// Who was let go on at its limit is still in its blocker's list.
  case keepWaiter = "keep-waiter"
  /// A ticket is good for whoever has its slot.
  case ignoreGeneration = "ignore-generation"
  /// Extents are not given back.
  case keepExtents = "keep-extents"
  /// A task's answer does not end the repairs that it has caused.
  case keepTasksRepairs = "keep-tasks-repairs"
  /// It ends those that were running before it, too.
  case endOlderRepairs = "end-older-repairs"
  /// Who should only tell holds.
  case detectHolds = "detect-holds"
  /// Who enters is not asked whom it meets.
  case enterBlindly = "enter-blindly"

  package var mutations: GuardMutations {
    switch self {
    case .deleteAfterRepair: .deleteAfterRepair
    case .deleteAfterRead: .deleteAfterRead
    case .deleteAfterTask: .deleteAfterTask
    case .deleteAfterRound: .deleteAfterRound
    case .repairAfterDelete: .repairAfterDelete
    case .readAfterDelete: .readAfterDelete
    case .taskAfterDelete: .taskAfterDelete
    case .removals: .removals
    case .waitForWaitingDelete: .waitForWaitingDelete
    case .waitForWaitingRepair: .waitForWaitingRepair
    case .holdTask: .holdTask
    case .ignoreFollowers: .ignoreFollowers
    case .ignoreCreated: .ignoreCreated
    case .ignoreOther: .ignoreOther
    case .ignoreOwner: .ignoreOwner
    case .ignorePartition: .ignorePartition
    case .ignoreExtents: .ignoreExtents
    case .releaseAll: .releaseAll
    case .releaseNone: .releaseNone
    case .earlierOnly: .earlierOnly
    case .roundEndsFirst: .roundEndsFirst
    case .taskKeepsRound: .taskKeepsRound
    case .keepOlderRound: .keepOlderRound
    case .endlessRounds: .endlessRounds
    case .forgetDeletes: .forgetDeletes
    case .rememberForEver: .rememberForEver
    case .rememberAbandoned: .rememberAbandoned
    case .keepWaiter: .keepWaiter
    case .ignoreGeneration: .ignoreGeneration
    case .keepExtents: .keepExtents
    case .keepTasksRepairs: .keepTasksRepairs
    case .endOlderRepairs: .endOlderRepairs
    case .detectHolds: .detectHolds
    case .enterBlindly: .enterBlindly
    }
  }
}
