import CubeFSWire
import TestBytes
import Testing

/// Callers that send one request and read until done: what a new request means for the old one.
@Suite struct LockStepTests {
  /// A peer that answers GetAppliedId and nothing else, until told to hang up.
  private static func silentPeer(_ seen: Shared<[UInt8]>) throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        seen.withLock { $0.append(request.header.opcode.rawValue) }
        if request.header.opcode.rawValue == 0x10 { socket.send(Exemplar.reply(to: request)) }
      }
    }
  }

  @Test(arguments: [0x07, 0x08, 0x09, 0x11, 0x15, 0x17, 0x14, 0x60] as [UInt8])
  func aNewRequestBeforeAnyReplyCancelsTheOldOne(opcode: UInt8) throws {
    let seen = Shared<[UInt8]>([])
    let peer = try Self.silentPeer(seen)
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    caller.send(Exemplar.request(opcode, reqID: 1, partition: 7))
    #expect(eventually { seen.now == [opcode] })
    let next = Exemplar.request(0x10, reqID: 2, partition: 8)
    #expect(caller.ask(next) == Exemplar.reply(to: next))
    #expect(!caller.isReadable(within: 50))
    // The connection on which an answer may still come is not used again.
    #expect(eventually { peer.living == 1 })
    let accounting = try sidecar.stop()
    let isMaybeDueNothing = [0x14, 0x15, 0x17].contains(opcode)
    #expect(accounting.started == 2 && accounting.delivered == 1)
    #expect(accounting.abandoned == (isMaybeDueNothing ? 0 : 1) && accounting.noneDue == (isMaybeDueNothing ? 1 : 0))
  }

  /// Without the gate nobody knows whether the caller has read what it was handed.
  @Test func aNewRequestWithRepliesPartlyHandedOverResetsTheCaller() throws {
    let peer = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      socket.send(request.block(at: request.header.extentOffset, pattern(1000)))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["gate: {mode: off}"]))
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 3000)
    #expect(caller.ask(request) == request.block(at: request.header.extentOffset, pattern(1000)))
    caller.send(Exemplar.request(0x10, reqID: 2, partition: 8))
    let found = caller.receiveToEnd()
    #expect(found.bytes.isEmpty && found.ending == .reset)
    let line = try #require(try sidecar.waitFor("caller.dirty-reuse").first)
    #expect(line["severity"] == "critical" && line["opcode"] == "OpExtentRepairRead" && line["callerReqID"] == "1")
    #expect(line["observed"]?.contains("OpGetAppliedId") == true)
    #expect(eventually { peer.living == 0 })
    try sidecar.stop()
  }

  @Test func anOpenEndedStreamMayBeLeftBetweenTwoChunks() throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        guard request.header.opcode.rawValue == 0x14 else {
          socket.send(Exemplar.reply(to: request))
          continue
        }
        socket.send(Self.chunk(request, at: request.header.extentOffset, 2_400_000))
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x14, reqID: 1, partition: 7)
    #expect(caller.ask(request) == Self.chunk(request, at: request.header.extentOffset, 2_400_000))
    let next = Exemplar.request(0x10, reqID: 2, partition: 8)
    #expect(caller.ask(next) == Exemplar.reply(to: next))
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 2)
  }

  private static func chunk(_ request: WirePacket, at offset: Int64, _ count: Int) -> WirePacket {
    request.block(at: offset, pattern(count)) {
      $0.header.opcode = Opcode(0xF0)
      $0.header.extentID = 0
    }
  }

  /// PROTOCOL.md section 2: these get no reply at all.
  @Test func readsOfNothingLeaveTheConnectionUsable() throws {
    let seen = Shared<[UInt8]>([])
    let peer = try Self.silentPeer(seen)
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    var asked = 0
    for round in 0..<3 {
      for opcode: UInt8 in [0x09, 0x15, 0x14] {
        caller.send(WirePacket.request(opcode, reqID: Int64(round)) { if opcode == 0x15 { $0.header.extentType = 0 } })
        // A read that still waits for its connection when the next request comes is not sent at all.
        asked += 1
        #expect(eventually { seen.now.count { $0 != 0x10 } == asked })
        let next = Exemplar.request(0x10, reqID: Int64(100 + round), partition: 8)
        #expect(caller.ask(next) == Exemplar.reply(to: next))
      }
    }
    #expect(eventually { seen.now.filter { $0 != 0x10 }.sorted() == [0x09, 0x09, 0x09, 0x14, 0x14, 0x14, 0x15, 0x15, 0x15] })
    let accounting = try sidecar.stop()
    #expect(accounting.noneDue == 9 && accounting.delivered == 9)
  }

  /// The request's own body, which is still in the socket while the connection is dialled, is no newer request.
  @Test(arguments: [0x07, 0x08, 0x60] as [UInt8], [60_000, 3_000_000])
  func aLargeRequestOnAFreshConnectionIsServed(opcode: UInt8, size: Int) throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() { socket.send(request.mutated(bigEndian(crc32(request.payload).toLong))) }
    }
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: []))
    for round in 0..<4 {
      let caller = try StreamSocket(port: sidecar.port)
      let request = WirePacket.request(opcode, reqID: Int64(round)) {
        $0.header.extentType = 0
        $0.payload = pattern(size)
      }
      let answer = opcode == 0x08 ? nil : bigEndian(crc32(request.payload).toLong)
      // 08 has no payload in its answer: the peer's is refused, which shows as well that all of the request arrived.
      let reply = caller.ask(request)
      #expect(reply?.payload == answer)
      if reply?.payload != answer { break }
    }
    try sidecar.stop()
  }
}

extension UInt32 {
  fileprivate var toLong: UInt64 { UInt64(self) }
}
