/// Cuts a stream of bytes into packets, in place, whatever the pieces it arrives in.
///
/// The framer never holds bytes. It hands out a *head* (fixed header, VerSeq, ProtoVersion, the count of a version list
/// and, where a judge needs it, Arg) only when all of it lies in the memory given, and the rest of the packet as it comes.
/// It never looks past the packet it is in.
public struct Framer {
  /// The longest head, bytes: what a caller of `next` may have to carry over is shorter than this.
  public static var longestHead: Int { HeaderView.fixedLength + 14 + inlineArgument }
  /// The Arg of a TinyExtentRepairRead or SnapshotExtentRepairRead block, bytes, which is part of the head.
  /// CubeFS `datanode/wrap_operator.go` `tinyExtentRepairRead`, v3.3.0.
  @usableFromInline static var inlineArgument: Int { 17 }

  /// What a piece of a packet's body is.
  public enum Part: UInt8, Sendable {
    /// Entries of a version list.
    case versionList
    /// Arg.
    case argument
    /// Payload.
    case payload
  }

  /// A packet's head, in place.
  public struct Head {
    /// The fixed fields.
    public let header: HeaderView
    /// The head's length, bytes, from the packet's first byte.
    public let length: Int
    /// Bytes of the packet after the head.
    public let bodyLength: Int
    /// Bytes of payload among them.
    public let payloadLength: Int
    /// Where in the head Arg begins; nil unless the head holds all of a non-empty Arg.
    public let argumentOffset: Int?

    /// Bytes of the head between the fixed header and Arg: VerSeq, ProtoVersion and the count of a version list, each where
    /// the flags and the release put it on the wire.
    let extensionLength: Int

    /// The packet's first byte.
    @inlinable public var start: UnsafeMutableRawPointer { header.base }
    /// The head's bytes.
    public var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: header.base, count: length) }
    /// The whole packet's length, bytes.
    @inlinable public var packetLength: Int { length &+ bodyLength }
    /// VerSeq, where it is on the wire.
    public var verSeq: UInt64? { extensionLength >= 8 ? header.long(HeaderView.fixedLength) : nil }
    /// ProtoVersion, where it is on the wire.
    public var protoVersion: UInt32? { extensionLength >= 12 ? header.word(HeaderView.fixedLength + 8) : nil }
    /// The number of entries of the version list, where one is on the wire; the entries themselves are body.
    public var versionCount: Int? {
      guard extensionLength & 2 != 0 else { return nil }
      let offset = HeaderView.fixedLength + extensionLength
      return Int(header.byte(offset - 2)) << 8 | Int(header.byte(offset - 1))
    }
  }

  /// What `next` found.
  public enum Event {
    /// The bytes that are left are an incomplete head (or none): present them again, followed by more.
    case needMore
    /// A packet begins; its head was taken off the bytes.
    case head(Head)
    /// The next piece of the packet's body, taken off the bytes; `last` is true for the packet's last piece.
    case body(UnsafeMutableRawBufferPointer, Part, last: Bool)
    /// The stream is broken at the first of the bytes left; every later call says the same.
    case refused(FrameRefusal)
  }

  /// Which way the stream runs; it chooses the limits.
  public let direction: FrameDirection
  let release: CubeFSRelease
  let limits: FrameLimits
  private var versionListLeft = 0
  private var argumentLeft = 0
  private var payloadLeft = 0
  private var refusal: FrameRefusal?

  /// A framer at the first byte of a packet.
  public init(_ direction: FrameDirection, release: CubeFSRelease = .auto, limits: FrameLimits) {
    self.direction = direction
    self.release = release
    self.limits = limits
  }

  /// True between the head and the last byte of a packet.
  public var isInsidePacket: Bool { versionListLeft | argumentLeft | payloadLeft != 0 }

  /// Bytes of the current packet that have not been seen.
  public var bytesLeft: Int { versionListLeft &+ argumentLeft &+ payloadLeft }

  /// Takes back a head that `next` has just handed out: the same bytes are to be presented again.
  public mutating func rewind() {
    versionListLeft = 0
    argumentLeft = 0
    payloadLeft = 0
    refusal = nil
  }

  /// Takes the next head or piece off the front of `bytes`.
  public mutating func next(_ bytes: inout UnsafeMutableRawBufferPointer) -> Event {
    if isInsidePacket { return nextPiece(&bytes) }
    if let refusal { return .refused(refusal) }
    guard let base = bytes.baseAddress, bytes.count > 0 else { return .needMore }
    let header = HeaderView(at: base)
    guard header.magic == HeaderView.magic else { return refuse(.badMagic(observed: header.magic)) }
    guard bytes.count >= HeaderView.fixedLength else { return .needMore }

    let opcode = header.opcode
    let result = header.resultCode
    let payload = result == .initial && opcode.isRead(in: release) ? 0 : header.size
    // An error's payload is a text; 14 and 17 announce theirs under other opcodes.
    let limit = direction == .reply && result != .ok && result != .initial ? limits.errorText : limits.payload(opcode, direction)
    guard payload <= limit else { return refuse(.payloadTooLarge(opcode, observed: payload, limit: limit)) }
    let argument = header.argLength
    guard argument <= limits.argument else { return refuse(.argumentTooLong(observed: argument, limit: limits.argument)) }

    let extensionLength = header.extensionLength(in: release)
    var length = HeaderView.fixedLength + extensionLength
    guard bytes.count >= length else { return .needMore }
    var list = 0
    if extensionLength & 2 != 0 {
      let count = UInt16(header.byte(length - 2)) << 8 | UInt16(header.byte(length - 1))
      guard count <= limits.versions else { return refuse(.versionListTooLong(observed: count, limit: limits.versions)) }
      list = Int(count) * HeaderView.versionEntryLength
    }
    var argumentAfterHead = Int(argument)
    var argumentOffset: Int?
    if direction == .reply && argumentAfterHead == Framer.inlineArgument && list == 0
      && (opcode.rawValue == 0x15 || opcode.rawValue == 0x18)
    {
      guard bytes.count >= length + argumentAfterHead else { return .needMore }
      argumentOffset = length
      length += argumentAfterHead
      argumentAfterHead = 0
    }
    versionListLeft = list
    argumentLeft = argumentAfterHead
    payloadLeft = Int(payload)
    bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[length...])
    return .head(
      Head(
        header: header, length: length, bodyLength: bytesLeft, payloadLength: Int(payload), argumentOffset: argumentOffset,
        extensionLength: extensionLength))
  }

  private mutating func nextPiece(_ bytes: inout UnsafeMutableRawBufferPointer) -> Event {
    guard !bytes.isEmpty else { return .needMore }
    let part: Part
    let count: Int
    if versionListLeft > 0 {
      part = .versionList
      count = min(versionListLeft, bytes.count)
      versionListLeft &-= count
    } else if argumentLeft > 0 {
      part = .argument
      count = min(argumentLeft, bytes.count)
      argumentLeft &-= count
    } else {
      part = .payload
      count = min(payloadLeft, bytes.count)
      payloadLeft &-= count
    }
    let piece = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
    bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[count...])
    return .body(piece, part, last: !isInsidePacket)
  }

  private mutating func refuse(_ reason: FrameRefusal) -> Event {
    refusal = reason
    return .refused(reason)
  }
}
