import Glibc

/// One accepted connection of the echo peer: requests cut out of the stream, and the answers not yet taken by the socket.
final class EchoConnection {
  /// Why a connection is over.
  enum End: Error {
    case closedByCaller
    case refused(String)
  }

  /// More than a load generator ever asks for; a bound, so that a confused sender cannot make the peer queue for ever.
  private static let largestRead = 16 * 1024 * 1024
  private static let vectorsPerWrite = 64

  let socket: Int32
  private let answers: Answers
  private let request = UnsafeMutableRawBufferPointer.allocate(byteCount: Packet.headerLength, alignment: 8)
  private var requestFill = 0
  private var skip = 0

  private var headers: [UInt8] = []
  private var payloads: [Int] = []
  private var firstPending = 0
  private var sentOfFirst = 0

  init(socket: Int32, answers: Answers) {
    self.socket = socket
    self.answers = answers
  }

  deinit { request.deallocate() }

  /// Whether the socket would not take all of the answers.
  var isBlocked: Bool { firstPending < payloads.count }

  /// Reads once, answers every request that is complete.
  func receive(into buffer: UnsafeMutableRawBufferPointer) throws {
    let count = recv(socket, buffer.baseAddress, buffer.count, 0)
    if count == 0 { throw End.closedByCaller }
    if count < 0 {
      if errno == EAGAIN || errno == EINTR { return }
      throw End.closedByCaller
    }
    var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
    while !rest.isEmpty {
      if skip > 0 {
        let step = min(skip, rest.count)
        skip -= step
        rest = UnsafeRawBufferPointer(rebasing: rest[step...])
        continue
      }
      let step = min(Packet.headerLength - requestFill, rest.count)
      UnsafeMutableRawBufferPointer(rebasing: request[requestFill..<requestFill + step])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<step]))
      requestFill += step
      rest = UnsafeRawBufferPointer(rebasing: rest[step...])
      if requestFill == Packet.headerLength {
        requestFill = 0
        try answer()
      }
    }
    try flush()
  }

  /// Gives the socket what it takes.
  func flush() throws {
    while isBlocked {
      let written = writePending()
      if written < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { return }
        throw End.closedByCaller
      }
      advance(by: written)
    }
    headers.removeAll(keepingCapacity: true)
    payloads.removeAll(keepingCapacity: true)
    firstPending = 0
  }

  private func answer() throws {
    let fields = UnsafeRawBufferPointer(request)
    let opcode = fields[Packet.Offset.opcode]
    let size = Int(fields.bigEndian(at: Packet.Offset.size, as: UInt32.self))
    let argLength = Int(fields.bigEndian(at: Packet.Offset.argLength, as: UInt32.self))
    guard fields[Packet.Offset.magic] == Packet.magic else { throw End.refused("a packet does not begin with 0xFF") }
    // The longer headers of v3.4 and v3.5 are announced by these flags; this peer speaks the 57-byte dialect only.
    guard fields[Packet.Offset.extentType] & 0xD0 == 0 else { throw End.refused("ExtentType announces a header of more than 57 bytes") }
    skip = argLength + (Packet.isRead(opcode) ? 0 : size)

    request[Packet.Offset.resultCode] = Packet.resultOK
    request.putBigEndian(UInt32(0), at: Packet.Offset.argLength)
    guard opcode == Packet.opStreamRead || opcode == Packet.opExtentRepairRead else {
      request.putBigEndian(UInt32(0), at: Packet.Offset.size)
      enqueue(payload: 0)
      return
    }
    guard size <= Self.largestRead else { throw End.refused("a read of \(size) bytes; at most \(Self.largestRead) are served") }
    request[Packet.Offset.extentType] = Packet.normalExtent
    request[Packet.Offset.remainingFollowers] = 0
    request.putBigEndian(UInt64(0), at: Packet.Offset.kernelOffset)
    var offset = fields.bigEndian(at: Packet.Offset.extentOffset, as: UInt64.self)
    var left = size
    while left > 0 {
      let length = min(left, Packet.blockLength)
      request.putBigEndian(answers.crc(ofFirst: length), at: Packet.Offset.crc)
      request.putBigEndian(UInt32(length), at: Packet.Offset.size)
      request.putBigEndian(offset, at: Packet.Offset.extentOffset)
      enqueue(payload: length)
      offset &+= UInt64(length)
      left -= length
    }
  }

  private func enqueue(payload length: Int) {
    headers.append(contentsOf: request)
    payloads.append(length)
  }

  private func writePending() -> Int {
    let header = Packet.headerLength
    return withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.vectorsPerWrite) { vectors in
      headers.withUnsafeMutableBytes { bytes in
        guard let base = bytes.baseAddress else { return 0 }
        let block = UnsafeMutableRawPointer(mutating: answers.block.baseAddress)
        var count = 0
        var sent = sentOfFirst
        var index = firstPending
        while index < payloads.count, count + 2 <= vectors.count {
          if sent < header {
            vectors[count] = iovec(iov_base: base + index * header + sent, iov_len: header - sent)
            count += 1
          }
          let payloadSent = max(0, sent - header)
          if payloads[index] > payloadSent {
            vectors[count] = iovec(iov_base: block.map { $0 + payloadSent }, iov_len: payloads[index] - payloadSent)
            count += 1
          }
          sent = 0
          index += 1
        }
        return writev(socket, vectors.baseAddress, Int32(count))
      }
    }
  }

  private func advance(by written: Int) {
    var left = written + sentOfFirst
    while firstPending < payloads.count, left >= Packet.headerLength + payloads[firstPending] {
      left -= Packet.headerLength + payloads[firstPending]
      firstPending += 1
    }
    sentOfFirst = left
  }
}
