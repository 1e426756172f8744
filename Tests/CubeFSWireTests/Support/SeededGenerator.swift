import Glibc

/// SplitMix64: the same seed gives the same numbers.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// The seed of a random test: LANEKEEPER_SEED where set, else a new one; printed, so that a failure can be replayed.
func testSeed(_ test: String = #function) -> UInt64 {
  let given = getenv("LANEKEEPER_SEED").flatMap { UInt64(String(cString: $0)) }
  let seed = given ?? UInt64.random(in: 1...UInt64(UInt32.max))
  print("\(test): LANEKEEPER_SEED=\(seed)")
  return seed
}
