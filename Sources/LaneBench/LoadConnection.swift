import Glibc

/// One connection of the load generator, with at most one request in flight.
final class LoadConnection {
  /// What one read has brought.
  enum Progress {
    case partial
    case correct
    /// The reply is complete, and not the one due; the text says in what.
    case wrong(String)
    /// The reply cannot be followed to its end: the connection is of no more use.
    case lost(String)
  }

  let socket: Int32
  private let index: Int
  private let shape: LoadShape
  private let block: UnsafeRawBufferPointer
  private let request: UnsafeMutableRawBufferPointer
  private let header = UnsafeMutableRawBufferPointer.allocate(byteCount: Packet.headerLength, alignment: 8)
  private var received = 0
  private var sequence: UInt64 = 0
  private var reqID: UInt64 = 0
  private var fault: String?

  private(set) var isBusy = false
  /// When the request in flight was sent, or should have been (open loop): monotonic nanoseconds.
  private(set) var startedAt: UInt64 = 0

  init(socket: Int32, index: Int, shape: LoadShape, block: UnsafeRawBufferPointer) {
    self.socket = socket
    self.index = index
    self.shape = shape
    self.block = block
    request = .allocate(byteCount: Packet.headerLength, alignment: 8)
    request.initializeMemory(as: UInt8.self, repeating: 0)
    request[Packet.Offset.magic] = Packet.magic
    request[Packet.Offset.extentType] = Packet.normalExtent
    request[Packet.Offset.opcode] = shape.opcode
    request.putBigEndian(UInt32(shape.payloadLength), at: Packet.Offset.size)
    request.putBigEndian(UInt64(1), at: Packet.Offset.partitionID)
    // Normal extents begin at 1025 (cubefs storage.MinExtentID); one extent a connection, so that none conflicts with another.
    request.putBigEndian(UInt64(1025 + index), at: Packet.Offset.extentID)
  }

  deinit {
    request.deallocate()
    header.deallocate()
    close(socket)
  }

  /// Sends the next request; the latency counts from `time`.
  func send(countingFrom time: UInt64) throws {
    sequence &+= 1
    // Distinct over connections and requests, and positive as Go's int64.
    reqID = UInt64(index + 1) << 40 | sequence & 0xFF_FFFF_FFFF
    request.putBigEndian(reqID, at: Packet.Offset.reqID)
    received = 0
    fault = nil
    isBusy = true
    startedAt = time
    let sent = Glibc.send(socket, request.baseAddress, request.count, Int32(MSG_NOSIGNAL))
    guard sent == request.count else {
      if sent < 0 { throw BenchError.system("connection \(index), sending a request", errno) }
      throw BenchError.peer("connection \(index): the socket took \(sent) of \(request.count) bytes with nothing else in flight")
    }
  }

  /// Reads once and judges what came.
  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Progress {
    let count = recv(socket, buffer.baseAddress, buffer.count, 0)
    if count < 0 {
      if errno == EAGAIN || errno == EINTR { return .partial }
      return .lost("connection \(index): \(errorText(errno))")
    }
    if count == 0 { return .lost("connection \(index): closed by the other side, \(received) bytes into a reply") }
    guard isBusy else { return .lost("connection \(index): \(count) bytes that no request is waiting for") }

    var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
    if received < Packet.headerLength {
      let step = min(Packet.headerLength - received, rest.count)
      UnsafeMutableRawBufferPointer(rebasing: header[received..<received + step])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<step]))
      received += step
      rest = UnsafeRawBufferPointer(rebasing: rest[step...])
      if received == Packet.headerLength, let lost = judgeHeader() { return .lost("connection \(index): \(lost)") }
    }
    let whole = Packet.headerLength + shape.payloadLength
    if rest.count > whole - received { return .lost("connection \(index): \(rest.count - (whole - received)) bytes after the reply") }
    if !rest.isEmpty, let base = block.baseAddress, let bytes = rest.baseAddress {
      if memcmp(base + (received - Packet.headerLength), bytes, rest.count) != 0 {
        fault = fault ?? "the payload differs from the block asked for"
      }
      received += rest.count
    }
    guard received == whole else { return .partial }
    isBusy = false
    return fault.map { .wrong("connection \(index): \($0)") } ?? .correct
  }

  /// Notes a wrong field in `fault`; returns a reason where not even the length can be believed.
  private func judgeHeader() -> String? {
    let fields = UnsafeRawBufferPointer(header)
    guard fields[Packet.Offset.magic] == Packet.magic else {
      return "a reply begins with \(fields[Packet.Offset.magic]), not with 255"
    }
    let size = Int(fields.bigEndian(at: Packet.Offset.size, as: UInt32.self))
    let argLength = fields.bigEndian(at: Packet.Offset.argLength, as: UInt32.self)
    guard size == shape.payloadLength, argLength == 0 else {
      return """
        a reply with ResultCode \(fields[Packet.Offset.resultCode]), Size \(size) and ArgLen \(argLength); \
        due are 240, \(shape.payloadLength) and 0
        """
    }
    let answered = fields.bigEndian(at: Packet.Offset.reqID, as: UInt64.self)
    if answered != reqID { fault = "a reply to ReqID \(answered) came for ReqID \(reqID)" }
    if fields[Packet.Offset.resultCode] != Packet.resultOK {
      fault = fault ?? "a reply has ResultCode \(fields[Packet.Offset.resultCode]), not 240"
    }
    return nil
  }
}
