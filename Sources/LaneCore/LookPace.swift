/// How long a caller takes to read a reply, learned from the last ones: a look before that finds the queue full and costs as
/// much as one that finds it empty. Nanoseconds.
struct LookPace: Sendable {
  /// Replies of fewer bytes are looked at at once: reading them takes less time than a look.
  static let smallReply: UInt64 = 16_384
  /// A look at once and another one in the shortest step cost no more than to sleep for less than this.
  static let shortest: UInt64 = 40_000
  /// A caller that takes longer than this between two reads is polled in the gate's growing steps.
  static let longest: UInt64 = 1_000_000
  private static let growth: UInt64 = 80_000

  private var mean: UInt64 = 0

  /// When to look first, from the moment at which the tail is withheld; 0: at once.
  var firstLook: UInt64 { mean < Self.shortest ? 0 : mean }

  /// The queue was seen empty.
  /// - Parameters:
  ///   - elapsed: since the tail is withheld.
  ///   - missed: an earlier look had found it full. If not, it may have been empty for long.
  mutating func emptied(after elapsed: UInt64, missed: Bool) {
    // One caller that was preempted for a millisecond is no measure for the next reply.
    let sample = missed ? min(elapsed, 2 * mean + Self.growth, Self.longest) : firstLook / 2
    mean = (7 * mean + sample) / 8
  }
}
