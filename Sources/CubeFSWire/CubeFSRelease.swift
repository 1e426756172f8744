/// Whose rules decide how long a header is and which requests carry no payload.
///
/// Most of it follows from the flags in each packet; `auto` trusts them. A named release is for clusters whose
/// ExtentType bits mean something else (v3.3.0 ignores bits 0x10, 0x40 and 0x80).
public enum CubeFSRelease: String, Sendable, CaseIterable {
  /// The flags of each packet decide.
  case auto
  /// v3.2.1 to v3.3.2: always 57 bytes.
  case v3_3_0 = "3.3.0"
  /// v3.4.0: 65 bytes with 0x80, version list with 0x40, no 0x10.
  case v3_4_0 = "3.4.0"
  /// v3.5.0 to v3.5.3: 69 bytes with 0x10, else 65 with 0x80, version list with 0x40.
  case v3_5_3 = "3.5.3"
}

/// Bits of ExtentType, byte 1 of a packet. CubeFS `proto/packet.go`, tag v3.5.3.
public enum ExtentTypeBits {
  /// Bit 0: 0 for a tiny extent, 1 for a normal one.
  public static let normal: UInt8 = 0x01
  /// `PacketProtocolVersionFlag`: VerSeq and ProtoVersion follow the fixed header.
  public static let protocolVersion: UInt8 = 0x10
  /// `VersionListFlag`: a counted list of 17-byte versions follows.
  public static let versionList: UInt8 = 0x40
  /// `MultiVersionFlag`: VerSeq follows the fixed header.
  public static let multiVersion: UInt8 = 0x80
}
