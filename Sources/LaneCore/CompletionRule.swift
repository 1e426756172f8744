/// How many replies an operation is due, and how that is counted. PROTOCOL.md section 2: there is never an end marker.
public enum CompletionRule: UInt8, Sendable {
  /// One reply.
  case single
  /// Blocks until their payloads add up to the request's Size; none where that is 0.
  case byteCount
  /// Blocks and holes (Arg: kind, length, total available) until they add up to the lesser of the request's Size and the
  /// total that the first block announces; the last may overshoot.
  case holeCount
  /// Chunks up to the sender's current file size; a chunk under `OperationRule.fullChunk` is the last.
  case openEnded
  /// Nothing comes back.
  case none
  /// At least one, and any that bear the stamp.
  case anyNumber
}

/// How the requester behaves on its connection. PROTOCOL.md section 3.
public enum CallerKind: UInt8, Sendable {
  /// One request, then reads until done: a new request means that the old operation was abandoned or is done.
  case lockStep
  /// Many requests in flight; the caller matches the replies itself, in order.
  case pipelining
}

/// What the caller gets in place of a reply that was dropped before any of its bytes went out.
public enum DropAnswer: UInt8, Sendable {
  /// A CubeFS error reply with the request's ids: the caller looks at the result code.
  case errorReply
  /// A reset: the caller looks at nothing and would take an error reply for success.
  case reset
}

/// Which fields a reply must give back as the request had them.
public struct EchoFields: OptionSet, Sendable {
  /// The bits.
  public let rawValue: UInt8

  /// Fields of these bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// PartitionID.
  public static let partition = EchoFields(rawValue: 1)
  /// ExtentID.
  public static let extent = EchoFields(rawValue: 2)
  /// ExtentOffset.
  public static let offset = EchoFields(rawValue: 4)
  /// CRC.
  public static let crc = EchoFields(rawValue: 8)
  /// KernelOffset.
  public static let kernelOffset = EchoFields(rawValue: 16)
  /// Bit 0 of ExtentType.
  public static let extentKind = EchoFields(rawValue: 32)

  /// What the server's answering with the mutated request object leaves as it was.
  public static let all: EchoFields = [.partition, .extent, .offset, .crc, .kernelOffset, .extentKind]
}
