/// How long a caller takes to get to a reply, learned from the last ones: a look before that costs as much as one that finds it
/// there, and one long after lets the caller wait. Nanoseconds.
struct LookPace: Sendable {
  /// A look at once and another one in the shortest step cost no more than to sleep for less than this.
  static let shortest: UInt64 = 20_000
  /// How many looks at a reply follow each other without a pause while they come too soon.
  static let looksAtOnce = 4
  /// A caller that takes longer than this between two reads is polled in the gate's growing steps.
  static let longest: UInt64 = 1_000_000
  private static let growth: UInt64 = 10_000

  private var pause: UInt64 = 0

  /// When to look first, from the moment at which the tail is withheld; 0: at once.
  var firstLook: UInt64 { pause < Self.shortest ? 0 : pause }

  /// The caller was seen to have begun the reply.
  /// - Parameters:
  ///   - elapsed: since the tail is withheld.
  ///   - missed: an earlier look had come too soon.
  ///   - starved: it had read all there was: it waits for the tail.
  mutating func begun(after elapsed: UInt64, missed: Bool, starved: Bool) {
    if missed {
      // One caller that was preempted for a millisecond is no measure for the next reply.
      if elapsed > pause { pause = min(Self.longest, pause + min((elapsed - pause) / 2, Self.growth)) }
    } else if starved {
      pause -= pause / 4
    }
  }
}
