public import CubeFSWire

/// The catalogue of operations: one row per opcode, read from PROTOCOL.md sections 2, 3, 6 and 7. Adding an opcode is one row.
public final class OperationCatalogue: @unchecked Sendable {
  /// The catalogue of all releases: opcodes that one release lacks come back from it as its own error replies.
  public static let standard = OperationCatalogue(rows: rows)

  // Immutable after init; a raw table because each packet reads one row.
  private let table: UnsafeMutablePointer<OperationRule>

  /// A catalogue of those rows; every other opcode is `unknown`.
  public init(rows: [OperationRule]) {
    table = .allocate(capacity: 256)
    for number in 0...255 {
      (table + number).initialize(to: Self.unknown(Opcode(UInt8(number))))
    }
    for row in rows { table[Int(row.opcode.rawValue)] = row }
  }

  deinit {
    table.deinitialize(count: 256)
    table.deallocate()
  }

  /// The row of that opcode.
  public subscript(opcode: Opcode) -> OperationRule { table[Int(opcode.rawValue)] }

  /// Where the row of that opcode lies; it never moves while the catalogue lives.
  func pointer(_ opcode: Opcode) -> UnsafePointer<OperationRule> { UnsafePointer(table + Int(opcode.rawValue)) }

  static func unknown(_ opcode: Opcode) -> OperationRule {
    row(opcode.rawValue, .other, .pipelining, .anyNumber, deadline: 0, size: 0...UInt32.max, drop: .reset, singleUse: true, echo: [])
  }

  private static let text: ClosedRange<UInt32> = 0...UInt32.max
  private static let block: ClosedRange<UInt32> = 1...UInt32.max
  private static let nothing: ClosedRange<UInt32> = 0...0

  private static let rows: [OperationRule] = [
    // Leader to follower; all pipelining. 01: a leader fills in ExtentID for the client; the judge knows when.
    row(0x01, .replication, .pipelining, .single, deadline: 5),
    row(0x03, .replication, .pipelining, .single, deadline: 5),
    row(0x13, .replication, .pipelining, .single, deadline: 5),
    row(0x5A, .replication, .pipelining, .single, deadline: 5),
    // Clients' overwrites; they go by raft and have the client's own deadline.
    row(0x0F, .replication, .pipelining, .single, deadline: 0),
    row(0x12, .replication, .pipelining, .single, deadline: 0),
    row(0xB1, .replication, .pipelining, .single, deadline: 0),
    row(0xB2, .replication, .pipelining, .single, deadline: 0),
    row(0xB3, .replication, .pipelining, .single, deadline: 0, reply: 0xB5),
    row(0xB4, .replication, .pipelining, .single, deadline: 0, reply: 0xB5),
    row(0xB6, .replication, .pipelining, .single, deadline: 0),
    row(0xB7, .replication, .pipelining, .single, deadline: 0),

    row(0x02, .deletion, .pipelining, .single, deadline: 5, role: .delete, hold: 2),
    row(0xD6, .deletion, .pipelining, .single, deadline: 5, role: .delete, hold: 2),
    row(0x75, .deletion, .pipelining, .single, deadline: 120, role: .delete, hold: 60),
    row(0x76, .deletion, .pipelining, .single, deadline: 120, role: .delete, hold: 60),
    row(0x57, .deletion, .pipelining, .single, deadline: 120),
    row(0x58, .deletion, .pipelining, .single, deadline: 120),

    // Blocks of 128 KiB, or the volume's own size up to 5 MiB; the framer's limit bounds them.
    row(0x05, .read, .lockStep, .byteCount, deadline: 0, size: block, crc: true),
    row(0x06, .read, .lockStep, .byteCount, deadline: 0, size: block, crc: true),
    row(0x59, .read, .lockStep, .byteCount, deadline: 5, size: block, crc: true),

    row(0x07, .repairControl, .lockStep, .single, deadline: 60, size: text, role: .repairRound, hold: 20),
    // 08 checks nothing: an error reply would count as success. It has no deadline, and holding it stalls a scheduler.
    row(0x08, .repairControl, .lockStep, .single, deadline: 0, drop: .reset, role: .repairTask),
    row(0x0A, .repairControl, .lockStep, .single, deadline: 60, drop: .reset, hold: 5),
    row(0x10, .repairControl, .lockStep, .single, deadline: 60, size: 8...8, hold: 5),
    row(0x11, .repairControl, .lockStep, .single, deadline: 60, size: 8...16, hold: 10),
    row(0x16, .repairControl, .lockStep, .single, deadline: 60, size: 16...16, hold: 10),

    row(
      0x09, .repairStream, .lockStep, .byteCount, deadline: 60, size: block, crc: true, singleUse: true, role: .repairRead,
      hold: 20),
    // A hole that a tiny delete punches while 15 reads comes as zeros: at the source it conflicts with nothing.
    row(
      0x15, .repairStream, .lockStep, .holeCount, deadline: 60, size: text, crc: true, singleUse: true, role: .repair,
      hold: 20),
    row(
      0x17, .repairStream, .lockStep, .holeCount, deadline: 60, reply: 0x18, size: text, crc: true, singleUse: true, oneMore: true,
      role: .repairRead, hold: 20),
    row(0x14, .repairStream, .lockStep, .openEnded, deadline: 5, reply: 0xF0, size: block, crc: true, singleUse: true, hold: 2),

    // 60, 66, 67 and 68 answer with the PartitionID of their JSON. Tasks that are queued have 5 s, the others 30 s.
    row(0x60, .admin, .lockStep, .single, deadline: 30, size: text, echo: jsonPartition),
    row(0x61, .admin, .lockStep, .single, deadline: 30, size: text, role: .removal),
    row(0x62, .admin, .lockStep, .single, deadline: 5, size: text),
    row(0x63, .admin, .lockStep, .single, deadline: 5, size: text),
    row(0x66, .admin, .lockStep, .single, deadline: 0, size: text, drop: .reset, echo: jsonPartition),
    row(0x67, .admin, .lockStep, .single, deadline: 0, size: text, drop: .reset, echo: jsonPartition),
    row(0x68, .admin, .lockStep, .single, deadline: 0, size: text, drop: .reset, echo: jsonPartition),
    row(0x69, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x6B, .admin, .lockStep, .single, deadline: 30, size: text, role: .removal),
    row(0x6C, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x6D, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x6E, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x6F, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x80, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x8A, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x8B, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0x8C, .admin, .lockStep, .single, deadline: 30, size: text),
    row(0xD5, .admin, .lockStep, .single, deadline: 5, size: text),

    // No datanode handles 04: it suppresses the error, too, and dooms the connection.
    row(0x04, .other, .pipelining, .none, deadline: 0, drop: .reset, singleUse: true),
  ]

  private static let jsonPartition: EchoFields = EchoFields.all.subtracting(.partition)

  private static func row(
    _ opcode: UInt8, _ operationClass: OperationClass, _ caller: CallerKind, _ completion: CompletionRule, deadline: UInt16,
    reply: UInt8? = nil, size: ClosedRange<UInt32> = nothing, crc: Bool = false, drop: DropAnswer = .errorReply, singleUse: Bool = false,
    oneMore: Bool = false, role: ConflictRole = .none, hold: UInt16 = 0, echo: EchoFields = .all
  ) -> OperationRule {
    let other: UInt8 = opcode == 0xB3 || opcode == 0xB4 ? opcode : reply ?? opcode
    return OperationRule(
      opcode: Opcode(opcode), operationClass: operationClass, caller: caller, completion: completion, echo: echo,
      replyOpcode: Opcode(reply ?? opcode), otherReplyOpcode: Opcode(other), replySize: size, blockCRC: crc, onDrop: drop,
      callerDeadlineSeconds: deadline, singleUse: singleUse, sendsOneMore: oneMore, conflictRole: role,
      longestHoldSeconds: hold)
  }
}
