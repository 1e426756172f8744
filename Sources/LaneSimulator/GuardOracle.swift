internal import LaneCore

/// What one datanode's guard ought to say, worked out from PROTOCOL.md section 7 and not from the guard's own table.
struct GuardOracle {
  enum Deed: CaseIterable {
    case delete, repair, read, task, round, removal
  }

  /// Extents of one partition at the datanode that owns them.
  struct Share {
    var owner: Int
    var partition: UInt64
    var deed: Deed
    var extents: Set<UInt64>
    var created: Set<UInt64> = []
  }

  /// An operation that has arrived and is not over.
  struct Claimant {
    var operation: Int
    var shares: [Share]
    var hasFollowers = false
    var isWaiting = false
    var since: UInt64 = 0
  }

  /// Two deeds on one extent, in the order of their arrival.
  struct Clash {
    var first: Deed
    var second: Deed
    /// The second must not run before the first is over; else it is told of only.
    var waits: Bool
    var reason: Reason
  }

  /// A row for each line of "Which operations conflict", in both orders. A round stands for the third line's "never put 08 behind a
  /// delete": from the leader's question on, the delete waits for the task that will come. Writes are not held, nor told of.
  static let clashes: [Clash] = [
    Clash(first: .repair, second: .delete, waits: true, reason: .deleteDuringRepair),
    Clash(first: .delete, second: .repair, waits: true, reason: .deleteDuringRepair),
    Clash(first: .read, second: .delete, waits: true, reason: .deleteDuringRepairRead),
    Clash(first: .delete, second: .read, waits: true, reason: .deleteDuringRepairRead),
    Clash(first: .task, second: .delete, waits: true, reason: .deleteDuringRepairTask),
    Clash(first: .round, second: .delete, waits: true, reason: .deleteDuringRepairRound),
    // No deadline: never held.
    Clash(first: .delete, second: .task, waits: false, reason: .deleteDuringRepairTask),
    Clash(first: .removal, second: .delete, waits: false, reason: .partitionRemoval),
    Clash(first: .removal, second: .repair, waits: false, reason: .partitionRemoval),
    Clash(first: .removal, second: .read, waits: false, reason: .partitionRemoval),
    Clash(first: .removal, second: .task, waits: false, reason: .partitionRemoval),
    Clash(first: .delete, second: .removal, waits: false, reason: .partitionRemoval),
    Clash(first: .repair, second: .removal, waits: false, reason: .partitionRemoval),
    Clash(first: .read, second: .removal, waits: false, reason: .partitionRemoval),
    Clash(first: .task, second: .removal, waits: false, reason: .partitionRemoval),
  ]

  /// What an arrival meets.
  struct Meeting {
    var operation: Int
    var waits: Bool
    var reason: Reason
  }

  private struct Deleted {
    var operation: Int
    var share: Share
    var until: UInt64
  }

  /// How long a round lasts that no task follows, and how long a delete is remembered: nanoseconds.
  static let round: UInt64 = 5_000_000_000
  static let memory: UInt64 = 60_000_000_000

  /// In the order of arrival.
  private(set) var present: [Claimant] = []
  private var deleted: [Deleted] = []

  var waiting: Int { present.count { $0.isWaiting } }

  /// What `second` meets in `first`; nil where the two have nothing to do with each other.
  static func meeting(_ second: Claimant, _ first: Claimant) -> Meeting? {
    var told: Meeting?
    for later in second.shares {
      for earlier in first.shares where earlier.owner == later.owner && earlier.partition == later.partition {
        guard !earlier.extents.isDisjoint(with: later.extents),
          let clash = clashes.first(where: { $0.first == earlier.deed && $0.second == later.deed })
        else { continue }
        // Who waits is passed by those that it conflicts with; a removal finds it all the same.
        if first.isWaiting, clash.reason != .partitionRemoval { continue }
        // Its followers may wait for just this read.
        if clash.first == .delete, clash.second == .read, first.hasFollowers { continue }
        let isGhost = clash.first == .delete && clash.second == .task && !later.created.isDisjoint(with: earlier.extents)
        let meeting = Meeting(operation: first.operation, waits: clash.waits, reason: isGhost ? .ghostExtent : clash.reason)
        if clash.waits { return meeting }
        told = told ?? meeting
      }
    }
    return told
  }

  /// All that an arrival meets.
  func meetings(_ claimant: Claimant) -> [Meeting] { present.compactMap { Self.meeting(claimant, $0) } }

  /// Deletes that are over and whose extents a task creates again.
  func ghosts(_ claimant: Claimant, now: UInt64) -> Set<Int> {
    guard let task = claimant.shares.first, task.deed == .task else { return [] }
    let found = deleted.filter {
      now < $0.until && $0.share.owner == task.owner && $0.share.partition == task.partition
        && !$0.share.extents.isDisjoint(with: task.created)
    }
    return Set(found.map(\.operation))
  }

  mutating func arrive(_ claimant: Claimant) {
    if let share = claimant.shares.first, share.deed == .task || share.deed == .round {
      present.removeAll { older in
        older.shares.first.map { $0.deed == .round && $0.owner == share.owner && $0.partition == share.partition } ?? false
      }
    }
    present.append(claimant)
  }

  func claimant(_ operation: Int) -> Claimant? { present.first { $0.operation == operation } }

  /// What runs now that an operation must wait for.
  func obstacles(_ claimant: Claimant) -> [Int] {
    present.compactMap { other in
      guard other.operation != claimant.operation, !other.isWaiting, let meeting = Self.meeting(claimant, other) else { return nil }
      return meeting.waits ? meeting.operation : nil
    }
  }

  mutating func run(_ operation: Int) {
    if let index = present.firstIndex(where: { $0.operation == operation }) { present[index].isWaiting = false }
  }

  /// - Parameter isAnswered: who answers a task has done all the repairs that came of it.
  mutating func end(_ operation: Int, isAnswered: Bool, now: UInt64) {
    guard let index = present.firstIndex(where: { $0.operation == operation }) else { return }
    let claimant = present.remove(at: index)
    if isAnswered, let task = claimant.shares.first, task.deed == .task {
      let later = present[index...].filter { repair in
        !repair.isWaiting
          && repair.shares.contains {
            $0.deed == .repair && $0.owner == task.owner && $0.partition == task.partition && !$0.extents.isDisjoint(with: task.extents)
          }
      }
      present.removeAll { gone in later.contains { $0.operation == gone.operation } }
    }
    guard !claimant.isWaiting, let share = claimant.shares.first, share.deed == .delete else { return }
    deleted.append(Deleted(operation: operation, share: share, until: now + Self.memory))
  }

  mutating func expire(now: UInt64) {
    present.removeAll { $0.shares.first?.deed == .round && now >= $0.since + Self.round }
  }
}
