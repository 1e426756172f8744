/// One word after `lanekeeper`, and what it does.
struct Subcommand: Sendable {
  /// The word.
  let name: String
  /// One line for the program's help.
  let summary: String
  /// What `lanekeeper NAME --help` prints; begins with `usage: lanekeeper NAME`. A usage error shows its first line.
  let usage: String
  /// Does the work and gives the exit status. It takes everything it knows off the arguments, then calls
  /// `Arguments.finish()`. Throws `UsageError`, `CommandFailure` or `OutputError`; the program reports them.
  let run: @Sendable (inout Arguments) throws -> Int32
}

/// The command line is wrong: exit status 64, the reason on standard error.
struct UsageError: Error {
  /// What is wrong and what would be right.
  let reason: String
}

/// The command could not do its work.
struct CommandFailure: Error {
  /// What failed, where, and what would be right.
  let reason: String
  /// The exit status; 1 unless the command's usage says otherwise.
  let status: Int32

  init(_ reason: String, status: Int32 = 1) {
    self.reason = reason
    self.status = status
  }
}

/// Exit statuses with a meaning of their own; the numbers are those of `sysexits.h`.
enum ExitStatus {
  /// The command did what it was asked to.
  static let success: Int32 = 0
  /// The command line is wrong.
  static let usage: Int32 = 64
  /// The input cannot be opened or read.
  static let noInput: Int32 = 66
  /// Standard output could not be written.
  static let outputFailed: Int32 = 74
}
