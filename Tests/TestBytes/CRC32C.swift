/// CRC-32C bit by bit, as RFC 4960 appendix B defines it, without a table: not the program's.
public func crc32c(_ bytes: [UInt8]) -> UInt32 {
  // The message's bits are those of its bytes, the least significant first; the remainder's come out likewise.
  var remainder: UInt32 = .max
  for byte in bytes {
    for bit in 0..<8 {
      let isSet = (remainder >> 31) ^ UInt32(byte >> UInt8(bit) & 1) == 1
      remainder = remainder << 1 ^ (isSet ? 0x1EDC_6F41 : 0)
    }
  }
  return (0..<32).reduce(0) { $0 | (~remainder >> UInt32($1) & 1) << UInt32(31 - $1) }
}

extension FixedWidthInteger {
  /// Its bytes, the most significant first.
  public var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
