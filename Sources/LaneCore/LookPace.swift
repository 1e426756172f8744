/// How long a caller takes to read a reply, learned from the last ones: a look before that finds the queue full and costs as
/// much as one that finds it empty. Nanoseconds.
struct LookPace: Sendable {
  /// Replies of fewer bytes are looked at at once: reading them takes less time than a look.
  static let smallReply: UInt64 = 16_384
  /// A caller that takes longer than this between two reads is polled in the gate's growing steps.
  static let longest: UInt64 = 1_000_000
  private static let growth: UInt64 = 80_000

  /// When to look first, from the moment at which the tail is withheld.
  private(set) var firstLook: UInt64 = 0

  /// The queue was seen empty.
  /// - Parameters:
  ///   - elapsed: since the tail is withheld.
  ///   - missed: an earlier look had found it full.
  mutating func emptied(after elapsed: UInt64, missed: Bool) {
    guard missed else {
      // It may have been empty for long: creep towards the moment, and stay near it.
      firstLook -= (firstLook + 15) / 16
      return
    }
    // One caller that was preempted for a millisecond is no measure for the next reply.
    let sample = min(elapsed, 2 * firstLook + Self.growth, Self.longest)
    firstLook = (firstLook + max(firstLook, sample)) / 2
  }
}
