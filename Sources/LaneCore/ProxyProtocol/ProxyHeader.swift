public import NetEndpoint

/// What a header of the PROXY protocol, version 2, says of the connection that it begins
/// (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, section 2.2).
///
/// Of the families only TCP over IPv4 is told, and of the TLVs those that are named here.
public struct ProxyHeader: Equatable, Sendable {
  /// Who connected, and to where, as the sender has accepted it.
  public struct Addresses: Equatable, Sendable {
    /// The caller.
    public var source: Endpoint
    /// Where the caller meant to connect to.
    public var destination: Endpoint

    /// From one to the other.
    public init(source: Endpoint, destination: Endpoint) {
      self.source = source
      self.destination = destination
    }
  }

  /// The original addresses; nil where the sender speaks for itself (LOCAL), or of another family than TCP over IPv4.
  public var addresses: Addresses?
  /// The random process bits of the sender's operation ids (`OperationID`); nil where it has not told them.
  public var process: UInt64?

  /// A header that says that much.
  public init(addresses: Addresses? = nil, process: UInt64? = nil) {
    self.addresses = addresses
    self.process = process.map { $0 & OperationID.processMask }
  }

  // MARK: The format

  /// What every header begins with.
  static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
  /// The signature, version and command, family and protocol, and the length of what follows: bytes.
  static let fixedLength = 16
  /// The most bytes that may follow: together with these the header fits the smallest segment that every host takes, and that
  /// is what the protocol promises ("always smaller than an MSS").
  static let longestRest = 520
  /// The most bytes of a header.
  public static let longest = fixedLength + longestRest

  /// Version and command.
  static let local: UInt8 = 0x20
  static let proxy: UInt8 = 0x21
  /// Family and protocol.
  static let unspecified: UInt8 = 0x00
  static let tcpOverIPv4: UInt8 = 0x11

  /// Types of TLVs.
  enum FieldType {
    static let crc32c: UInt8 = 0x03
    /// The first of the sixteen that are left to applications: the process bits, big endian, in eight bytes.
    static let process: UInt8 = 0xE0
  }

  /// As it is sent, with its checksum.
  public func encoded() -> [UInt8] {
    var bytes = Self.signature
    bytes.append(addresses == nil ? Self.local : Self.proxy)
    bytes.append(addresses == nil ? Self.unspecified : Self.tcpOverIPv4)
    let lengthPlace = bytes.count
    bytes.append(contentsOf: [0, 0])
    if let addresses {
      Self.append(addresses.source.address, to: &bytes)
      Self.append(addresses.destination.address, to: &bytes)
      Self.append(addresses.source.port, to: &bytes)
      Self.append(addresses.destination.port, to: &bytes)
    }
    if let process {
      Self.appendField(FieldType.process, length: 8, to: &bytes)
      Self.append(process, to: &bytes)
    }
    Self.appendField(FieldType.crc32c, length: 4, to: &bytes)
    let checksumPlace = bytes.count
    Self.append(UInt32(0), to: &bytes)
    Self.put(UInt16(bytes.count - Self.fixedLength), at: lengthPlace, in: &bytes)
    Self.put(CRC32C.checksum(bytes), at: checksumPlace, in: &bytes)
    return bytes
  }

  private static func appendField(_ type: UInt8, length: UInt16, to bytes: inout [UInt8]) {
    bytes.append(type)
    append(length, to: &bytes)
  }

  private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
  }

  private static func put(_ number: some FixedWidthInteger, at place: Int, in bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.bigEndian) { bytes.replaceSubrange(place..<place + $0.count, with: $0) }
  }
}
