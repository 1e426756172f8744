internal import CubeFSWire

/// Which of CubeFS's functions sends an operation, and so what is checked of its replies. PROTOCOL.md section 3.
enum CallSite: Sendable {
  /// `getRemoteExtentInfo`: only that the body parses.
  case watermarks
  /// `notifyFollower`, `broadcastMinAppliedID`, `forwardToRaftLeader`: nothing.
  case unchecked
  /// `streamRepairExtent`: result, ids, offset, CRC of each block.
  case repair
  /// `doStreamFixTinyDeleteRecord`, up to the size that its task named.
  case tinyDelete(until: Int64)
  /// `getLeaderPartitionSize`, `getLeaderMaxExtentIDAndPartitionSize`, `getRemoteAppliedID`: the result.
  case query
  /// A client's or flashnode's read: result, ids, offset, CRC of each block.
  case clientRead
  /// The master's tasks: the result.
  case master
  /// `FollowerTransport`, which pipelines.
  case follower
  /// An opcode that the lab's caller does not know the use of: one reply is read.
  case probe
  /// A request that no reply is due to: none is read.
  case silent
}

/// One request to be sent once. Its PartitionID is its own among all operations of a run.
struct LabOperation: Sendable {
  var request: LabPacket
  let site: CallSite
  /// Where set, a caller that leaves replies unread walks away after reading this many of them, and pools the connection.
  var leavesAfter: Int?
  /// How far such a caller reads into the next reply before it leaves; nil: not at all.
  var leavesInside: ReplyPart?

  /// The caller's own side of a repair, where it has one.
  var local: (any LocalSteps)?

  var key: UInt64 { request.header.partitionID }
  var opcode: UInt8 { request.header.opcode.rawValue }
  var kind: LabClass { LabClass(opcode: opcode) }
}

/// What happens at a repairer while it reads: at its disk, its store, its partition. What it throws ends the call.
protocol LocalSteps: Sendable {
  /// Before each read; `replies` have been read so far.
  func beforeRead(_ replies: Int) throws(CallFailure)
  /// Takes a reply that the call site believed, for that many bytes from `offset`.
  func take(_ reply: LabPacket, at offset: Int64, count: Int64) throws(CallFailure)
}

/// How an operation ended for its caller; each has exactly one.
enum Outcome: String, CaseIterable, Sendable {
  /// The caller took what it read for its answer.
  case delivered
  /// The caller read an error packet.
  case errorReply
  /// An I/O error or the end of the stream.
  case reset
  /// The caller's own deadline passed.
  case timedOut
  /// No reply was due and none was waited for.
  case noneDue
  /// The caller's own checks refused a reply.
  case rejected
  /// The caller left with replies due, as `streamRepairExtent` does on a full disk.
  case abandoned
}

/// What became of one operation.
struct CallResult: Sendable {
  /// As it was sent, ReqID included.
  var request: LabPacket
  var operation: LabOperation
  /// Nil where the operation has no deadline and the lab lost patience.
  var outcome: Outcome?
  /// The replies that the caller believed, in order.
  var accepted: [LabPacket] = []
  /// The error packet, where it read one.
  var errorReply: LabPacket?
  /// Why, for a person to read.
  var note = ""
  /// From the first byte written to the last byte read.
  var microseconds: Double = 0
}
