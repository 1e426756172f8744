/// What a run found wrong.
public enum GateViolation: Equatable, Sendable {
  /// The caller read a reply of an operation that it had left, as the answer to another one (G5).
  case staleAcceptance(reading: Int?, of: Int)
  /// A caller that reads was not served within the bound of steps.
  case notServed(operation: Int?)
  /// A caller that never left an operation was reset.
  case groundlessReset(operation: Int?)
  /// A caller that is visible was declared blind.
  case groundlessFallBack
}

/// A violation, and how to see it again.
public struct GateFinding: Equatable, Sendable {
  /// The seed of the run.
  public let seed: UInt64
  /// What it found.
  public let violation: GateViolation
  /// In which of the run's steps.
  public let step: Int
}
