/// Defects that the simulator puts into the conflict guard, one for each rule of its table and each condition of its machine, to see
/// that it finds what they break. Empty in production: the only initialiser that takes one is package-internal.
package struct GuardMutations: OptionSet, Sendable {
  package let rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  // A row of the table is missing, named by who comes later.
  package static let deleteAfterRepair = GuardMutations(rawValue: 1 << 0)
  package static let deleteAfterRead = GuardMutations(rawValue: 1 << 1)
  package static let deleteAfterTask = GuardMutations(rawValue: 1 << 2)
  package static let deleteAfterRound = GuardMutations(rawValue: 1 << 3)
  package static let repairAfterDelete = GuardMutations(rawValue: 1 << 4)
  package static let readAfterDelete = GuardMutations(rawValue: 1 << 5)
  package static let taskAfterDelete = GuardMutations(rawValue: 1 << 6)
  package static let removals = GuardMutations(rawValue: 1 << 7)

  /// A repair waits for a delete that waits.
  package static let waitForWaitingDelete = GuardMutations(rawValue: 1 << 8)
  /// A delete waits for a repair that waits.
  package static let waitForWaitingRepair = GuardMutations(rawValue: 1 << 9)
  /// A task is held.
  package static let holdTask = GuardMutations(rawValue: 1 << 10)
  /// Followers of a delete do not count.
  package static let ignoreFollowers = GuardMutations(rawValue: 1 << 11)
  /// What a task creates does not count.
  package static let ignoreCreated = GuardMutations(rawValue: 1 << 12)
  /// What an operation touches at the other datanode does not count.
  package static let ignoreOther = GuardMutations(rawValue: 1 << 13)
  /// All datanodes are one.
  package static let ignoreOwner = GuardMutations(rawValue: 1 << 14)
  /// All partitions are one.
  package static let ignorePartition = GuardMutations(rawValue: 1 << 15)
  /// All extents are one.
  package static let ignoreExtents = GuardMutations(rawValue: 1 << 16)

  /// Who is let go on is not asked again whom it must wait for.
  package static let releaseAll = GuardMutations(rawValue: 1 << 17)
  /// Nobody is let go on.
  package static let releaseNone = GuardMutations(rawValue: 1 << 18)
  /// What arrived later does not count, though it runs.
  package static let earlierOnly = GuardMutations(rawValue: 1 << 19)
  /// A round ends before its task has taken its place.
  package static let roundEndsFirst = GuardMutations(rawValue: 1 << 20)
  /// A task does not end its round.
  package static let taskKeepsRound = GuardMutations(rawValue: 1 << 21)
  /// A new round does not end the older one.
  package static let keepOlderRound = GuardMutations(rawValue: 1 << 22)
  /// Rounds last for ever.
  package static let endlessRounds = GuardMutations(rawValue: 1 << 23)
  /// Deletes that are over are not remembered.
  package static let forgetDeletes = GuardMutations(rawValue: 1 << 24)
  /// They are, for ever.
  package static let rememberForEver = GuardMutations(rawValue: 1 << 25)
  /// Deletes that never ran are remembered, too.
  package static let rememberAbandoned = GuardMutations(rawValue: 1 << 26)
  /// Who was let go on at its limit is still in its blocker's list.
  package static let keepWaiter = GuardMutations(rawValue: 1 << 27)
  /// A ticket is good for whoever has its slot.
  package static let ignoreGeneration = GuardMutations(rawValue: 1 << 28)
  /// Extents are not given back.
  package static let keepExtents = GuardMutations(rawValue: 1 << 29)
  /// A task's answer does not end the repairs that it has caused.
  package static let keepTasksRepairs = GuardMutations(rawValue: 1 << 30)
  /// It ends those that were running before it, too.
  package static let endOlderRepairs = GuardMutations(rawValue: 1 << 31)
  /// Who should only tell holds.
  package static let detectHolds = GuardMutations(rawValue: 1 << 32)
  /// Who enters is not asked whom it meets.
  package static let enterBlindly = GuardMutations(rawValue: 1 << 33)

  /// Whether the row of the table for those two is missing.
  func lacks(_ earlier: ConflictRole, _ later: ConflictRole) -> Bool {
    switch (earlier, later) {
    case (.repair, .delete): contains(.deleteAfterRepair)
    case (.repairRead, .delete): contains(.deleteAfterRead)
    case (.repairTask, .delete): contains(.deleteAfterTask)
    case (.repairRound, .delete): contains(.deleteAfterRound)
    case (.delete, .repair): contains(.repairAfterDelete)
    case (.delete, .repairRead): contains(.readAfterDelete)
    case (.delete, .repairTask): contains(.taskAfterDelete)
    case (.removal, _), (_, .removal): contains(.removals)
    default: false
    }
  }

  /// Leaves out of a request what does not count.
  func spoil(_ request: inout ConflictGuard.Request) {
    if contains(.ignoreFollowers) { request.claim.hasFollowers = false }
    if contains(.ignoreCreated) { request.created = nil }
    if contains(.ignoreOther) { request.claim.otherRole = .none }
    if contains(.ignoreOwner) {
      request.claim.owner = nil
      request.claim.otherOwner = nil
    }
    if contains(.ignorePartition) { request.claim.partition = 0 }
    if contains(.ignoreExtents) { request.extents = .all }
  }
}
