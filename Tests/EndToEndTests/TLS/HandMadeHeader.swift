import TestBytes

/// A header of the PROXY protocol, version 2, made by hand, for who is no sidecar.
struct HandMadeHeader {
  static let source = "192.0.2.1:41952"
  /// The bits of `11223344-5566-8...-.788`.
  static let process: UInt64 = 0x1122_3344_5566_0788

  /// Behind the addresses.
  var fields: [UInt8] = [0xE0, 0, 8] + process.bigEndianBytes
  var command: UInt8 = 0x21
  /// What the length says; what there is where nil.
  var length: UInt16?
  /// What is wrong with the checksum.
  var flip: UInt32 = 0

  var bytes: [UInt8] {
    let addresses: [UInt8] = [192, 0, 2, 1, 10, 0, 12, 1] + UInt16(41952).bigEndianBytes + UInt16(17310).bigEndianBytes
    let rest = addresses + fields + [3, 0, 4, 0, 0, 0, 0]
    let open = [13, 10, 13, 10, 0, 13, 10] + Array("QUIT\n".utf8) + [command, 0x11] + (length ?? UInt16(rest.count)).bigEndianBytes + rest
    return open.dropLast(4) + (crc32c(open) ^ flip).bigEndianBytes
  }
}
