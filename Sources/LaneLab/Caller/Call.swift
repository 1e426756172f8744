internal import CubeFSWire

/// One lock-step operation on its way: the request as sent, and what was believed so far.
struct Call {
  let operation: LabOperation
  let caller: FaithfulCaller
  private let request: LabPacket
  private var accepted: [LabPacket] = []

  init(operation: LabOperation, caller: FaithfulCaller) {
    self.operation = operation
    self.caller = caller
    var request = operation.request
    request.header.reqID = caller.nextReqID()
    self.request = request
  }

  /// 04 and unknown opcodes leave their connection unusable: no caller of the lab pools it. Neither does one that is to
  /// leave nothing unread pool it after 17.
  var closesAnyway: Bool {
    LabClass(opcode: operation.opcode) == .other || operation.opcode == 0x17 && caller.options.closesAfterSnapshot
  }

  func writeRequest(_ socket: LabSocket) throws(CallFailure) {
    do throws(LabIOError) { try request.write(to: socket, deadline: caller.deadline(5)) } catch { throw .io(error) }
  }

  /// Reads and checks as the operation's call site does.
  mutating func readReplies(_ socket: LabSocket) throws(CallFailure) -> CallResult {
    switch operation.site {
    case .silent: return result(.noneDue)
    case .unchecked:
      let reply = try read(socket, operation.opcode == 0x0A ? 60 : nil)
      accepted.append(reply)
      var ended = result(reply.isError ? .errorReply : .delivered)
      ended.errorReply = reply.isError ? reply : nil
      return ended
    case .watermarks:
      let reply = try read(socket, 60)
      guard case .array = LabJSON(reply.payload) else {
        if reply.isError { throw .errorReply(reply) }
        throw .rejected("unmarshal json")
      }
      accepted.append(reply)
    case .query:
      let reply = try readOK(socket, 60)
      guard reply.payload.count >= 8 else { throw .rejected("a body of \(reply.payload.count) bytes where 8 are read") }
      accepted.append(reply)
    case .master: accepted.append(try readOK(socket, [0x61, 0x62, 0x63, 0xD5].contains(operation.opcode) ? 5 : 30))
    case .probe: accepted.append(try readOK(socket, 5))
    case .repair: try repair(socket)
    case .tinyDelete(let until): try tinyDelete(socket, until: until)
    case .clientRead: try clientRead(socket)
    case .follower: throw .rejected("a pipelining operation has no lock-step call site")
    }
    return result(.delivered)
  }

  func result(_ outcome: Outcome?) -> CallResult {
    CallResult(request: request, operation: operation, outcome: outcome, accepted: accepted)
  }

  func result(failed failure: CallFailure) -> CallResult {
    var ended: CallResult
    switch failure {
    case .io(.timedOut): ended = result(.timedOut)
    case .io(let error):
      ended = result(.reset)
      ended.note = "\(error)"
    case .errorReply(let reply):
      ended = result(.errorReply)
      ended.errorReply = reply
    case .rejected(let why):
      ended = result(.rejected)
      ended.note = why
    case .left: ended = result(.abandoned)
    case .local(let why):
      ended = result(.abandoned)
      ended.note = why
    case .lost:
      ended = result(nil)
      ended.note = "no answer and no end of the connection within \(CallerOptions.patience) s"
    }
    return ended
  }

  private func read(_ socket: LabSocket, _ seconds: Int64?, stoppingAfter part: ReplyPart? = nil) throws(CallFailure) -> LabPacket {
    do throws(LabIOError) {
      let deadline = seconds.map { caller.deadline($0) } ?? LabClock.nanoseconds + CallerOptions.patience * 1_000_000_000
      return try LabPacket.read(from: socket, release: caller.options.release, deadline: deadline, stoppingAfter: part)
    } catch {
      if error == .timedOut && seconds == nil { throw .lost }
      throw .io(error)
    }
  }

  private func readOK(_ socket: LabSocket, _ seconds: Int64?) throws(CallFailure) -> LabPacket {
    let reply = try read(socket, seconds)
    guard reply.header.resultCode == .ok else { throw .errorReply(reply) }
    return reply
  }

  private func leaveIfDue(_ socket: LabSocket) throws(CallFailure) {
    guard caller.options.leavesRepliesUnread, operation.leavesAfter == accepted.count else { return }
    if let part = operation.leavesInside { _ = try read(socket, 60, stoppingAfter: part) }
    throw .left
  }

  /// CubeFS `datanode/data_partition_repair.go` `streamRepairExtent`, v3.3.0 and v3.5.3.
  private mutating func repair(_ socket: LabSocket) throws(CallFailure) {
    let want = request.header
    let end = want.extentOffset + Int64(want.size)
    var position = want.extentOffset
    var recovered: Int64 = 0
    while position < end {
      try leaveIfDue(socket)
      try operation.local?.beforeRead(accepted.count)
      let reply = try readOK(socket, 60)
      let got = reply.header
      guard got.reqID == want.reqID, got.partitionID == want.partitionID, got.extentID == want.extentID else {
        throw .rejected("unavali reply")
      }
      let isTiny = got.extentID <= LabExtent.lastTiny
      guard isTiny || got.opcode.rawValue == 0x17 || (got.size != 0 && got.extentOffset == position) else {
        throw .rejected("unavali reply: offset")
      }
      guard got.crc == PayloadCRC.of(reply.payload) else { throw .rejected("crc mismatch") }
      accepted.append(reply)
      var count = Int64(got.size)
      var available = Int64.max
      if isTiny, reply.argument.count == 17 {
        available = Int64(clamping: bigEndianNumber(reply.argument.dropFirst(9)) ?? 0)
        if reply.argument[0] == UInt8(ascii: "E") { count = Int64(clamping: bigEndianNumber(reply.argument.dropFirst()) ?? 0) }
      }
      try operation.local?.take(reply, at: position, count: count)
      if isTiny && recovered &+ count >= available { break }
      recovered &+= count
      position &+= count
    }
    // The last reply of 17 is never read: CubeFS counts bytes, and pools the connection with it on the way.
  }

  /// CubeFS `datanode/partition.go` `doStreamFixTinyDeleteRecord`, v3.3.0 and v3.5.3.
  private mutating func tinyDelete(_ socket: LabSocket, until end: Int64) throws(CallFailure) {
    var position = request.header.extentOffset
    while position < end {
      try leaveIfDue(socket)
      try operation.local?.beforeRead(accepted.count)
      let reply = try read(socket, 5)
      if reply.isError { throw .errorReply(reply) }
      if caller.options.release == .v3_5_3 && reply.header.reqID != request.header.reqID { throw .rejected("recive error pkt") }
      guard reply.header.crc == PayloadCRC.of(reply.payload) else { throw .rejected("crc not match") }
      guard reply.payload.count % 24 == 0 else { throw .rejected("unavali size") }
      accepted.append(reply)
      try operation.local?.take(reply, at: position, count: Int64(reply.payload.count))
      position += Int64(reply.payload.count)
      // An empty reply would keep the original in its loop until its peer closes; the lab has no use for that.
      if reply.payload.isEmpty { throw .rejected("an empty reply") }
    }
  }

  /// CubeFS `sdk/data/stream/extent_reader.go`, v3.3.0.
  private mutating func clientRead(_ socket: LabSocket) throws(CallFailure) {
    let want = request.header
    var position = want.extentOffset
    while position < want.extentOffset + Int64(want.size) {
      let reply = try readOK(socket, 5)
      let got = reply.header
      guard got.reqID == want.reqID, got.partitionID == want.partitionID, got.extentID == want.extentID else {
        throw .rejected("inconsistent reply")
      }
      guard got.extentOffset == position, got.size > 0, position + Int64(got.size) <= want.extentOffset + Int64(want.size) else {
        throw .rejected("inconsistent offset or size")
      }
      guard got.crc == PayloadCRC.of(reply.payload) else { throw .rejected("inconsistent CRC") }
      accepted.append(reply)
      position += Int64(got.size)
    }
  }
}
