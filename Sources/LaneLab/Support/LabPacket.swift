internal import CubeFSWire

/// A whole packet in memory: header with its optional parts, Arg, payload.
struct LabPacket: Equatable, Sendable {
  var header = PacketHeader()
  var argument: [UInt8] = []
  var payload: [UInt8] = []

  /// No datanode sends more; a reader that believed any Size would let a broken stream take all memory.
  private static let largestPart = 256 << 20

  var bytes: [UInt8] { header.encoded() + argument + payload }

  var isError: Bool { header.resultCode != .ok && header.resultCode != .initial }

  /// A request with the lengths filled in. In a read request `Size` tells what is asked for, so it is given by the caller.
  static func request(
    _ opcode: UInt8, partition: UInt64, extent: UInt64 = 0, offset: Int64 = 0, size: UInt32? = nil, extentType: UInt8 = 0,
    payload: [UInt8] = [], argument: [UInt8] = []
  ) -> LabPacket {
    var packet = LabPacket()
    packet.header.opcode = Opcode(opcode)
    packet.header.extentType = extentType
    packet.header.partitionID = partition
    packet.header.extentID = extent
    packet.header.extentOffset = offset
    packet.header.size = size ?? UInt32(truncatingIfNeeded: payload.count)
    packet.header.argLength = UInt32(truncatingIfNeeded: argument.count)
    packet.argument = argument
    packet.payload = payload
    return packet
  }

  /// Header, Arg and payload by separate writes. CubeFS `proto/packet.go` `WriteToConn`, v3.3.0 and v3.5.3.
  func write(to socket: LabSocket, deadline: Int64?) throws(LabIOError) {
    try socket.write(header.encoded(), deadline: deadline)
    if !argument.isEmpty { try socket.write(argument, deadline: deadline) }
    if !payload.isEmpty { try socket.write(payload, deadline: deadline) }
  }

  /// Reads one packet as a CubeFS reader of that release does: the fixed header, what its flags announce, Arg, payload,
  /// each with its own exact read. CubeFS `proto/packet.go` `ReadFromConn` (v3.3.0), `ReadFromConnWithVer` (v3.5.3).
  /// - Parameter part: where to stop in the middle; what lies behind it is left unread, and missing in the packet.
  static func read(
    from socket: LabSocket, release: CubeFSRelease, deadline: Int64?, stoppingAfter part: ReplyPart? = nil
  ) throws(LabIOError) -> LabPacket {
    var head = try socket.read(HeaderView.fixedLength, deadline: deadline)
    guard head.first == HeaderView.magic else { throw .malformed("bad magic \(head.first ?? 0)") }
    let flags = head[1]
    let more = HeaderView.extensionLength(extentType: flags, in: release)
    if more > 0 { head += try socket.read(more, deadline: deadline) }
    if more & 2 != 0 {
      let count = Int(head[head.count - 2]) << 8 | Int(head[head.count - 1])
      head += try socket.read(count * HeaderView.versionEntryLength, deadline: deadline)
    }
    guard let header = PacketHeader(parsing: head, release: release) else { throw .malformed("short header") }
    var packet = LabPacket(header: header)
    guard header.argLength <= largestPart, header.size <= largestPart else { throw .malformed("ArgLen or Size over 256 MiB") }
    if part == .header { return packet }
    packet.argument = try socket.read(Int(header.argLength), deadline: deadline)
    let announces = header.resultCode == .initial && header.opcode.isRead(in: release)
    if announces { return packet }
    let size = part?.payloadLength(of: Int(header.size)) ?? Int(header.size)
    packet.payload = try socket.read(size, deadline: deadline)
    return packet
  }
}
