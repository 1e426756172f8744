/// An operation code, byte 2 of a packet. CubeFS `proto/packet.go`, tags v3.3.0, v3.4.0 and v3.5.3.
public struct Opcode: RawRepresentable, Hashable, Sendable {
  /// The byte on the wire.
  public var rawValue: UInt8

  /// Any byte is an opcode; one that CubeFS does not define has no name.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Any byte is an opcode.
  @inlinable public init(_ rawValue: UInt8) { self.rawValue = rawValue }
}

extension Opcode {
  /// CubeFS's own constant name; nil for a byte that no datanode release knows.
  public var knownName: String? { Self.names[rawValue] }

  /// CubeFS's own constant name, or `Op0xNN`.
  public var name: String {
    knownName ?? "Op\(hexadecimal(rawValue))"
  }

  /// The opcode of that constant name (exact case), or of a hexadecimal form such as `0x09`. Nil for anything else.
  public init?(named text: String) {
    if let known = Self.names.first(where: { $0.value == text }) {
      self.init(known.key)
    } else if text.hasPrefix("0x"), (3...4).contains(text.utf8.count), text.dropFirst(2).allSatisfy(\.isHexDigit),
      let number = UInt8(text.dropFirst(2), radix: 16)
    {
      self.init(number)
    } else {
      return nil
    }
  }

  /// True where `Size` in a request (result code 0) tells the length asked for and no payload follows. The union over
  /// the releases: `IsReadOperation` of v3.3.0 lacks 0x17 and 0x59, that of v3.4.0 lacks 0x59.
  /// - Parameter release: with `.v3_4_0` 0x59 is no read, as that release's reader has it.
  @inlinable public func isRead(in release: CubeFSRelease) -> Bool {
    switch rawValue {
    case 0x04, 0x05, 0x06, 0x09, 0x14, 0x15: true
    case 0x17: release != .v3_3_0
    case 0x59: release != .v3_4_0
    default: false
    }
  }

  /// Every opcode that some datanode release of 3.2 to 3.5 names, by number.
  public static var known: [Opcode] { names.keys.sorted().map { Opcode($0) } }

  static let names: [UInt8: String] = [
    0x01: "OpCreateExtent",
    0x02: "OpMarkDelete",
    0x03: "OpWrite",
    0x04: "OpRead",
    0x05: "OpStreamRead",
    0x06: "OpStreamFollowerRead",
    0x07: "OpGetAllWatermarks",
    0x08: "OpNotifyReplicasToRepair",
    0x09: "OpExtentRepairRead",
    0x0A: "OpBroadcastMinAppliedID",
    0x0F: "OpRandomWrite",
    0x10: "OpGetAppliedId",
    0x11: "OpGetPartitionSize",
    0x12: "OpSyncRandomWrite",
    0x13: "OpSyncWrite",
    0x14: "OpReadTinyDeleteRecord",
    0x15: "OpTinyExtentRepairRead",
    0x16: "OpGetMaxExtentIDAndPartitionSize",
    0x17: "OpSnapshotExtentRepairRead",
    0x18: "OpSnapshotExtentRepairRsp",
    0x57: "OpBatchLockNormalExtent",
    0x58: "OpBatchUnlockNormalExtent",
    0x59: "OpBackupRead",
    0x5A: "OpBackupWrite",
    0x60: "OpCreateDataPartition",
    0x61: "OpDeleteDataPartition",
    0x62: "OpLoadDataPartition",
    0x63: "OpDataNodeHeartbeat",
    0x64: "OpReplicateFile",
    0x65: "OpDeleteFile",
    0x66: "OpDecommissionDataPartition",
    0x67: "OpAddDataPartitionRaftMember",
    0x68: "OpRemoveDataPartitionRaftMember",
    0x69: "OpDataPartitionTryToLeader",
    0x6A: "OpQos",
    0x6B: "OpStopDataPartitionRepair",
    0x6C: "OpRecoverDataReplicaMeta",
    0x6D: "OpRecoverBackupDataReplica",
    0x6E: "OpRecoverBadDisk",
    0x6F: "OpQueryBadDiskRecoverProgress",
    0x75: "OpBatchDeleteExtent",
    0x76: "OpGcBatchDeleteExtent",
    0x80: "OpDeleteBackupDirectories",
    0x8A: "OpDeleteLostDisk",
    0x8B: "OpReloadDisk",
    0x8C: "OpSetRepairingStatus",
    0xB1: "OpRandomWriteAppend",
    0xB2: "OpSyncRandomWriteAppend",
    0xB3: "OpRandomWriteVer",
    0xB4: "OpSyncRandomWriteVer",
    0xB5: "OpSyncRandomWriteVerRsp",
    0xB6: "OpTryWriteAppend",
    0xB7: "OpSyncTryWriteAppend",
    0xB8: "OpVersionOp",
    0xD5: "OpVersionOperation",
    0xD6: "OpSplitMarkDelete",
    0xD7: "OpTryOtherExtent",
    0xF0: "OpOk",
    0xFF: "OpPing",
  ]
}

extension Opcode: CustomStringConvertible {
  /// The name.
  public var description: String { name }
}

/// `0xNN`, upper case, two digits.
func hexadecimal(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16, uppercase: true)
  return digits.utf8.count == 1 ? "0x0\(digits)" : "0x\(digits)"
}
