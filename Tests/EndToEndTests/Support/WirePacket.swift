import CubeFSWire
import TestBytes

/// A packet as it is on the wire: header with its optional parts, Arg, payload.
struct WirePacket: Equatable, Sendable {
  var header = PacketHeader()
  var argument: [UInt8] = []
  var payload: [UInt8] = []

  var bytes: [UInt8] { header.encoded() + argument + payload }

  /// A request with telling ids; read requests carry `size` and no payload.
  static func request(
    _ opcode: UInt8, reqID: Int64, partition: UInt64 = 7, size: UInt32 = 0, _ change: (inout WirePacket) -> Void = { _ in }
  )
    -> WirePacket
  {
    var packet = WirePacket()
    packet.header.extentType = 1
    packet.header.opcode = Opcode(opcode)
    packet.header.crc = 0x1234_5678
    packet.header.size = size
    packet.header.partitionID = partition
    packet.header.extentID = 1_025
    packet.header.extentOffset = 0x10_0000
    packet.header.reqID = reqID
    packet.header.kernelOffset = 0
    change(&packet)
    packet.header.argLength = UInt32(packet.argument.count)
    if !packet.payload.isEmpty { packet.header.size = UInt32(packet.payload.count) }
    return packet
  }

  /// The server's answer by the request object: PROTOCOL.md section 2, "mutated".
  func mutated(_ payload: [UInt8] = [], result: UInt8 = 0xF0, _ change: (inout PacketHeader) -> Void = { _ in }) -> WirePacket {
    var reply = WirePacket(header: header, payload: payload)
    reply.header.resultCode = ResultCode(result)
    reply.header.size = UInt32(payload.count)
    reply.header.argLength = 0
    change(&reply.header)
    return reply
  }

  /// A new packet of data at that offset: PROTOCOL.md section 2, "block".
  func block(at offset: Int64, _ payload: [UInt8], _ change: (inout WirePacket) -> Void = { _ in }) -> WirePacket {
    var reply = WirePacket(payload: payload)
    reply.header.extentType = 1
    reply.header.opcode = header.opcode
    reply.header.resultCode = .ok
    reply.header.crc = crc32(payload)
    reply.header.size = UInt32(payload.count)
    reply.header.partitionID = header.partitionID
    reply.header.extentID = header.extentID
    reply.header.extentOffset = offset
    reply.header.reqID = header.reqID
    change(&reply)
    reply.header.argLength = UInt32(reply.argument.count)
    return reply
  }

  /// With another ReqID.
  func with(reqID: Int64) -> WirePacket {
    var packet = self
    packet.header.reqID = reqID
    return packet
  }
}

/// A number as eight bytes, big endian.
func bigEndian(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) } }

extension StreamSocket {
  /// Reads one packet. Nil where the stream ends or breaks before its last byte.
  /// - Parameter isRequest: a read request's Size announces no payload (PROTOCOL.md section 1).
  func receivePacket(isRequest: Bool = false) -> WirePacket? {
    let fixed = receive(57)
    guard fixed.ending == .complete, var header = PacketHeader(parsing: fixed.bytes, release: .v3_3_0), header.magic == 0xFF else {
      return nil
    }
    func number(_ count: Int) -> UInt64? {
      let part = receive(count)
      return part.ending == .complete ? part.bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
    }
    if header.extentType & 0x90 != 0 {
      guard let verSeq = number(8) else { return nil }
      header.verSeq = verSeq
    }
    if header.extentType & 0x10 != 0 {
      guard let version = number(4) else { return nil }
      header.protoVersion = UInt32(truncatingIfNeeded: version)
    }
    if header.extentType & 0x40 != 0 {
      guard let count = number(2) else { return nil }
      let list = receive(Int(count) * 17)
      guard list.ending == .complete else { return nil }
      header.versions = PacketHeader.Version.list(parsing: list.bytes)
    }
    let argument = receive(Int(header.argLength))
    let reads: Set<UInt8> = [0x04, 0x05, 0x06, 0x09, 0x14, 0x15, 0x17, 0x59]
    let announcesOnly = isRequest && reads.contains(header.opcode.rawValue)
    let payload = receive(announcesOnly ? 0 : Int(header.size))
    guard argument.ending == .complete, payload.ending == .complete else { return nil }
    return WirePacket(header: header, argument: argument.bytes, payload: payload.bytes)
  }

  /// Reads a caller's request, as the sidecar passed it on.
  func receiveRequest() -> WirePacket? { receivePacket(isRequest: true) }

  @discardableResult func send(_ packet: WirePacket) -> Bool { send(packet.bytes) }

  /// Sends a request and reads one reply.
  func ask(_ packet: WirePacket) -> WirePacket? {
    guard send(packet) else { return nil }
    return receivePacket()
  }
}

extension WirePacket {
  /// Whether this is the sidecar's own error reply to that request: its ids, OpIntraGroupNetErr, ArgLen 0, a text that no
  /// requester takes for an instruction (PROTOCOL.md section 6, number 5).
  func isErrorReply(to request: WirePacket) -> Bool {
    let words = ["timeout", "disk", "token", "exist", "space", "try again", "limited", "broken", "parameter"]
    let text = String(decoding: payload, as: UTF8.self)
    return header.resultCode.rawValue == 0xF3 && header.opcode == request.header.opcode && header.reqID == request.header.reqID
      && header.partitionID == request.header.partitionID && header.extentID == request.header.extentID
      && header.extentOffset == request.header.extentOffset && header.crc == request.header.crc
      && header.kernelOffset == request.header.kernelOffset && header.argLength == 0 && !payload.isEmpty
      && !words.contains { text.contains($0) }
  }
}
