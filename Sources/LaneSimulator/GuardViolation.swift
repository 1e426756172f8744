/// What a run of the conflict guard's model found wrong.
public enum GuardViolation: Equatable, Sendable {
  /// Two operations that must not run at the same time do, and neither was let go on at its limit.
  case conflictRuns(operation: Int, beside: Int)
  /// An operation is held, and nothing that it must wait for runs.
  case heldForNothing(operation: Int)
  /// An operation should have been held when it arrived, and was not; or the other way round.
  case wronglyDecided(operation: Int, isHeld: Bool)
  /// A conflict was not told of, or one that is none, or with another operation or reason.
  case wronglyTold(operation: Int, by: Int?)
  /// An operation waits for itself, by what its datanodes wait for in turn; only a limit would end it.
  case deadlock(operation: Int)
  /// The guard let go on what it did not hold.
  case wronglyReleased(operation: Int?)
  /// The guard says that it holds or knows so many operations, and it is not so many.
  case wronglyCounted(held: Int, known: Int)
  /// The guard names as blocker one that is none.
  case wrongBlocker(operation: Int)
  /// All operations are over, and the guard still keeps something of them.
  case leak(Int)
  /// The run does not end.
  case endless
}

/// A violation, and how to see it again.
public struct GuardFinding: Equatable, Sendable {
  /// The seed of the run.
  public let seed: UInt64
  /// What it found.
  public let violation: GuardViolation
  /// In which of the run's steps.
  public let step: Int
}
