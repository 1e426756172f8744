internal import CubeFSWire

/// Makes the operations of one caller thread. They look alike: few partitions, few extents; only the serial tells them apart.
struct AbandonWorkload {
  /// Where a caller leaves, for the account.
  enum Place: String, CaseIterable, Sendable {
    case beforeFirstRead
    case betweenReplies
    case afterHeader
    case afterArgument
    case inPayload
    case beforeLastByte
    /// It reads all that it wants, and the peer sends more.
    case surplus
  }

  private static let partitions = 8

  let plan: AbandonPlan
  let rules: SerialRules
  private let thread: Int
  private var random: LabRandom
  private var count: UInt64 = 0

  init(_ plan: AbandonPlan, _ rules: SerialRules, seed: UInt64, thread: Int) {
    self.plan = plan
    self.rules = rules
    self.thread = thread
    random = LabRandom(seed: LabRandom.mix(seed) &+ UInt64(thread))
  }

  /// An operation whose replies are not all read, and where its caller leaves.
  mutating func left() -> (operation: LabOperation, place: Place) {
    let streams = plan.streams(rules.release)
    let opcode = streams[random.below(streams.count)]
    switch plan {
    case .tinyDeleteOverread: return (tinyDelete(next(.fullChunk), stopsEarly: true), .surplus)
    case .snapshotExtraReply: return snapshot()
    case .beforeFirstRead:
      var operation = operation(opcode, next(usual()))
      operation.leavesAfter = 0
      return (operation, .beforeFirstRead)
    case .everywhere: return anywhere(opcode)
    }
  }

  /// An operation that reads to its end.
  mutating func followUp() -> LabOperation {
    let opcodes = plan.followUps(rules.release)
    return operation(opcodes[random.below(opcodes.count)], next(usual()))
  }

  /// Microseconds between leaving and the next operation: mostly none.
  mutating func pause() -> Int { random.below(4) == 0 ? random.below(300) : 0 }

  /// True where the connection is left twice before a follow-up takes it.
  mutating func leavesTwice() -> Bool { random.below(8) == 0 }

  /// One in four leaves before the end, as at a detached partition (v3.5.3): the reply after the last one is then not alone.
  private mutating func snapshot() -> (LabOperation, Place) {
    let serial = next(random.below(16) == 0 ? .failing : .small)
    var operation = operation(0x17, serial)
    guard serial.kind == .small, random.below(4) == 0 else { return (operation, .surplus) }
    let read = random.below(rules.runs(0x17, serial).count)
    operation.leavesAfter = read
    return (operation, read == 0 ? .beforeFirstRead : .betweenReplies)
  }

  private mutating func anywhere(_ opcode: UInt8) -> (LabOperation, Place) {
    let serial = next(opcode == 0x14 && random.below(128) == 0 ? .fullChunk : usual())
    var operation = operation(opcode, serial)
    let replies = serial.kind == .failing ? 1 : rules.runs(opcode, serial).count
    let index = random.below(replies)
    operation.leavesAfter = index
    let place: Place
    switch random.below(6) {
    case 0:
      operation.leavesInside = .header
      place = .afterHeader
    case 1:
      operation.leavesInside = .argument
      place = .afterArgument
    case 2:
      operation.leavesInside = .someOfPayload(random.next())
      place = .inPayload
    case 3:
      operation.leavesInside = .allButLastByte
      place = .beforeLastByte
    default: place = index == 0 ? .beforeFirstRead : .betweenReplies
    }
    return (operation, place)
  }

  private mutating func usual() -> Serial.Kind { random.below(100) == 0 ? .failing : .small }

  private mutating func next(_ kind: Serial.Kind) -> Serial {
    count += 1
    return Serial(thread: thread, number: count, kind: kind)
  }

  private mutating func operation(_ opcode: UInt8, _ serial: Serial) -> LabOperation {
    let partition = UInt64(1 + random.below(Self.partitions))
    let extent = UInt64(opcode == 0x15 ? 1 + random.below(8) : 1_025 + random.below(8))
    switch opcode {
    case 0x09, 0x15, 0x17:
      let size = UInt32(truncatingIfNeeded: rules.length(opcode, serial))
      let request = LabPacket.request(opcode, partition: partition, extent: extent, size: size, extentType: opcode == 0x15 ? 0 : 1)
      return marked(request, .repair, serial)
    case 0x14: return tinyDelete(serial, stopsEarly: false)
    case 0x07: return marked(.request(opcode, partition: partition, extentType: 1), .watermarks, serial)
    case 0x08:
      let body = Array(#"{"TaskType":0,"ExtentsToBeCreated":[],"ExtentsToBeRepaired":[]}"#.utf8)
      return marked(.request(opcode, partition: partition, extentType: 1, payload: body), .unchecked, serial)
    case 0x0A: return marked(.request(opcode, partition: partition, payload: bigEndianBytes(partition)), .unchecked, serial)
    default: return marked(.request(opcode, partition: partition, extent: opcode == 0x11 ? extent : 0), .query, serial)
    }
  }

  private mutating func tinyDelete(_ serial: Serial, stopsEarly: Bool) -> LabOperation {
    let end = stopsEarly ? 24 * (1 + random.below(SerialRules.fullChunk / 24)) : rules.length(0x14, serial)
    let request = LabPacket.request(0x14, partition: UInt64(1 + random.below(Self.partitions)), size: 0)
    return marked(request, .tinyDelete(until: Int64(end)), serial)
  }

  private func marked(_ request: LabPacket, _ site: CallSite, _ serial: Serial) -> LabOperation {
    var request = request
    request.header.kernelOffset = serial.value
    return LabOperation(request: request, site: site)
  }
}
