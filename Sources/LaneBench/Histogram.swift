/// Latencies in nanoseconds, in buckets that grow with the value: 128 to a power of two, so a figure is off by less than 0.8%.
struct Histogram {
  private static let subBits = 7
  private static let subCount = 1 << subBits
  private var buckets = [UInt64](repeating: 0, count: (64 - subBits + 1) * subCount)
  private(set) var count: UInt64 = 0
  private(set) var largest: UInt64 = 0

  mutating func record(_ nanoseconds: UInt64) {
    buckets[Self.bucket(of: nanoseconds)] += 1
    count += 1
    largest = max(largest, nanoseconds)
  }

  /// The smallest recorded value (at its bucket's upper end) that at least `fraction` of all values do not exceed; 0 where none is.
  func quantile(_ fraction: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let rank = max(1, UInt64((fraction * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for (index, number) in buckets.enumerated() where number > 0 {
      seen += number
      if seen >= rank { return min(largest, Self.upperEnd(of: index)) }
    }
    return largest
  }

  static func bucket(of value: UInt64) -> Int {
    let bits = 64 - value.leadingZeroBitCount
    if bits <= subBits { return Int(value) }
    let shift = bits - subBits - 1
    return (shift + 1) * subCount + Int(value >> UInt64(shift)) - subCount
  }

  static func upperEnd(of bucket: Int) -> UInt64 {
    if bucket < subCount { return UInt64(bucket) }
    let shift = UInt64(bucket / subCount - 1)
    let low = UInt64(bucket % subCount + subCount) << shift
    return low + (1 << shift) - 1
  }
}
