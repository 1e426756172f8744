/// The few fields of a CubeFS packet that a benchmark needs: 57 bytes, big endian (cubefs `proto/packet.go`).
///
/// This is on purpose not the codec of `CubeFSWire`: the load must not inherit a mistake of the program it measures.
enum Packet {
  static let headerLength = 57
  /// Datanodes of v3.2.1 and v3.3.0 answer reads in blocks of this size (`util.ReadBlockSize`).
  static let blockLength = 128 * 1024
  static let magic: UInt8 = 0xFF
  static let resultOK: UInt8 = 0xF0
  static let normalExtent: UInt8 = 1

  static let opCreateExtent: UInt8 = 0x01
  static let opMarkDelete: UInt8 = 0x02
  static let opStreamRead: UInt8 = 0x05
  static let opExtentRepairRead: UInt8 = 0x09

  /// Requests whose `Size` is a length asked for, with no payload behind the header.
  static func isRead(_ opcode: UInt8) -> Bool {
    switch opcode {
    case 0x04, 0x05, 0x06, 0x09, 0x14, 0x15, 0x17, 0x59: true
    default: false
    }
  }

  /// Offsets of the fields in the header.
  enum Offset {
    static let magic = 0
    static let extentType = 1
    static let opcode = 2
    static let resultCode = 3
    static let remainingFollowers = 4
    static let crc = 5
    static let size = 9
    static let argLength = 13
    static let partitionID = 17
    static let extentID = 25
    static let extentOffset = 33
    static let reqID = 41
    static let kernelOffset = 49
  }

  /// The bytes of every block: one pattern that both ends compute, without a period that a shifted reply could hide in.
  static func makeBlock() -> UnsafeMutableRawBufferPointer {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: blockLength, alignment: 64)
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    for index in block.indices {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      block[index] = UInt8(truncatingIfNeeded: state)
    }
    return block
  }

  /// CRC-32 as IEEE 802.3 defines it (reflected, polynomial 0xEDB88320).
  static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
  }
}

extension UnsafeMutableRawBufferPointer {
  func putBigEndian(_ value: some FixedWidthInteger, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: type(of: value))
  }
}

extension UnsafeRawBufferPointer {
  func bigEndian<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number {
    Number(bigEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }
}
