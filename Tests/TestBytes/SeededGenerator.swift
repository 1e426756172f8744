import Glibc

/// SplitMix64: the same seed gives the same numbers.
public struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  /// Numbers from this seed.
  public init(seed: UInt64) { state = seed }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// The next bytes, as both ends of a connection can make them for themselves.
  public mutating func bytes(_ count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count + 8)
    while result.count < count { withUnsafeBytes(of: next()) { result += $0 } }
    return Array(result.prefix(count))
  }
}

/// The seed of a random test: LANEKEEPER_SEED where set, else a new one; printed, so that a failure can be replayed.
public func testSeed(_ test: String = #function) -> UInt64 {
  let given = getenv("LANEKEEPER_SEED").flatMap { UInt64(String(cString: $0)) }
  let seed = given ?? UInt64.random(in: 1...UInt64(UInt32.max))
  print("\(test): LANEKEEPER_SEED=\(seed)")
  return seed
}
