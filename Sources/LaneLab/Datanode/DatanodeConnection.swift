internal import CubeFSWire
internal import Glibc

/// One accepted connection of a scripted datanode: reads requests, answers in order, injects the planned faults.
struct DatanodeConnection {
  let socket: LabSocket
  let number: Int
  let rules: DatanodeRules
  let script: FaultScript
  let ledger: DatanodeLedger

  /// An error reply went out: the server reads one more packet, drops it, and closes (PROTOCOL.md section 2).
  private var doomed = false
  /// Nothing is ever answered again.
  private var mute = false
  private var greeting: UInt64?
  private var lastReply: LabPacket?
  private var heldBack: [LabPacket] = []

  init(socket: LabSocket, number: Int, rules: DatanodeRules, script: FaultScript, ledger: DatanodeLedger) {
    self.socket = socket
    self.number = number
    self.rules = rules
    self.script = script
    self.ledger = ledger
  }

  private enum End: Error { case closed }

  /// Serves until the connection ends.
  mutating func run() {
    do {
      try greet()
      while true { try serveOne() }
    } catch {
      // Whatever ended it, the connection is over; what was due to whom is the oracle's to say.
    }
  }

  private mutating func greet() throws {
    guard let bogus = script.takeGreeting() else { return }
    greeting = bogus
    var request = LabPacket.request(0x10, partition: bogus)
    request.header.reqID = 1
    try send(rules.mutated(request, payload: bigEndianBytes(bogus)))
  }

  private mutating func serveOne() throws {
    let request = try LabPacket.read(from: socket, release: rules.release, deadline: nil)
    let opcode = request.header.opcode.rawValue
    let key = request.header.partitionID
    ledger.request(opcode, partition: key, reqID: request.header.reqID, on: number, afterError: doomed)
    if let greeting { script.relate(greeting: greeting, to: key) }
    greeting = nil
    if mute { return }
    if doomed { throw End.closed }

    let replies = rules.replies(to: request)
    if script.isHeldBack(key) {
      heldBack += replies
      return
    }
    if !heldBack.isEmpty, let error = replies.first, error.isError {
      try overtake(with: error)
      return
    }
    if let fault = script.planned(for: key), !replies.isEmpty, !replies.contains(where: \.isError) {
      try inject(fault, replies, request)
    } else {
      for reply in replies { try send(reply) }
    }
    lastReply = replies.last
    if opcode == 0x04 { doomed = true }
    doomed = doomed || replies.contains(where: \.isError)
  }

  /// PROTOCOL.md 6.1: the error goes first, some of the earlier requests are answered after it, the rest never.
  private mutating func overtake(with error: LabPacket) throws {
    try send(error)
    for reply in heldBack.prefix(heldBack.count / 2) { try send(reply) }
    heldBack = []
    doomed = true
  }

  /// With the server's deadline.
  private func send(_ reply: LabPacket) throws {
    try reply.write(to: socket, deadline: LabClock.nanoseconds + rules.writeDeadline)
  }

  private mutating func inject(_ fault: FaultKind, _ replies: [LabPacket], _ request: LabPacket) throws {
    let key = request.header.partitionID
    // Somewhere in a stream, the same place for the same seed.
    // The last reply to 17, final or an error's double, is read by no requester: a fault in it shows nowhere.
    let read = request.header.opcode.rawValue == 0x17 && replies.count > 1 ? replies.count - 1 : replies.count
    let chosen = Int(rules.contents.hash(key, 0, 12) % UInt64(read))
    switch fault {
    case .wrongStamp, .swappedPartition, .swappedExtent, .swappedOffset, .swappedOpcode, .flippedPayloadByte, .oversized:
      guard let (index, wrong) = altered(fault, replies[..<read], from: chosen) else { break }
      script.injected(fault, operation: key)
      for (position, reply) in replies.enumerated() { try send(position == index ? wrong : reply) }
      return
    case .duplicate:
      script.injected(fault, operation: key)
      for (position, reply) in replies.enumerated() {
        try send(reply)
        if position == chosen { try send(reply) }
      }
      return
    case .late:
      guard let lastReply, lastReply.header.partitionID != key else { break }
      script.injected(fault, operation: key, also: lastReply.header.partitionID)
      try send(lastReply)
    case .truncated, .reset:
      script.injected(fault, operation: key)
      for reply in replies[..<chosen] { try send(reply) }
      let bytes = replies[chosen].bytes
      try socket.write(Array(bytes.prefix(max(1, bytes.count / 2))))
      if fault == .reset { socket.close(reset: true) } else { socket.shutdownWrite() }
      throw End.closed
    case .replyWithoutRequest:
      for reply in replies { try send(reply) }
      try sendUnsolicited(request, replies)
      return
    case .slow:
      script.injected(fault, operation: key)
      usleep(100_000 + UInt32(truncatingIfNeeded: rules.contents.hash(key, 0, 13) % 200_000))
    case .silent:
      script.injected(fault, operation: key)
      mute = true
      return
    case .oneBytePieces:
      script.injected(fault, operation: key)
      for reply in replies { try sendInPieces(reply.bytes) }
      return
    case .errorInBlock:
      guard replies[chosen].payload.count > 400 else { break }
      script.injected(fault, operation: key)
      for reply in replies[..<chosen] { try send(reply) }
      try sendErrorInside(replies[chosen], request)
      mute = true
      return
    case .replyBeforeRequest: break
    }
    for reply in replies { try send(reply) }
  }

  /// The reply at or after `start` (round the end) that can show the fault, altered.
  private func altered(_ fault: FaultKind, _ replies: ArraySlice<LabPacket>, from start: Int) -> (Int, LabPacket)? {
    for step in replies.indices {
      // Only the last block can hold more than was asked for: how long the others are is the volume's choice.
      let index = fault == .oversized ? replies.count - 1 - step : (start + step) % replies.count
      var wrong = replies[index]
      switch fault {
      case .wrongStamp: wrong.header.reqID = wrong.header.reqID ^ 0x0005_0000_0003
      case .swappedPartition: wrong.header.partitionID = FaultScript.bogus(wrong.header.partitionID)
      case .swappedExtent: wrong.header.extentID ^= 1
      case .swappedOffset: wrong.header.extentOffset &+= 4_096
      case .swappedOpcode: wrong.header.opcode = Opcode(wrong.header.opcode.rawValue == 0x10 ? 0x11 : 0x10)
      case .flippedPayloadByte:
        guard !wrong.payload.isEmpty else { continue }
        wrong.payload[wrong.payload.count / 2] ^= 0x40
      case .oversized:
        guard !wrong.payload.isEmpty else { continue }
        wrong.payload += [UInt8](repeating: 0xA5, count: 8_192)
        if wrong.header.crc != 0 { wrong.header.crc = PayloadCRC.of(wrong.payload) }
        wrong.header.size = UInt32(truncatingIfNeeded: wrong.payload.count)
      default: return nil
      }
      return (index, wrong)
    }
    return nil
  }

  private mutating func sendUnsolicited(_ request: LabPacket, _ replies: [LabPacket]) throws {
    // Only a connection that is idle shows this fault; with a request on the way it would be `late`.
    guard var extra = replies.last, !socket.isReadable(withinMs: 0) else { return }
    let bogus = FaultScript.bogus(request.header.partitionID)
    extra.header.partitionID = bogus
    script.injected(.replyWithoutRequest, operation: request.header.partitionID)
    try send(extra)
  }

  private func sendInPieces(_ bytes: [UInt8]) throws {
    var position = 0
    while position < bytes.count {
      let piece = position < 300 ? 1 : 997
      try socket.write(Array(bytes[position..<min(bytes.count, position + piece)]))
      position += piece
    }
  }

  /// The block lacks as many bytes as the error packet has, so that a reader who only counts takes the one for the other;
  /// a block of 14 lacks more, and silence follows.
  private func sendErrorInside(_ block: LabPacket, _ request: LabPacket) throws {
    let error = rules.error(request, .init(0xF3), "ActionStreamRead_write tcp: i/o timeout").bytes
    let missing = request.header.opcode.rawValue == 0x14 ? error.count + 100 : error.count
    try socket.write(Array(block.bytes.dropLast(missing)))
    try socket.write(error)
  }
}
