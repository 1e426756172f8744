import CubeFSWire
import TestBytes
import Testing

/// Any split of the streams, every header length, and readers that are slow.
@Suite struct PiecesTests {
  private static let packets: [WirePacket] = [
    Exemplar.request(0x08, reqID: -5, partition: 7),
    Exemplar.request(0x03, reqID: 6, partition: 7),
    .request(0x03, reqID: 7) {
      $0.header.extentType = 0x11
      $0.header.verSeq = 0x0102_0304_0506_0708
      $0.header.protoVersion = 1
      $0.argument = pattern(20)
      $0.payload = pattern(100)
    },
    .request(0x13, reqID: 8) {
      $0.header.extentType = 0x81
      $0.header.verSeq = 9
      $0.payload = pattern(10)
    },
    .request(0x12, reqID: 9) {
      $0.header.extentType = 0xC1
      $0.header.verSeq = 9
      $0.header.versions = (1...3).map { .init(sequence: $0, deletionTime: 5, status: 1) }
      $0.payload = pattern(10)
    },
    Exemplar.request(0x15, reqID: 10, partition: 7),
    Exemplar.request(0x17, reqID: 11, partition: 7),
    Exemplar.request(0x14, reqID: 12, partition: 7),
    Exemplar.request(0x07, reqID: 13, partition: 7),
    Exemplar.request(0xEA, reqID: 14, partition: 7),
  ]

  @Test(arguments: [(1, 1000), (1000, 1), (1, 1), (56, 58), (58, 56), (7, 13)])
  func anySplitGivesTheSameBytes(asked: Int, answered: Int) throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request).bytes, pieces: answered) }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    for request in Self.packets {
      #expect(caller.send(request.bytes, pieces: asked))
      let reply = caller.receivePacket()
      #expect(reply == Exemplar.reply(to: request))
      // 08's error would be a reset; all others leave the connection in step.
      if reply == nil { break }
    }
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == Self.packets.count)
  }

  /// PROTOCOL.md section 6, number 3: a volume with snapshots answers 57-byte writes with its version and list.
  @Test func aReplyMayHaveALongerHeaderThanItsRequest() throws {
    let versions = (1...200).map { PacketHeader.Version(sequence: UInt64($0), deletionTime: 7, status: 1) }
    let answer: @Sendable (WirePacket) -> WirePacket = { request in
      request.mutated {
        $0.extentType |= 0xC0
        $0.verSeq = 77
        $0.versions = versions
      }
    }
    let peer = try ScriptedPeer { socket, connection in
      while let request = socket.receiveRequest() { socket.send(answer(request).bytes, pieces: connection == 0 ? 5 : 10_000) }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    for _ in 0..<2 {
      let caller = try StreamSocket(port: sidecar.port)
      let requests = (0..<30).map { Exemplar.request(0x03, reqID: Int64($0), partition: 7) }
      caller.send(requests.flatMap(\.bytes))
      #expect(requests.allSatisfy { caller.receivePacket() == answer($0) })
    }
    try sidecar.stop()
  }

  private static let records = 3 * 2_400_000 + 24 * 1000

  private static func recordsPeer() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        for start in stride(from: 0, to: records, by: 2_400_000) {
          let chunk = request.block(at: request.header.extentOffset + Int64(start), pattern(min(2_400_000, records - start), seed: start)) {
            $0.header.opcode = Opcode(0xF0)
            $0.header.extentID = 0
          }
          guard socket.send(chunk) else { return }
        }
      }
    }
  }

  @Test func aSlowReaderGetsEveryByte() throws {
    let peer = try Self.recordsPeer()
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port, receiveBuffer: 8192)
    let request = Exemplar.request(0x14, reqID: 3, partition: 7)
    caller.send(request)
    for start in stride(from: 0, to: Self.records, by: 2_400_000) {
      let size = min(2_400_000, Self.records - start)
      let right = request.block(at: request.header.extentOffset + Int64(start), pattern(size, seed: start)) {
        $0.header.opcode = Opcode(0xF0)
        $0.header.extentID = 0
      }.bytes
      var found: [UInt8] = []
      var pauses = 0
      while found.count < right.count {
        let piece = caller.receive(min(100_000, right.count - found.count))
        found += piece.bytes
        guard piece.ending == .complete else { break }
        pauses += 1
        // Reading is what the test is about: the pause is the reader's own.
        if pauses % 3 == 0 { _ = caller.isReadable(within: 0) == false }
      }
      let difference = firstDifference(found, right)
      #expect(difference == nil, "\(found.count) bytes of \(right.count), different at \(difference ?? -1)")
      guard difference == nil else { return }
    }
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 1)
  }

  /// PROTOCOL.md section 6, number 2: a server that is left unread corrupts its own stream.
  @Test func aReaderThatStopsInsideAPacketIsReset() throws {
    let peer = try Self.recordsPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["timeouts:", "  backPressure: 300ms", "gate: {mode: off}"]))
    let caller = try StreamSocket(port: sidecar.port, receiveBuffer: 8192)
    caller.send(Exemplar.request(0x14, reqID: 3, partition: 7))
    _ = caller.receive(1000)
    #expect(try sidecar.waitFor("caller.reset").first?["reason"] == "back-pressure")
    let rest = caller.receiveToEnd()
    #expect(rest.ending == .reset && rest.bytes.count < Self.records)
    #expect(eventually { peer.living == 0 })
    let accounting = try sidecar.stop()
    #expect(accounting.reset == 1)
  }
}
