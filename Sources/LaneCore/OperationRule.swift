public import CubeFSWire

/// One row of the catalogue: all that Lanekeeper knows of an opcode.
public struct OperationRule: Sendable {
  /// The request's opcode.
  public var opcode: Opcode
  /// Which lane it takes.
  public var operationClass: OperationClass
  /// How its caller uses the connection.
  public var caller: CallerKind
  /// How many replies it is due.
  public var completion: CompletionRule
  /// What a mutated reply (OK or error) must echo.
  public var echo: EchoFields
  /// The opcode of a correct OK reply, and one that may stand for it.
  public var replyOpcode: Opcode
  /// A second opcode that a correct OK reply may bear.
  public var otherReplyOpcode: Opcode
  /// Payload lengths of a correct OK reply, bytes. For blocks: of one block.
  public var replySize: ClosedRange<UInt32>
  /// Whether a reply's CRC is that of its payload.
  public var blockCRC: Bool
  /// What the caller gets where a reply is dropped.
  public var onDrop: DropAnswer
  /// The caller's own read deadline, seconds; 0 where it has none.
  public var callerDeadlineSeconds: UInt16
  /// Whether the connection may serve another operation afterwards.
  public var singleUse: Bool
  /// Whether the peer sends one reply more than any requester reads: 17's final one, and its error a second time
  /// (PROTOCOL.md section 2). It is swallowed with the connection.
  public var sendsOneMore: Bool
  /// What it does that can conflict, at the datanode that it is sent to.
  public var conflictRole: ConflictRole
  /// The longest that the conflict guard may hold it, seconds. PROTOCOL.md section 7.
  public var longestHoldSeconds: UInt16

  /// The share of the caller's own deadline that is ours (G11), nanoseconds; nil where the caller has none.
  public var allowance: UInt64? { callerDeadlineSeconds == 0 ? nil : UInt64(callerDeadlineSeconds) * 800_000_000 }

  /// The payload of a full chunk of ReadTinyDeleteRecord, bytes. CubeFS `datanode/const.go` `MaxSyncTinyDeleteBufferSize`.
  public static let fullChunk: UInt32 = 2_400_000
  /// One tiny-delete record, bytes.
  public static let deleteRecord: UInt32 = 24
  /// A broken file can make a server send empty blocks without end (PROTOCOL.md section 2, opcode 15).
  public static let mostEmptyReplies: UInt8 = 8
}
