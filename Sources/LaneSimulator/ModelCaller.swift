/// The caller: one request, then exact reads until it is done; it leaves where the script says, goes on to the next operation
/// on the same connection, and believes whatever whole packet it reads. It closes on any read error.
struct ModelCaller {
  enum Phase {
    /// Between operations.
    case pooled
    /// In a read that wants more bytes.
    case reading
    /// Holds the socket's lock, nothing copied yet; then with the bytes copied.
    case holding, copied
    case closed
  }

  /// A packet as it lies in the stream towards the caller.
  struct Packet {
    let start: UInt64
    let operation: Int
    let shape: GateScript.ReplyShape
  }

  enum Read {
    case more
    /// A packet of that operation was read whole.
    case completed(Int)
    /// The header was whole and the script says to leave now.
    case left
    /// What was read is no header.
    case failed
  }

  var phase = Phase.pooled
  /// The operation it reads for; nil where it has left.
  var operation: Int?
  /// The next operation of the script.
  var next = 0
  private var wanted: UInt64 = 0
  private var packet: Packet?
  private var nextPacket = 0
  private var repliesRead = 0

  /// Begins to read for an operation.
  mutating func beginReading() {
    phase = .reading
    repliesRead = 0
    wanted = 57
    packet = nil
  }

  func portion(_ available: UInt64, inPieces: Bool, _ random: inout SimulatorRandom) -> UInt64 {
    let most = min(available, wanted)
    return inPieces && most > 1 ? 1 &+ UInt64(random.below(Int(truncatingIfNeeded: most))) : most
  }

  /// Takes `count` bytes that end at `position` of the stream.
  mutating func take(_ count: UInt64, upTo position: UInt64, _ packets: [Packet], _ script: GateScript) -> Read {
    wanted &-= min(count, wanted)
    guard wanted == 0 else { return .more }
    if let packet { return completed(packet, script) }
    // The fixed header is whole: does a packet begin where it began? If not, there is no magic.
    let start = position &- 57
    while nextPacket < packets.count, packets[nextPacket].start < start { nextPacket += 1 }
    guard nextPacket < packets.count, packets[nextPacket].start == start else { return .failed }
    let found = packets[nextPacket]
    let shape = found.shape
    wanted = shape.argument &+ shape.payload &+ (script.readsFixedHeader ? 0 : shape.headerExtension)
    guard wanted > 0 else { return completed(found, script) }
    packet = found
    if let operation, script.operations[operation].leaving == .insideReply(repliesRead) { return .left }
    return .more
  }

  private mutating func completed(_ found: Packet, _ script: GateScript) -> Read {
    packet = nil
    wanted = 57
    repliesRead += 1
    return .completed(found.operation)
  }

  /// Whether the operation is over for the caller: all read, or the script says to leave.
  func isThrough(_ script: GateScript) -> Bool {
    guard let operation else { return true }
    let plan = script.operations[operation]
    return repliesRead >= plan.replies.count || plan.leaving == .afterReplies(repliesRead)
  }
}
