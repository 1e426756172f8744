/// Byte 3 of a packet: 0 in a request, 0xF0 where the operation succeeded, anything else an error. CubeFS
/// `proto/packet.go`, tag v3.5.3. An unknown code is not by itself a fault: releases add codes.
public struct ResultCode: RawRepresentable, Hashable, Sendable {
  /// The byte on the wire.
  public var rawValue: UInt8

  /// Any byte is a result code.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Any byte is a result code.
  @inlinable public init(_ rawValue: UInt8) { self.rawValue = rawValue }

  /// `OpInitResultCode`: what a request carries.
  @inlinable public static var initial: ResultCode { ResultCode(0x00) }
  /// `OpOk`.
  @inlinable public static var ok: ResultCode { ResultCode(0xF0) }
  /// `OpIntraGroupNetErr`: the code of every error reply that Lanekeeper writes itself.
  @inlinable public static var intraGroupNetErr: ResultCode { ResultCode(0xF3) }
  /// `OpAgain`.
  @inlinable public static var again: ResultCode { ResultCode(0xF9) }

  /// CubeFS's own constant name, or `0xNN`. Where the sources give one byte several names, the datanode's is used.
  public var name: String { Self.names[rawValue] ?? hexadecimal(rawValue) }

  static let names: [UInt8: String] = [
    0x00: "OpInitResultCode",
    0x82: "OpMismatchStorageClass",
    0x88: "OpWriteOpOfProtoVerForbidden",
    0xB1: "OpLimitedIoErr",
    0xB2: "OpStoreClosed",
    0xB3: "OpReachMaxExtentsErr",
    0xB4: "OpTinyRecoverErr",
    0xB5: "OpDpDecommissionRepairErr",
    0xB6: "OpDpRepairErr",
    0xD7: "OpTryOtherExtent",
    0xEE: "OpNoSpaceErr",
    0xEF: "OpReadRepairExtentAgain",
    0xF0: "OpOk",
    0xF1: "OpDirQuota",
    0xF2: "OpConflictExtentsErr",
    0xF3: "OpIntraGroupNetErr",
    0xF4: "OpArgMismatchErr",
    0xF5: "OpNotExistErr",
    0xF6: "OpDiskNoSpaceErr",
    0xF7: "OpDiskErr",
    0xF8: "OpErr",
    0xF9: "OpAgain",
    0xFA: "OpExistErr",
    0xFB: "OpInodeFullErr",
    0xFC: "OpTryOtherAddr",
    0xFD: "OpNotPerm",
    0xFE: "OpNotEmpty",
  ]
}

extension ResultCode: CustomStringConvertible {
  /// The name.
  public var description: String { name }
}
