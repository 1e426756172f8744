/// CRC-32C (Castagnoli), as RFC 4960 appendix B has it: for the few dozen bytes of a header, so that a small table will do.
enum CRC32C {
  /// The checksum of `bytes`.
  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = .max
    for byte in bytes {
      crc ^= UInt32(byte)
      crc = crc >> 4 ^ table[Int(crc & 0xF)]
      crc = crc >> 4 ^ table[Int(crc & 0xF)]
    }
    return ~crc
  }

  /// By half bytes. The polynomial 0x1EDC6F41 with its bits in the order in which they are sent.
  private static let table: [UInt32] = (0..<16).map { number in
    (0..<4).reduce(UInt32(number)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
  }
}
