/// A packet's header as a value, with every optional part: for tools, the lab and tests. The data path uses `HeaderView`.
public struct PacketHeader: Equatable, Sendable {
  /// One entry of a version list. CubeFS `proto.VolVersionInfo`.
  public struct Version: Equatable, Sendable {
    /// The version's sequence number.
    public var sequence: UInt64
    /// When it was deleted, as CubeFS counts it; 0 where it was not.
    public var deletionTime: UInt64
    /// CubeFS's status byte.
    public var status: UInt8

    /// An entry of these fields.
    public init(sequence: UInt64, deletionTime: UInt64, status: UInt8) {
      self.sequence = sequence
      self.deletionTime = deletionTime
      self.status = status
    }

    /// The entries of a version list, without its count. A rest shorter than an entry is left out.
    public static func list(parsing bytes: some Collection<UInt8>) -> [Version] {
      var tail = Array(bytes)[...]
      return (0..<tail.count / HeaderView.versionEntryLength).map { _ in
        Version(
          sequence: PacketHeader.take(8, &tail), deletionTime: PacketHeader.take(8, &tail),
          status: UInt8(truncatingIfNeeded: PacketHeader.take(1, &tail)))
      }
    }
  }

  /// Byte 0.
  public var magic: UInt8 = HeaderView.magic
  /// Byte 1, flags included.
  public var extentType: UInt8 = 0
  /// Byte 2.
  public var opcode = Opcode(0)
  /// Byte 3.
  public var resultCode = ResultCode.initial
  /// Byte 4.
  public var remainingFollowers: UInt8 = 0
  /// crc32 (IEEE) of the payload, where used.
  public var crc: UInt32 = 0
  /// Payload length, or the length asked for, bytes.
  public var size: UInt32 = 0
  /// Length of Arg, bytes.
  public var argLength: UInt32 = 0
  /// The data partition.
  public var partitionID: UInt64 = 0
  /// The extent.
  public var extentID: UInt64 = 0
  /// Offset in the extent, bytes.
  public var extentOffset: Int64 = 0
  /// The requester's id.
  public var reqID: Int64 = 0
  /// Offset in the file, bytes.
  public var kernelOffset: UInt64 = 0
  /// The snapshot version, where on the wire.
  public var verSeq: UInt64?
  /// The protocol version, where on the wire.
  public var protoVersion: UInt32?
  /// The version list, where on the wire.
  public var versions: [Version]?

  /// All zero but the magic.
  public init() {}

  /// The fixed fields of the view.
  public init(_ view: HeaderView) {
    magic = view.magic
    extentType = view.extentType
    opcode = view.opcode
    resultCode = view.resultCode
    remainingFollowers = view.remainingFollowers
    crc = view.crc
    size = view.size
    argLength = view.argLength
    partitionID = view.partitionID
    extentID = view.extentID
    extentOffset = view.extentOffset
    reqID = view.reqID
    kernelOffset = view.kernelOffset
  }

  /// The head's fixed and optional fields; of a version list only an empty one, since its entries are not in the head.
  public init(_ head: Framer.Head) {
    self.init(head.header)
    verSeq = head.verSeq
    protoVersion = head.protoVersion
    versions = head.versionCount.map { _ in [] }
  }

  /// Reads a whole header from the front of `bytes`, optional parts included. Nil where `bytes` is shorter than the header.
  public init?(parsing bytes: some Collection<UInt8>, release: CubeFSRelease = .auto) {
    var fixed = Array(bytes.prefix(HeaderView.fixedLength))
    guard fixed.count == HeaderView.fixedLength else { return nil }
    self.init()
    fixed.withUnsafeMutableBytes { raw in
      if let base = raw.baseAddress { self = PacketHeader(HeaderView(at: base)) }
    }
    let extensionLength = HeaderView.extensionLength(extentType: extentType, in: release)
    var tail = Array(bytes.dropFirst(HeaderView.fixedLength).prefix(extensionLength))[...]
    guard tail.count == extensionLength else { return nil }
    if extensionLength >= 8 { verSeq = Self.take(8, &tail) }
    if extensionLength >= 12 { protoVersion = UInt32(truncatingIfNeeded: Self.take(4, &tail)) }
    guard extensionLength & 2 != 0 else { return }
    let listLength = Int(Self.take(2, &tail)) * HeaderView.versionEntryLength
    let list = bytes.dropFirst(HeaderView.fixedLength + extensionLength).prefix(listLength)
    guard list.count == listLength else { return nil }
    versions = Version.list(parsing: list)
  }

  /// The header on the wire: 57 bytes and whichever optional parts are not nil. Arg and payload are the caller's to append.
  public func encoded() -> [UInt8] {
    var out: [UInt8] = [magic, extentType, opcode.rawValue, resultCode.rawValue, remainingFollowers]
    out.reserveCapacity(HeaderView.fixedLength + 14)
    Self.put(crc, &out)
    Self.put(size, &out)
    Self.put(argLength, &out)
    Self.put(partitionID, &out)
    Self.put(extentID, &out)
    Self.put(extentOffset, &out)
    Self.put(reqID, &out)
    Self.put(kernelOffset, &out)
    if let verSeq { Self.put(verSeq, &out) }
    if let protoVersion { Self.put(protoVersion, &out) }
    if let versions {
      Self.put(UInt16(clamping: versions.count), &out)
      for version in versions.prefix(Int(UInt16.max)) {
        Self.put(version.sequence, &out)
        Self.put(version.deletionTime, &out)
        out.append(version.status)
      }
    }
    return out
  }

  /// The length of `encoded()`, bytes: 57, 65 or 69, and 2 + 17n where a version list of n entries is on the wire.
  public var headerLength: Int {
    HeaderView.fixedLength + (verSeq == nil ? 0 : 8) + (protoVersion == nil ? 0 : 4)
      + (versions.map { 2 + min($0.count, Int(UInt16.max)) * HeaderView.versionEntryLength } ?? 0)
  }

  private static func put(_ number: some FixedWidthInteger, _ out: inout [UInt8]) {
    withUnsafeBytes(of: number.bigEndian) { out.append(contentsOf: $0) }
  }

  private static func take(_ count: Int, _ bytes: inout ArraySlice<UInt8>) -> UInt64 {
    let value = bytes.prefix(count).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    bytes = bytes.dropFirst(count)
    return value
  }
}
