/// How long a reactor's batches took: the time in which nobody else was served.
public struct StallHistogram: Sendable, Equatable {
  /// Batches by length: bucket 0 counts those under 1 µs, bucket n those from 2^(n-1) µs to under 2^n µs, the last one all longer ones.
  public let buckets: [UInt64]
  /// All batches together.
  public let sum: Nanoseconds
  /// The longest batch seen.
  public let longest: Nanoseconds

  /// All batches.
  public var total: UInt64 { buckets.reduce(0, &+) }

  /// The batches that took at least this bucket's lower bound.
  public func count(fromBucket first: Int) -> UInt64 { buckets.dropFirst(max(0, first)).reduce(0, &+) }
}

/// The reactor's own counters: plain memory, one increment per batch.
final class StallRecord {
  static let bucketCount = 26
  private let counts: UnsafeMutablePointer<UInt64>
  @exclusivity(unchecked) private var sum: Nanoseconds = 0
  @exclusivity(unchecked) private var longest: Nanoseconds = 0

  init() {
    counts = .allocate(capacity: StallRecord.bucketCount)
    counts.initialize(repeating: 0, count: StallRecord.bucketCount)
  }

  deinit { counts.deallocate() }

  @inline(__always)
  func add(_ span: Nanoseconds) {
    let micros = span / 1000
    let bucket = min(StallRecord.bucketCount - 1, UInt64.bitWidth - micros.leadingZeroBitCount)
    counts[bucket] &+= 1
    sum &+= span
    if span > longest { longest = span }
  }

  var snapshot: StallHistogram {
    StallHistogram(buckets: Array(UnsafeBufferPointer(start: counts, count: StallRecord.bucketCount)), sum: sum, longest: longest)
  }
}
