/// What one read gave.
public enum ReadOutcome: Equatable, Sendable {
  /// So many bytes, at least 1.
  case bytes(Int)
  /// Nothing now.
  case wouldBlock
  /// The peer has shut its sending direction, and everything before was read.
  case end
  /// The connection is lost.
  case failed(SystemFailure)
}

/// What a look at the receive queue showed. No byte was taken.
public enum PeekOutcome: Equatable, Sendable {
  /// Open, and nothing to read.
  case quiet
  /// At least one byte can be read.
  case readable
  /// The peer has shut its sending direction.
  case end
  /// The connection is lost.
  case failed(SystemFailure)
}

/// What became of bytes to send.
public enum SendOutcome: Equatable, Sendable {
  /// The kernel has them all.
  case sent
  /// Some are kept and go out in order as the socket takes them; `drained()` tells when.
  case queued
  /// `pendingLimit` would be passed: nothing of this call was taken.
  case overflow
  /// The connection is lost, or its sending direction is shut.
  case failed(SystemFailure)
}
