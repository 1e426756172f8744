import CubeFSWire
import TestBytes
import Testing

/// Garbage, lengths over their limits, streams that stop, replies that are nobody's: over real sockets, both ways.
@Suite struct DamagedStreamTests {
  /// A peer that answers GetAppliedId rightly, and to the first other request writes what `damage` makes of it.
  private static func peer(
    hold: Bool = true, _ damage: @escaping @Sendable (StreamSocket, WirePacket) -> Void
  ) throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        guard request.header.opcode.rawValue != 0x10 else {
          socket.send(Exemplar.reply(to: request))
          continue
        }
        damage(socket, request)
        guard hold else { return }
      }
    }
  }

  /// What the caller may meet.
  enum Meets: Sendable {
    /// An error reply of the sidecar's, after which the connection is of use.
    case errorReply
    /// A reset, whatever came before it.
    case reset
    /// The right answer.
    case answer
  }

  struct Damage: Sendable, CustomTestStringConvertible {
    var name: String
    var opcode: UInt8
    var meets: Meets
    var reason: String?
    var hold = true
    var make: @Sendable (StreamSocket, WirePacket) -> Void

    var testDescription: String { name }
  }

  static let damages: [Damage] = [
    Damage(name: "garbage before", opcode: 0x11, meets: .errorReply, reason: "bad-magic") { socket, request in
      socket.send(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8) + pattern(64) + Exemplar.reply(to: request).bytes)
    },
    Damage(name: "garbage after", opcode: 0x11, meets: .answer, reason: nil) { socket, request in
      socket.send(Exemplar.reply(to: request).bytes + pattern(100, seed: 1))
    },
    Damage(name: "garbage between blocks", opcode: 0x09, meets: .errorReply, reason: "bad-magic") { socket, request in
      socket.send(request.block(at: request.header.extentOffset, pattern(100)).bytes + pattern(60, seed: 1))
    },
    Damage(name: "a reply twice", opcode: 0x11, meets: .answer, reason: nil) { socket, request in
      socket.send(Exemplar.reply(to: request).bytes + Exemplar.reply(to: request).bytes)
    },
    Damage(name: "a stale reply first", opcode: 0x11, meets: .errorReply, reason: "stamp-unknown") { socket, request in
      socket.send(Exemplar.reply(to: request.with(reqID: request.header.reqID - 1)).bytes + Exemplar.reply(to: request).bytes)
    },
    Damage(name: "a payload byte", opcode: 0x05, meets: .errorReply, reason: "payload-crc") { socket, request in
      var bytes = Exemplar.reply(to: request).bytes
      bytes[100] ^= 4
      socket.send(bytes)
    },
    Damage(name: "a payload byte of a block in pieces", opcode: 0x09, meets: .reset, reason: "payload-crc") { socket, request in
      var bytes = request.block(at: request.header.extentOffset, pattern(300)).bytes
      bytes[bytes.count - 1] ^= 0x80
      socket.send(bytes.prefix(200))
      // Until the first piece was handed on: the caller says so by its own means in `check`.
      _ = socket.isReadable(within: 300)
      socket.send(bytes.dropFirst(200))
    },
    Damage(name: "half a header, then the end", opcode: 0x11, meets: .errorReply, reason: "upstream-truncated", hold: false) {
      socket, request in
      socket.send(Exemplar.reply(to: request).bytes.prefix(30))
    },
    Damage(name: "half a payload, then the end", opcode: 0x11, meets: .reset, reason: "upstream-truncated", hold: false) {
      socket, request in
      socket.send(Exemplar.reply(to: request).bytes.dropLast(4))
    },
    Damage(name: "the end at once", opcode: 0x07, meets: .errorReply, reason: "upstream-closed", hold: false) { _, _ in },
    Damage(name: "the end at once, to one who looks at nothing", opcode: 0x08, meets: .reset, reason: "upstream-closed", hold: false) {
      _, _ in
    },
    Damage(name: "a reset", opcode: 0x07, meets: .errorReply, reason: "upstream-reset", hold: false) { socket, _ in socket.resetOnClose() },
    Damage(name: "a block too many bytes long", opcode: 0x09, meets: .errorReply, reason: "size-out-of-bounds") { socket, request in
      socket.send(request.block(at: request.header.extentOffset, pattern(301)))
    },
    Damage(name: "a size over the limit", opcode: 0x07, meets: .errorReply, reason: "limit-exceeded") { socket, request in
      socket.send(request.mutated { $0.size = 64 << 20 | 1 })
    },
    Damage(name: "an Arg over the limit", opcode: 0x07, meets: .errorReply, reason: "limit-exceeded") { socket, request in
      socket.send(request.mutated { $0.argLength = 65_537 })
    },
    // PROTOCOL.md section 6, number 2: the error packet that a stalled server writes into its block.
    Damage(name: "an error packet inside a block", opcode: 0x09, meets: .reset, reason: nil, hold: false) { socket, request in
      let block = request.block(at: request.header.extentOffset, pattern(300)).bytes
      socket.send(block.prefix(150) + request.mutated(Array("write_i/o timeout".utf8), result: 0xF3).bytes)
    },
    Damage(name: "an error packet that completes a block", opcode: 0x09, meets: .errorReply, reason: "payload-crc") { socket, request in
      let block = request.block(at: request.header.extentOffset, pattern(300)).bytes
      socket.send(block.prefix(290) + request.mutated(Array("write_i/o timeout".utf8), result: 0xF3).bytes)
    },
  ]

  @Test(arguments: damages) func aDamagedAnswerNeverReachesTheCaller(damage: Damage) throws {
    let peer = try Self.peer(hold: damage.hold, damage.make)
    let sidecar = try Sidecar(peers: [peer.port])
    var caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(damage.opcode, reqID: 1, partition: 7)
    caller.send(request)
    switch damage.meets {
    case .answer: #expect(caller.receivePacket() == Exemplar.reply(to: request))
    case .reset:
      let whole = Exemplar.reply(to: request).bytes
      let found = caller.receiveToEnd()
      #expect(found.ending == .reset && found.bytes.count < whole.count, "\(found)")
      caller = try StreamSocket(port: sidecar.port)
    case .errorReply:
      var reply = caller.receivePacket()
      if damage.name == "garbage between blocks" { reply = caller.receivePacket() }
      #expect(reply?.isErrorReply(to: request) == true, "\(String(describing: reply?.header))")
    }
    let next = Exemplar.request(0x10, reqID: 2, partition: 7)
    #expect(caller.ask(next) == Exemplar.reply(to: next))
    try sidecar.stop()
    if let reason = damage.reason { #expect(sidecar.output.contains("\"reason\":\"\(reason)\""), "\(sidecar.output)") }
  }

  @Test func aReplyBeforeItsRequestIsWholeIsDropped() throws {
    let peer = try ScriptedPeer { socket, _ in
      let head = socket.receive(57)
      guard let header = PacketHeader(parsing: head.bytes) else { return }
      socket.send(Exemplar.reply(to: WirePacket(header: header)))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x03, reqID: 1, partition: 7)
    caller.send(request.bytes.dropLast(10))
    #expect(caller.receivePacket()?.isErrorReply(to: request) == true)
    #expect(try sidecar.waitFor("reply.dropped").first?["reason"] == "reply-before-request")
    // The rest of it belongs to an operation that is over.
    caller.send(request.bytes.suffix(10))
    try sidecar.stop()
  }

  /// The sidecar gives up at four fifths of the caller's own five seconds.
  @Test(arguments: [0, 30, 57]) func anAnswerThatStopsEndsWithTheDeadline(bytes: Int) throws {
    let peer = try Self.peer { socket, request in
      socket.send(request.mutated(pattern(10), result: 0xF9).bytes.prefix(bytes))
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x03, reqID: 1, partition: 7)
    let start = ContinuousClock.now
    caller.send(request)
    if bytes == 57 {
      #expect(caller.receiveToEnd().ending == .reset)
    } else {
      #expect(caller.receivePacket()?.isErrorReply(to: request) == true)
    }
    let took = ContinuousClock.now - start
    #expect(took > .milliseconds(3900) && took < .milliseconds(4950), "\(took)")
    try sidecar.stop()
    #expect(sidecar.output.contains("\"reason\":\"deadline\""))
  }

  @Test func limitsHoldAtTheirEdges() throws {
    let seen = Shared<[Int]>([])
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        seen.withLock { $0.append(request.payload.count) }
        socket.send(request.mutated(request.header.opcode.rawValue == 0x07 ? pattern(Int(request.header.partitionID)) : []))
      }
    }
    let sidecar = try Sidecar(
      peers: [peer.port],
      .init(sections: ["limits:", "  OpWrite: 1000", "  OpGetAllWatermarks: 500", "  OpNotifyReplicasToRepair: 0", "  argument: 1024"]))
    // Requests: the limit passes, one more byte is a reset without a byte to the peer.
    for (opcode, size, argument, passes) in [
      (0x03, 1000, 0, true), (0x03, 1001, 0, false), (0x03, 10, 1024, true), (0x03, 10, 1025, false), (0x08, 0, 0, true),
      (0x08, 1, 0, false),
      (0x13, 1001, 0, true),
    ] as [(UInt8, Int, Int, Bool)] {
      let before = seen.now.count
      let caller = try StreamSocket(port: sidecar.port)
      let request = WirePacket.request(opcode, reqID: 1) {
        $0.payload = pattern(size)
        $0.argument = pattern(argument)
      }
      caller.send(request)
      if passes {
        #expect(caller.receivePacket() == request.mutated(), "\(opcode) \(size) \(argument)")
      } else {
        let found = caller.receiveToEnd()
        #expect(found.ending == .reset && found.bytes.isEmpty && seen.now.count == before, "\(opcode) \(size) \(argument)")
      }
    }
    // Replies.
    let caller = try StreamSocket(port: sidecar.port)
    for (size, passes) in [(500, true), (501, false), (499, true)] {
      let request = WirePacket.request(0x07, reqID: 5, partition: UInt64(size))
      let reply = caller.ask(request)
      #expect(passes ? reply == request.mutated(pattern(size)) : reply?.isErrorReply(to: request) == true)
    }
    #expect(try sidecar.waitFor("reply.dropped").first?["reason"] == "limit-exceeded")
    try sidecar.stop()
  }

  @Test(arguments: ["garbage", "http", "tls", "reply"]) func aCallerThatSpeaksSomethingElseIsReset(what: String) throws {
    let peer = try Self.peer { _, _ in }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    switch what {
    case "http": caller.send(Array("GET / HTTP/1.1\r\nHost: datanode\r\n\r\n".utf8) + [UInt8](repeating: 0x20, count: 64))
    case "tls": caller.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3] + pattern(200))
    case "reply": caller.send(Exemplar.reply(to: Exemplar.request(0x10, reqID: 1, partition: 7)))
    default: caller.send(pattern(5000, seed: 77))
    }
    let found = caller.receiveToEnd()
    #expect(found.bytes.isEmpty && found.ending == .reset)
    try sidecar.waitFor("caller.protocol")
    #expect(peer.accepted == 0)
    let good = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x10, reqID: 2, partition: 7)
    #expect(good.ask(request) == Exemplar.reply(to: request))
    // After a good request, too: what was answered stays answered.
    good.send(pattern(100))
    #expect(good.receiveToEnd().ending == .reset)
    try sidecar.stop()
  }

  @Test(arguments: [1, 30, 56, 60]) func aCallerThatStopsInsideARequestLeavesNothingBehind(bytes: Int) throws {
    let peer = try Self.peer { _, _ in }
    let sidecar = try Sidecar(peers: [peer.port])
    for reset in [false, true] {
      let caller = try StreamSocket(port: sidecar.port)
      caller.send(Exemplar.request(0x03, reqID: 1, partition: 7).bytes.prefix(bytes))
      if reset {
        caller.resetOnClose()
      } else {
        caller.finishSending()
        #expect(caller.receiveToEnd().bytes.isEmpty)
      }
    }
    #expect(eventually { peer.living == 0 })
    try sidecar.stop()
  }

  @Test func observeModeForwardsAndTells() throws {
    let peer = try Self.peer { socket, request in socket.send(request.mutated(bigEndian(3)) { $0.partitionID = 99 }) }
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["judge:", "  mode: observe"]))
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x11, reqID: 1, partition: 7)
    #expect(caller.ask(request) == request.mutated(bigEndian(3)) { $0.partitionID = 99 })
    let line = try #require(try sidecar.waitFor("reply.observed").first)
    #expect(line["reason"] == "partition-mismatch" && line["expected"] == "7" && line["observed"] == "99" && line["action"] == "forwarded")
    #expect(sidecar.log("reply.dropped").isEmpty)
    try sidecar.stop()
  }
}
