public import CubeFSWire

/// One operation in flight on one upstream: its request's header, its stamp, and how far its replies have come.
public struct Exchange {
  // The row lies in the catalogue, which lives as long as the process.
  let row: UnsafePointer<OperationRule>
  /// What stands in ReqID between us and the peer.
  public let stamp: Int64
  /// What stood there when the caller sent it.
  public let callerReqID: Int64
  /// The request's ExtentType, flags included.
  public let extentType: UInt8
  /// The request's RemainingFollowers.
  public let remainingFollowers: UInt8
  // Here it takes no room: this is copied for each packet, in whole words.
  /// Empty blocks among the replies.
  var emptyReplies: UInt8 = 0
  /// The request's CRC.
  public let crc: UInt32
  /// The request's Size, bytes.
  public let size: UInt32
  /// The request's ArgLen, bytes.
  public let argLength: UInt32
  /// The request's PartitionID.
  public let partitionID: UInt64
  /// The request's ExtentID.
  public let extentID: UInt64
  /// The request's ExtentOffset, bytes.
  public let extentOffset: Int64
  /// The request's KernelOffset.
  public let kernelOffset: UInt64
  /// The request's VerSeq, 0 where it has none.
  public let verSeq: UInt64
  /// When the request's header arrived, nanoseconds of the monotonic clock.
  public let startedAt: UInt64

  /// Bytes of data and holes accepted so far.
  public var received: UInt64 = 0
  /// Bytes of data and holes due; known from the request, or from the first block.
  public var due: UInt64
  // 0 for none.
  private var ticketNumber: UInt64 = 0
  /// Replies whose header was accepted.
  public var replies: UInt32 = 0
  /// The request's last byte was handed to the upstream.
  public var requestComplete = false
  /// One reply at least was accepted to its last byte; kept for unknown operations only.
  public var isAnswered = false
  /// All replies due were accepted, to the last byte.
  public var isComplete = false
  /// The last of them was an error reply.
  public var endedInError = false

  /// The exchange of a request as it arrived.
  public init(_ head: Framer.Head, stamp: Int64, catalogue: OperationCatalogue, now: UInt64) {
    let header = head.header
    row = catalogue.pointer(header.opcode)
    self.stamp = stamp
    callerReqID = header.reqID
    extentType = header.extentType
    remainingFollowers = header.remainingFollowers
    crc = header.crc
    size = header.size
    argLength = header.argLength
    partitionID = header.partitionID
    extentID = header.extentID
    extentOffset = header.extentOffset
    kernelOffset = header.kernelOffset
    verSeq = head.verSeq ?? 0
    startedAt = now
    // Only who is told where the reader stops knows what an open-ended stream is due.
    due = row.pointee.completion == .openEnded ? .max : UInt64(header.size)
  }

  /// An open-ended stream's reader stops once it has its sender's file up to that size, bytes, although the sender goes on to the
  /// file's end: the rest must never be offered. The size is the `LeaderTinyDeleteRecordFileSize` of the NotifyReplicasToRepair
  /// that the reader was sent (PROTOCOL.md section 3). To be called before the first reply; other operations are not changed.
  public mutating func readerStops(atFileSize size: UInt64) {
    guard row.pointee.completion == .openEnded, replies == 0, size <= UInt64(Int64.max) else { return }
    due = UInt64(max(0, Int64(size) - max(0, extentOffset)))
  }

  /// Whether the peer is known to send more than any requester reads, which is swallowed with the connection.
  public var mayTrail: Bool { row.pointee.sendsOneMore || (row.pointee.completion == .openEnded && due < .max) }

  /// The operation's row in the catalogue.
  public var rule: OperationRule { row.pointee }

  /// The request's opcode.
  public var opcode: Opcode { row.pointee.opcode }

  /// What the conflict guard knows it by; nil where it does not.
  public var ticket: ConflictGuard.Ticket? {
    get { ticketNumber == 0 ? nil : ConflictGuard.Ticket(number: ticketNumber) }
    set { ticketNumber = newValue?.number ?? 0 }
  }

  /// What it does that can conflict.
  public var conflictRole: ConflictRole { row.pointee.conflictRole }

  /// The operation's class.
  public var operationClass: OperationClass { row.pointee.operationClass }

  /// Nothing will come back for this request: it is over when it is sent.
  public var isDueNothing: Bool {
    switch row.pointee.completion {
    case .none: true
    case .byteCount: size == 0
    // 17 has its final reply even then.
    case .holeCount: size == 0 && row.pointee.replyOpcode == row.pointee.opcode
    case .single, .openEnded, .anyNumber: false
    }
  }

  /// Whether the caller may have all that it wants although nothing says so: open-ended, or with nothing to send at the end of a file.
  public var mayBeOver: Bool {
    switch row.pointee.completion {
    case .openEnded: true
    case .holeCount: replies == 0
    case .single, .byteCount, .none, .anyNumber: false
    }
  }

  /// Where the next block must begin.
  var nextOffset: Int64 { extentOffset &+ Int64(truncatingIfNeeded: received) }

  /// As the row's, nanoseconds; nil where the caller has no deadline.
  public var allowance: UInt64? { row.pointee.allowance }

  /// Follows a reply that is passed on without being judged, so that the operation can end.
  public mutating func follow(_ head: Framer.Head) -> ReplyPlan {
    replies &+= 1
    received &+= UInt64(head.payloadLength)
    let isError = head.header.resultCode != .ok
    let completes =
      switch row.pointee.completion {
      case .single, .none, .anyNumber: true
      case .byteCount, .holeCount: isError || received >= due
      case .openEnded: isError || head.payloadLength < OperationRule.fullChunk || received >= due
      }
    return ReplyPlan(isError: isError, checksPayload: false, expectedCRC: 0, completes: completes)
  }
}
