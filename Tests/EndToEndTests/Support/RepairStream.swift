import CubeFSWire
import Glibc
import TestBytes

/// The answer to each request 09 as blocks of one size; the payloads are made once, as crowds ask for the same ones.
struct RepairStream: Sendable {
  private let payloads: [[UInt8]]
  private let checksums: [UInt32]

  /// Streams of that many blocks, of that many bytes each.
  init(blocks: Int, of size: Int) {
    payloads = (0..<blocks).map { pattern(size, seed: $0) }
    checksums = payloads.map { crc32($0) }
  }

  /// Bytes of one reply.
  var replyCount: Int { 57 + payloads[0].count }

  /// The request of a caller of that number.
  func request(_ number: Int) -> WirePacket {
    .request(0x09, reqID: Int64(number + 1), partition: UInt64(number + 1), size: UInt32(payloads.reduce(0) { $0 + $1.count }))
  }

  /// The replies that the request asks for.
  func replies(to request: WirePacket) -> [[UInt8]] {
    var offset = request.header.extentOffset
    return zip(payloads, checksums).map { payload, checksum in
      defer { offset += Int64(payload.count) }
      let header = request.block(at: offset, []) {
        $0.header.size = UInt32(payload.count)
        $0.header.crc = checksum
      }
      return header.bytes + payload
    }
  }

  /// A peer that answers so, and other requests as they ask.
  /// - Parameter sent: it sends no more than that many blocks of each, and waits for the connection's end where one is missing.
  func peer(address: String = "127.0.0.1", port: UInt16 = 0, sending sent: Int = .max) throws -> ScriptedPeer {
    try ScriptedPeer(address: address, port: port) { socket, _ in
      while let request = socket.receiveRequest() {
        guard request.header.opcode.rawValue == 0x09 else {
          socket.send(Exemplar.reply(to: request))
          continue
        }
        for reply in replies(to: request).prefix(sent) where !socket.send(reply) { return }
        if sent < payloads.count { _ = socket.receiveToEnd() }
      }
    }
  }

  /// Reads a caller's whole stream; whether each byte was right.
  func isRead(by caller: StreamSocket, _ request: WirePacket) -> Bool {
    replies(to: request).allSatisfy { caller.receive($0.count).bytes == $0 }
  }
}
