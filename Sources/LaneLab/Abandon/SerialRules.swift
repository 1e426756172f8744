internal import CubeFSWire

/// What a datanode answers to an operation with a serial: as PROTOCOL.md section 2 has it, over short contents that follow
/// from the serial. Datanode and oracle both use it, in different processes.
struct SerialRules: Sendable {
  let release: CubeFSRelease

  /// A stretch of a stream: one reply.
  struct Run: Equatable {
    var length: Int
    var isHole = false
  }

  /// A full chunk of 14. CubeFS `datanode/wrap_operator.go`: the sender reads so much of its file at a time.
  static let fullChunk = 2_400_000
  private static let record = 24
  private static let argumentLength = 17

  /// The replies that are due but for the one after the last that 17 has.
  func runs(_ opcode: UInt8, _ serial: Serial) -> [Run] {
    if opcode == 0x14 {
      let short = Run(length: Self.record * (1 + Int(serial.hash(1) % 100)))
      return serial.kind == .fullChunk ? [Run(length: Self.fullChunk), short] : [short]
    }
    return (0...Int(serial.hash(2) % 4)).map { index in
      let pick = serial.hash(UInt64(10 + index))
      // Tiny extents have holes between data.
      if opcode == 0x15 && index % 2 == 1 { return Run(length: 4_096 * (1 + Int(pick % 1_000)), isHole: true) }
      let length = pick % 32 == 0 ? 20_000 + Int(pick >> 8 % 40_000) : SerialPayload.shortest + Int(pick >> 8 % 4_096)
      // Two of three blocks have a length that tiny-delete records can have.
      return Run(length: pick % 3 == 0 ? length : length / Self.record * Self.record)
    }
  }

  /// Bytes of all of a stream's runs.
  func length(_ opcode: UInt8, _ serial: Serial) -> Int { runs(opcode, serial).reduce(0) { $0 + $1.length } }

  /// Every reply due, in order.
  func replies(to request: LabPacket) -> [LabPacket] {
    let serial = Serial(request.header.kernelOffset)
    let opcode = request.header.opcode.rawValue
    if serial.kind == .failing {
      let failure = error(request, .init(0xF5), "extent does not exist \(serial.value)")
      return opcode == 0x17 ? [failure, failure] : [failure]
    }
    let number = bigEndianBytes(serial.value)
    switch opcode {
    case 0x09, 0x14, 0x15: return stream(request, serial)
    case 0x17: return stream(request, serial) + [mutated(request, [])]
    case 0x07: return [mutated(request, SerialPayload.bytes(serial, index: 0, count: SerialPayload.shortest + Int(serial.hash(3) % 200)))]
    case 0x10: return [mutated(request, number)]
    case 0x11: return [mutated(request, release == .v3_5_3 ? number + number : number)]
    case 0x16: return [mutated(request, number + number)]
    default: return [mutated(request, [])]
    }
  }

  private func stream(_ request: LabPacket, _ serial: Serial) -> [LabPacket] {
    let opcode = request.header.opcode.rawValue
    let runs = runs(opcode, serial)
    let total = runs.reduce(0) { $0 + $1.length }
    var offset = request.header.extentOffset
    var replies: [LabPacket] = []
    for (index, run) in runs.enumerated() {
      var reply = LabPacket()
      reply.header.extentType = opcode == 0x15 ? 0 : 1
      reply.header.opcode = opcode == 0x14 ? Opcode(0xF0) : opcode == 0x17 ? Opcode(0x18) : request.header.opcode
      reply.header.resultCode = .ok
      reply.header.partitionID = request.header.partitionID
      reply.header.extentID = opcode == 0x14 ? 0 : request.header.extentID
      reply.header.extentOffset = offset
      reply.header.reqID = request.header.reqID
      if !run.isHole {
        reply.payload = SerialPayload.bytes(serial, index: index, count: run.length)
        reply.header.size = UInt32(truncatingIfNeeded: run.length)
        reply.header.crc = PayloadCRC.of(reply.payload)
      }
      if opcode == 0x15 || opcode == 0x17 {
        reply.argument =
          [run.isHole ? UInt8(ascii: "E") : 0] + bigEndianBytes(run.isHole ? UInt64(run.length) : 0) + bigEndianBytes(UInt64(total))
        reply.header.argLength = UInt32(Self.argumentLength)
      }
      replies.append(reply)
      offset += Int64(run.length)
    }
    return replies
  }

  private func mutated(_ request: LabPacket, _ payload: [UInt8]) -> LabPacket {
    var reply = request
    reply.header.resultCode = .ok
    reply.header.size = UInt32(truncatingIfNeeded: payload.count)
    reply.header.argLength = 0
    reply.argument = []
    reply.payload = payload
    return reply
  }

  private func error(_ request: LabPacket, _ result: ResultCode, _ text: String) -> LabPacket {
    var reply = mutated(request, Array(text.utf8))
    reply.header.resultCode = result
    return reply
  }
}
