/// How long the delivery gate withheld tails: counts in fixed buckets, 50 µs to 60 s. Recording allocates nothing, and a copy is
/// only memory.
public struct WaitHistogram: Sendable {
  /// The buckets' upper bounds, nanoseconds, each inclusive; one more bucket counts what is longer.
  public static let bounds: [UInt64] = [
    50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000,
    1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000, 60_000_000_000,
  ]

  private var counts = InlineArray<20, UInt64>(repeating: 0)
  /// All waits together, nanoseconds.
  public private(set) var sum: UInt64 = 0
  /// The longest wait, nanoseconds.
  public private(set) var longest: UInt64 = 0

  /// Nothing recorded.
  public init() {}

  /// One more wait, nanoseconds.
  public mutating func record(_ wait: UInt64) {
    var bucket = 0
    while bucket < Self.bounds.count, wait > Self.bounds[bucket] { bucket += 1 }
    counts[bucket] &+= 1
    sum &+= wait
    longest = max(longest, wait)
  }

  /// Waits in each bucket, not cumulated; one more than there are `bounds`.
  public var buckets: [UInt64] { counts.indices.map { counts[$0] } }

  /// Waits recorded.
  public var count: UInt64 { buckets.reduce(0, &+) }
}
