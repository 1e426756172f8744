import CubeFSWire
import TestBytes
import Testing

/// DESIGN.md G1 and G2.
@Suite struct IdentityTests {
  /// ReqIDs of different nodes and of restarted ones collide (PROTOCOL.md section 3).
  @Test func callersWithEqualReqIDsGetTheirOwnAnswersAndThePeerSeesDistinctStamps() throws {
    let stamps = Shared<[Int64]>([])
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        stamps.withLock { $0.append(request.header.reqID) }
        socket.send(request.mutated(bigEndian(request.header.partitionID)))
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let port = sidecar.port
    let wrong = Shared(0)
    BlockingThread.run(8) { thread in
      guard let caller = try? StreamSocket(port: port) else { return wrong.withLock { $0 += 1000 } }
      for round in 0..<200 {
        let request = Exemplar.request(0x10, reqID: Int64(round), partition: UInt64(thread * 1000 + round))
        if caller.ask(request) != request.mutated(bigEndian(request.header.partitionID)) { wrong.withLock { $0 += 1 } }
      }
    }
    #expect(wrong.now == 0)
    #expect(stamps.now.count == 1600 && Set(stamps.now).count == 1600 && stamps.now.allSatisfy { $0 > 0 })
    try sidecar.stop()
  }

  /// One caller's connection carries every class (live: 68 requests on one); on the peer's side they never meet.
  @Test func classesNeverShareAConnectionAndAStreamHasItsOwn() throws {
    let classes: [UInt8: Int] = [
      0x01: 1, 0x03: 1, 0x13: 1, 0x02: 2, 0x75: 2, 0x05: 3, 0x06: 3, 0x07: 4, 0x08: 4, 0x0A: 4, 0x10: 4, 0x11: 4, 0x16: 4, 0x60: 5, 0x63: 5,
      0x09: 6, 0x15: 6, 0x17: 6, 0x14: 6,
    ]
    let seen = Shared<[Int: [UInt8]]>([:])
    let peer = try ScriptedPeer { socket, connection in
      while let request = socket.receiveRequest() {
        seen.withLock { $0[connection, default: []].append(request.header.opcode.rawValue) }
        socket.send(Exemplar.reply(to: request))
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let port = sidecar.port
    let opcodes = classes.keys.sorted()
    let wrong = Shared<[String]>([])
    let seed = UInt64.random(in: 1...1 << 32)
    BlockingThread.run(6) { thread in
      var random = SeededGenerator(seed: seed &+ UInt64(thread))
      guard let caller = try? StreamSocket(port: port) else { return wrong.withLock { $0.append("no connection") } }
      for round in 0..<150 {
        guard let opcode = opcodes.randomElement(using: &random) else { return }
        let request = Exemplar.request(opcode, reqID: Int64(round), partition: UInt64(thread))
        if caller.ask(request) != Exemplar.reply(to: request) { wrong.withLock { $0.append(request.header.opcode.name) } }
      }
    }
    #expect(wrong.now.isEmpty, "seed \(seed)")
    #expect(seen.now.values.reduce(0) { $0 + $1.count } == 900)
    for (connection, opcodes) in seen.now {
      #expect(Set(opcodes.map { classes[$0] ?? 0 }).count == 1, "connection \(connection): \(opcodes), seed \(seed)")
      if classes[opcodes[0]] == 6 { #expect(opcodes.count == 1, "connection \(connection): \(opcodes), seed \(seed)") }
    }
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 900)
  }
}
