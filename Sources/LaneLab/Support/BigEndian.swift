/// The eight bytes of a number, most significant first: how CubeFS writes numbers into payloads and Arg.
func bigEndianBytes(_ number: UInt64) -> [UInt8] {
  (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
}

/// The number in the first eight bytes; nil where there are fewer.
func bigEndianNumber(_ bytes: some Collection<UInt8>) -> UInt64? {
  guard bytes.count >= 8 else { return nil }
  return bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
}
