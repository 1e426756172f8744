import CubeFSWire
import TestBytes
import Testing

/// Opcodes of a later release: one upstream of their own for each caller's connection, in order, matched by stamp.
@Suite struct UnknownOpcodeTests {
  @Test func severalRepliesPassAndAKnownClassRetiresTheConnection() throws {
    let seen = Shared<[(connection: Int, opcode: UInt8)]>([])
    let ended = Shared<[Int]>([])
    let peer = try ScriptedPeer { socket, connection in
      while let request = socket.receiveRequest() {
        let opcode = request.header.opcode.rawValue
        seen.withLock { $0.append((connection, opcode)) }
        socket.send(Exemplar.reply(to: request))
        if opcode != 0x10 { socket.send(request.mutated(pattern(70, seed: 9))) }
      }
      ended.withLock { $0.append(connection) }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    for round in 0..<3 {
      for opcode: UInt8 in [0xEA, 0x21] {
        let request = Exemplar.request(opcode, reqID: Int64(round), partition: 7)
        #expect(caller.ask(request) == Exemplar.reply(to: request))
        #expect(caller.receivePacket() == request.mutated(pattern(70, seed: 9)))
      }
    }
    #expect(Set(seen.now.map(\.connection)).count == 1)
    let known = Exemplar.request(0x10, reqID: 50, partition: 7)
    #expect(caller.ask(known) == Exemplar.reply(to: known))
    #expect(eventually { ended.now.count == 1 })
    #expect(Set(seen.now.map(\.connection)).count == 2)
    let accounting = try sidecar.stop()
    #expect(accounting.started == 7 && accounting.delivered == 7)
  }

  /// Half of a reply must not be followed by anything that the caller could take for the rest of it.
  @Test(arguments: [1, 2]) func aReplyThatEndsEarlyResetsTheCaller(number: Int) throws {
    let peer = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      for _ in 1..<number { socket.send(Exemplar.reply(to: request)) }
      socket.send(Exemplar.reply(to: request).bytes.dropLast(5))
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0xEA, reqID: 3, partition: 7)
    caller.send(request)
    let whole = Exemplar.reply(to: request).bytes
    let found = caller.receiveToEnd()
    #expect(found.ending == .reset)
    #expect(found.bytes.count < number * whole.count)
    #expect(try sidecar.waitFor("caller.reset").first?["reason"] == "upstream-truncated")
    let accounting = try sidecar.stop()
    #expect(accounting.started == 1 && accounting.delivered == number - 1 && accounting.reset == 2 - number)
  }

  @Test func aKnownRequestWaitsForTheRestOfAFurtherReply() throws {
    let goOn = Shared(false)
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        let reply = Exemplar.reply(to: request).bytes
        socket.send(reply)
        if request.header.opcode.rawValue == 0xEA {
          socket.send(reply.prefix(70))
          _ = eventually { goOn.now }
          socket.send(reply.dropFirst(70))
        }
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0xEA, reqID: 3, partition: 7)
    let whole = Exemplar.reply(to: request).bytes
    caller.send(request)
    #expect(caller.receive(whole.count + 70).bytes == whole + whole.prefix(70))
    let known = Exemplar.request(0x10, reqID: 4, partition: 7)
    caller.send(known)
    #expect(!caller.isReadable(within: 100))
    goOn.withLock { $0 = true }
    #expect(caller.receive(whole.count - 70).bytes == Array(whole.dropFirst(70)))
    #expect(caller.receivePacket() == Exemplar.reply(to: known))
    try sidecar.stop()
  }

  /// Opcode 04 is handled by no datanode: nothing comes back, and nothing must wait for it.
  @Test func aRequestThatIsDueNothingLeavesTheConnectionUsable() throws {
    let seen = Shared<[UInt8]>([])
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        seen.withLock { $0.append(request.header.opcode.rawValue) }
        if request.header.opcode.rawValue != 0x04 { socket.send(Exemplar.reply(to: request)) }
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    caller.send(Exemplar.request(0x04, reqID: 1, partition: 7))
    let known = Exemplar.request(0x10, reqID: 2, partition: 7)
    #expect(caller.ask(known) == Exemplar.reply(to: known))
    #expect(eventually { Set(seen.now) == [0x04, 0x10] })
    let accounting = try sidecar.stop()
    #expect(accounting.noneDue == 1 && accounting.delivered == 1)
  }
}
