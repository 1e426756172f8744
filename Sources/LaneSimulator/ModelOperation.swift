internal import LaneCore

/// An operation on its way: past the guard of the datanode that sends it, then past that of the one that it is sent to.
struct ModelOperation {
  enum Kind: CaseIterable {
    case delete, repairRead, tinyRead, task, round, removal
  }

  enum Stage: Equatable {
    /// At the sender, or between the two.
    case outbound
    case inbound
    /// The datanode works on it.
    case executing
    case over
  }

  struct Passage {
    var node: Int
    var ticket: ConflictGuard.Ticket
  }

  var kind: Kind
  /// The datanode that sends it; nil for a client or the master.
  var sender: Int?
  var target: Int
  var partition: UInt64
  var extents: Set<UInt64>
  var created: Set<UInt64> = []
  /// Datanodes that the target forwards it to.
  var followers: [Int] = []
  /// The longest that a guard may hold it, nanoseconds.
  var longestHold: UInt64 = 0
  /// The operation whose answer waits for it.
  var parent: Int?
  var stage = Stage.outbound
  var passages: [Passage] = []
  /// Where it is held.
  var held: Passage?
  /// What it has caused and that is not over.
  var children: Set<Int> = []
  /// Its datanode has done its own part.
  var isDone = false

  /// It reads for a repair at its sender.
  var reads: Bool { kind == .repairRead || kind == .tinyRead }
}
