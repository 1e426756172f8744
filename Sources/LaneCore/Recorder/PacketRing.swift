public import CubeFSWire

/// The last packets of one connection: three requests and three replies, so that the replies of a long stream do not push their request
/// out. It takes no memory before its first packet, 486 bytes from then on, and more where heads are longer than 57 bytes: 672 at most
/// (2,208 with payload).
///
/// It is filled on the packet path: `add` copies a head and a few numbers, allocates where a head is longer than any before, and counts
/// no references.
public struct PacketRing: ~Copyable {
  /// What became of a packet.
  public enum Verdict: UInt8, Sendable {
    /// It went on: a request to the server, a reply that the judge let pass to the caller.
    case forwarded
    /// It went no further.
    case dropped
    /// The judge refused it, and it was passed on: observe mode.
    case observed
    /// A part of it had reached the caller before it was refused; the rest did not.
    case cutOff
    /// Lanekeeper wrote it itself: an error reply.
    case ours
    /// It was to go over this connection, and did not.
    case withheld
  }

  /// Packets of each direction.
  @inlinable public static var depth: Int { 3 }
  /// The longest head that is kept, bytes: the fixed header, its extensions, and the Arg of a hole.
  public static var headRoom: Int { 88 }
  /// The most bytes of Arg and payload that are kept behind a head, where any are.
  public static var payloadRoom: Int { 256 }

  /// What is kept beside a packet's bytes: 24 bytes.
  @usableFromInline struct Note {
    /// When it was seen, later than every packet before it; the reactor's clock, nanoseconds.
    @usableFromInline var time: UInt64
    /// The ReqID that the same operation has on the other connection; 0 where that is not known.
    @usableFromInline var counterpart: Int64
    /// The packet's whole length, bytes: within the limits of framing.
    @usableFromInline var length: UInt32
    /// `captured`, and above it whether the bytes do not begin with a packet.
    @usableFromInline var kind: UInt16
    @usableFromInline var verdict: Verdict
    /// Why it did not simply pass.
    @usableFromInline var reason: Reason?

    private static var unframed: UInt16 { 1 << 15 }

    @inlinable init(time: UInt64, counterpart: Int64, length: Int, captured: Int, verdict: Verdict, reason: Reason?) {
      self.time = time
      self.counterpart = counterpart
      self.length = UInt32(truncatingIfNeeded: length)
      kind = UInt16(truncatingIfNeeded: captured)
      self.verdict = verdict
      self.reason = reason
    }

    /// How many of its first bytes are kept.
    var captured: Int { Int(kind & ~Self.unframed) }
    /// The bytes do not begin with a packet.
    var isUnframed: Bool {
      get { kind & Self.unframed != 0 }
      set { kind = newValue ? kind | Self.unframed : kind & ~Self.unframed }
    }
  }

  /// Notes, requests before replies, and behind all of them the packets' bytes in the same order.
  @usableFromInline var memory: UnsafeMutableRawPointer?
  /// So many of each direction were added.
  @usableFromInline var requests: UInt64 = 0
  @usableFromInline var replies: UInt64 = 0
  /// The distance of two packets' bytes; negative while there is no memory.
  @usableFromInline var row: Int16 = -1
  private let room: Int16
  /// It keeps packets. Whoever fills it asks first, so that nothing is paid where it does not.
  public let isOn: Bool
  /// There is room for a fixed header, and nothing behind it is kept.
  @usableFromInline var keepsFixedHeads = false

  private static var slots: Int { 2 * depth }
  @inlinable static var notesLength: Int { 2 &* depth &* MemoryLayout<Note>.stride }

  /// A ring.
  /// - Parameter payload: the bytes of Arg and payload to keep of each packet, `payloadRoom` at most; nil for a ring that keeps nothing.
  public init(payload: Int?) {
    isOn = payload != nil
    room = Int16(min(max(0, payload ?? 0), Self.payloadRoom))
  }

  deinit { memory?.deallocate() }

  /// Adds a packet that begins with `bytes`.
  /// - Parameters:
  ///   - bytes: what is here of it, the head at least.
  ///   - headLength: where Arg or payload begins that counts as payload, bytes.
  ///   - packetLength: bytes.
  ///   - counterpart: the operation's ReqID on the other connection; 0 for none.
  ///   - time: the reactor's clock, nanoseconds, and later than that of every packet that was added to any ring.
  @inlinable public mutating func add(
    _ bytes: UnsafeRawBufferPointer, headLength: Int, packetLength: Int, isReply: Bool, counterpart: Int64 = 0,
    verdict: Verdict = .forwarded, reason: Reason? = nil, at time: UInt64
  ) {
    // Nearly all are like this, and then nothing is left to find out.
    guard headLength == HeaderView.fixedLength, keepsFixedHeads, let memory, let start = bytes.baseAddress else {
      return addOther(
        bytes, headLength: headLength, packetLength: packetLength, isReply: isReply, counterpart: counterpart, verdict: verdict,
        reason: reason, at: time)
    }
    let slot = takeSlot(isReply)
    memory.storeBytes(
      of: Note(
        time: time, counterpart: counterpart, length: packetLength, captured: HeaderView.fixedLength, verdict: verdict, reason: reason),
      toByteOffset: slot &* MemoryLayout<Note>.stride, as: Note.self)
    (memory + (Self.notesLength &+ slot &* Int(row))).copyMemory(from: start, byteCount: HeaderView.fixedLength)
  }

  @usableFromInline @inline(never) mutating func addOther(
    _ bytes: UnsafeRawBufferPointer, headLength: Int, packetLength: Int, isReply: Bool, counterpart: Int64, verdict: Verdict,
    reason: Reason?, at time: UInt64
  ) {
    let kept = headLength <= Self.headRoom ? headLength + Int(room) : Self.headRoom
    put(
      Note(
        time: time, counterpart: counterpart, length: packetLength, captured: min(kept, packetLength, bytes.count), verdict: verdict,
        reason: reason), isReply, bytes)
  }

  /// Adds a packet of that head, behind which `behind` bytes of it or of others are here.
  @inlinable public mutating func add(
    _ head: Framer.Head, _ behind: Int, isReply: Bool, counterpart: Int64 = 0, verdict: Verdict = .forwarded, reason: Reason? = nil,
    at time: UInt64
  ) {
    add(
      UnsafeRawBufferPointer(start: head.start, count: head.length &+ behind), headLength: head.length, packetLength: head.packetLength,
      isReply: isReply, counterpart: counterpart, verdict: verdict, reason: reason, at: time)
  }

  /// Adds an error reply of our own to that request, all of it.
  public mutating func addError(_ bytes: UnsafeRawBufferPointer, to exchange: Exchange, _ reason: Reason, at time: UInt64) {
    add(
      bytes, headLength: bytes.count - ErrorReply(reason).text.utf8CodeUnitCount, packetLength: bytes.count, isReply: true,
      counterpart: exchange.stamp, verdict: .ours, reason: reason, at: time)
  }

  /// Adds bytes of the server's that are no packet. None of them is kept unless payload is: they may be somebody's data.
  public mutating func addUnframed(_ bytes: UnsafeRawBufferPointer, reason: Reason, at time: UInt64) {
    var note = Note(
      time: time, counterpart: 0, length: bytes.count, captured: min(Int(room), bytes.count), verdict: .dropped, reason: reason)
    note.isUnframed = true
    put(note, true, bytes)
  }

  private mutating func put(_ note: Note, _ isReply: Bool, _ bytes: UnsafeRawBufferPointer) {
    guard isOn else { return }
    if note.captured > Int(row) { makeRoom(note.captured) }
    guard let memory else { return }
    let slot = takeSlot(isReply)
    memory.storeBytes(of: note, toByteOffset: slot * MemoryLayout<Note>.stride, as: Note.self)
    if let start = bytes.baseAddress {
      (memory + Self.notesLength + slot * Int(row)).copyMemory(from: start, byteCount: note.captured)
    }
  }

  /// The place of one more packet: that of the oldest in its direction.
  @inlinable mutating func takeSlot(_ isReply: Bool) -> Int {
    if isReply {
      defer { replies &+= 1 }
      return Self.depth &+ Int(truncatingIfNeeded: replies % UInt64(Self.depth))
    }
    defer { requests &+= 1 }
    return Int(truncatingIfNeeded: requests % UInt64(Self.depth))
  }

  /// Room for packets of which so much is kept, bytes.
  private mutating func makeRoom(_ captured: Int) {
    // Heads have few lengths, and payload any: more than a head makes all the room that may be needed.
    let wanted = captured <= Self.headRoom ? max(captured, HeaderView.fixedLength) : Self.headRoom + Int(room)
    let fresh = UnsafeMutableRawPointer.allocate(byteCount: Self.notesLength + Self.slots * wanted, alignment: 8)
    if let memory {
      fresh.copyMemory(from: memory, byteCount: Self.notesLength)
      for slot in 0..<Self.slots {
        (fresh + Self.notesLength + slot * wanted).copyMemory(from: memory + Self.notesLength + slot * Int(row), byteCount: Int(row))
      }
      memory.deallocate()
    }
    memory = fresh
    row = Int16(wanted)
    keepsFixedHeads = room == 0
  }

  /// The newest reply was not what it seemed when it was added.
  public mutating func correctLastReply(_ verdict: Verdict, _ reason: Reason?) {
    guard let memory, replies > 0 else { return }
    let place = memory + slot(isReply: true, back: 0) * MemoryLayout<Note>.stride
    var note = place.load(as: Note.self)
    note.verdict = verdict
    note.reason = reason
    place.storeBytes(of: note, as: Note.self)
  }

  private func slot(isReply: Bool, back: UInt64) -> Int {
    let count = isReply ? replies : requests
    return (isReply ? Self.depth : 0) + Int((count &- 1 &- back) % UInt64(Self.depth))
  }

  /// What is kept of the packet that has `back` newer ones in its direction.
  private func entry(isReply: Bool, back: UInt64) -> (note: Note, bytes: UnsafeRawBufferPointer)? {
    guard let memory, back < min(isReply ? replies : requests, UInt64(Self.depth)) else { return nil }
    let slot = slot(isReply: isReply, back: back)
    let note = memory.load(fromByteOffset: slot * MemoryLayout<Note>.stride, as: Note.self)
    return (note, UnsafeRawBufferPointer(start: memory + Self.notesLength + slot * Int(row), count: note.captured))
  }

  private func packet(isReply: Bool, back: UInt64) -> RecordedPacket? {
    entry(isReply: isReply, back: back).map { RecordedPacket($0.note, isReply: isReply, bytes: $0.bytes) }
  }

  /// What is kept, the oldest first.
  public var packets: [RecordedPacket] {
    var found: [RecordedPacket] = []
    for isReply in [false, true] {
      for back in 0..<UInt64(Self.depth) {
        if let packet = packet(isReply: isReply, back: back), packet.verdict != .withheld { found.append(packet) }
      }
    }
    return found.sorted { $0.time < $1.time }
  }

  /// How many packets were added and are kept no more.
  public var lost: Int {
    [requests, replies].reduce(0) { $0 + Int(max($1, UInt64(Self.depth))) - Self.depth }
  }

  /// The ReqID of the newest reply, whatever became of it; nil where there is none, or it is no packet.
  public var lastReplyID: Int64? { entry(isReply: true, back: 0).flatMap { RecordedPacket.reqID($0.note, $0.bytes) } }

  private func request(_ reqID: Int64) -> (note: Note, bytes: UnsafeRawBufferPointer)? {
    for back in 0..<UInt64(Self.depth) {
      guard let entry = entry(isReply: false, back: back) else { return nil }
      if entry.note.verdict == .forwarded, RecordedPacket.reqID(entry.note, entry.bytes) == reqID { return entry }
    }
    return nil
  }

  /// The newest request with that ReqID that went on.
  public func request(reqID: Int64) -> RecordedPacket? {
    request(reqID).map { RecordedPacket($0.note, isReply: false, bytes: $0.bytes) }
  }

  /// The operation that the same request began. That ReqID is its `stamp`, the one on the other connection its `callerReqID`.
  public func operation(reqID: Int64, _ catalogue: OperationCatalogue) -> LaneEvent.Operation? {
    guard let (note, bytes) = request(reqID) else { return nil }
    return RecordedPacket.header(isUnframed: note.isUnframed, bytes) {
      LaneEvent.Operation(
        catalogue[$0.opcode].operationClass, opcode: $0.opcode.rawValue, stamp: reqID, callerReqID: note.counterpart,
        partitionID: $0.partitionID, extentID: $0.extentID, extentOffset: $0.extentOffset)
    }
  }
}
