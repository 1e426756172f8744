/// A packet's fixed 57 bytes where they lie: fields are read and `ReqID` is replaced in place, without a copy.
///
/// Layout: CubeFS `proto/packet.go` `MarshalHeader`, tag v3.3.0 line 430 and v3.5.3 line 883; big endian.
/// The view borrows the memory: it must not outlive the call that handed it out.
public struct HeaderView {
  /// The fixed header's length, bytes.
  @inlinable public static var fixedLength: Int { 57 }
  /// Byte 0 of every packet.
  @inlinable public static var magic: UInt8 { 0xFF }
  /// The length of one entry of a version list, bytes: u64 version, u64 deletion time, u8 status.
  @inlinable public static var versionEntryLength: Int { 17 }

  @usableFromInline let base: UnsafeMutableRawPointer

  /// A view of the 57 bytes at `base`; the caller answers for their being there.
  @inlinable public init(at base: UnsafeMutableRawPointer) { self.base = base }

  @inlinable func byte(_ offset: Int) -> UInt8 { base.load(fromByteOffset: offset, as: UInt8.self) }
  @inlinable func word(_ offset: Int) -> UInt32 { UInt32(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
  @inlinable func long(_ offset: Int) -> UInt64 { UInt64(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }

  /// Byte 0; 0xFF in every packet.
  @inlinable public var magic: UInt8 { byte(0) }
  /// Byte 1, flags included.
  @inlinable public var extentType: UInt8 { byte(1) }
  /// Byte 2.
  @inlinable public var opcode: Opcode { Opcode(byte(2)) }
  /// Byte 3.
  @inlinable public var resultCode: ResultCode { ResultCode(byte(3)) }
  /// Byte 4; 127 means a special replica count, not forwarded.
  @inlinable public var remainingFollowers: UInt8 { byte(4) }
  /// crc32 (IEEE) of the payload, where the operation uses it.
  @inlinable public var crc: UInt32 { word(5) }
  /// Payload length in bytes, or the length asked for in a read request.
  @inlinable public var size: UInt32 { word(9) }
  /// Length of Arg, bytes.
  @inlinable public var argLength: UInt32 { word(13) }
  /// The data partition.
  @inlinable public var partitionID: UInt64 { long(17) }
  /// The extent.
  @inlinable public var extentID: UInt64 { long(25) }
  /// Offset in the extent, bytes; signed on the wire.
  @inlinable public var extentOffset: Int64 { Int64(bitPattern: long(33)) }
  /// The requester's id; signed on the wire. Here stands the stamp between two Lanekeepers or Lanekeeper and peer.
  @inlinable public var reqID: Int64 { Int64(bitPattern: long(41)) }
  /// Offset in the file, bytes.
  @inlinable public var kernelOffset: UInt64 { long(49) }

  /// Writes another `ReqID` in place; no other byte changes.
  @inlinable public func restamp(_ reqID: Int64) {
    base.storeBytes(of: UInt64(bitPattern: reqID).bigEndian, toByteOffset: 41, as: UInt64.self)
  }

  /// Bytes that follow the fixed header before Arg, not counting the entries of a version list: 0, 8 (VerSeq),
  /// 12 (VerSeq, ProtoVersion), each + 2 where a version list's count follows.
  @inlinable public func extensionLength(in release: CubeFSRelease) -> Int {
    Self.extensionLength(extentType: extentType, in: release)
  }

  /// As the method of the same name, from the flags alone.
  @inlinable public static func extensionLength(extentType flags: UInt8, in release: CubeFSRelease) -> Int {
    guard release != .v3_3_0, flags & 0xD0 != 0 else { return 0 }
    let list = flags & ExtentTypeBits.versionList != 0 ? 2 : 0
    if flags & ExtentTypeBits.protocolVersion != 0 && release != .v3_4_0 { return 12 + list }
    return (flags & ExtentTypeBits.multiVersion != 0 ? 8 : 0) + list
  }
}
