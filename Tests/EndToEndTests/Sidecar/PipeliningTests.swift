import CubeFSWire
import TestBytes
import Testing

/// Callers that send many requests and match the replies themselves: PROTOCOL.md section 3, DESIGN.md G6.
@Suite struct PipeliningTests {
  @Test func threeHundredInFlightKeepTheirOrderAndAClassChangeWaits() throws {
    let depth = 300
    let seen = Shared<[[UInt8]]>([])
    let peer = try ScriptedPeer { socket, connection in
      seen.withLock { $0.append([]) }
      var waiting: [WirePacket] = []
      while let request = socket.receiveRequest() {
        seen.withLock { $0[connection].append(request.header.opcode.rawValue) }
        waiting.append(request)
        // Only when all of a class are here: so that they were in flight together.
        if waiting.count == depth {
          for request in waiting { socket.send(Exemplar.reply(to: request)) }
          waiting = []
        }
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let replication: [UInt8] = [0x01, 0x03, 0x13]
    let deletion: [UInt8] = [0x02, 0x75]
    var requests = (0..<depth).map { Exemplar.request(replication[$0 % 3], reqID: Int64(1000 - $0), partition: UInt64($0)) }
    requests += (0..<depth).map { Exemplar.request(deletion[$0 % 2], reqID: Int64($0), partition: UInt64($0)) }
    #expect(caller.send(requests.flatMap(\.bytes)))
    for request in requests {
      let reply = caller.receivePacket()
      #expect(reply == Exemplar.reply(to: request))
      if reply != Exemplar.reply(to: request) { break }
    }
    #expect(seen.now.count == 2)
    #expect(seen.now.first == (0..<depth).map { replication[$0 % 3] })
    #expect(seen.now.last == (0..<depth).map { deletion[$0 % 2] })
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 2 * depth)
  }

  /// PROTOCOL.md section 6, number 1: an error found in preparation overtakes everything and stops the connection.
  @Test(arguments: [0, 3, 10]) func anOvertakingErrorIsRelayedAndTheRestEnd(answered: Int) throws {
    let peer = try ScriptedPeer { socket, connection in
      guard connection == 0 else {
        while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
        return
      }
      let requests = (0..<10).compactMap { _ in socket.receiveRequest() }
      guard let last = requests.last else { return }
      socket.send(last.mutated(Array("prepare_crc mismatch".utf8), result: 0xF4))
      for request in requests.prefix(min(answered, 9)) { socket.send(Exemplar.reply(to: request)) }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let requests = (0..<10).map { Exemplar.request(0x03, reqID: Int64($0), partition: 7) }
    caller.send(requests.flatMap(\.bytes))
    #expect(caller.receivePacket() == requests[9].mutated(Array("prepare_crc mismatch".utf8), result: 0xF4))
    for (index, request) in requests.dropLast().enumerated() {
      let reply = caller.receivePacket()
      if index < answered {
        #expect(reply == Exemplar.reply(to: request))
      } else {
        #expect(reply?.isErrorReply(to: request) == true)
      }
    }
    // The caller's connection stays of use, the doomed one behind it is not.
    let next = Exemplar.request(0x03, reqID: 77, partition: 7)
    #expect(caller.ask(next) == Exemplar.reply(to: next))
    #expect(peer.accepted == 2)
    let accounting = try sidecar.stop()
    #expect(accounting.started == 11 && accounting.delivered == 1 + min(answered, 9))
    #expect(accounting.errorReply == 10 - min(answered, 9))
  }

  @Test func aStrayReplyFailsAllInFlightInOrder() throws {
    let peer = try ScriptedPeer { socket, connection in
      guard connection == 0 else {
        while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
        return
      }
      StrayReply.serve(socket)
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    StrayReply.expectTheRestToFail(caller)
    let next = Exemplar.request(0x03, reqID: 77, partition: 7)
    #expect(caller.ask(next) == Exemplar.reply(to: next))
    #expect(try sidecar.waitFor("reply.dropped").first?["reason"] == "stamp-unknown")
    let accounting = try sidecar.stop()
    #expect(accounting.started == 21 && accounting.delivered == 6 && accounting.errorReply == 15)
  }

  @Test func anOKReplyOutOfOrderFailsAllInFlight() throws {
    let peer = try ScriptedPeer { socket, _ in
      let requests = (0..<4).compactMap { _ in socket.receiveRequest() }
      guard requests.count == 4 else { return }
      for index in [0, 2, 1, 3] { socket.send(Exemplar.reply(to: requests[index])) }
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let requests = (0..<4).map { Exemplar.request(0x03, reqID: Int64($0), partition: 7) }
    caller.send(requests.flatMap(\.bytes))
    #expect(caller.receivePacket() == Exemplar.reply(to: requests[0]))
    for request in requests.dropFirst() { #expect(caller.receivePacket()?.isErrorReply(to: request) == true) }
    #expect(try sidecar.waitFor("reply.dropped").first?["reason"] == "reply-out-of-order")
    try sidecar.stop()
  }

  /// Errors with their texts in pieces: while one passes through, those before it leave the list.
  @Test func answersInPiecesAreEachTheirOwn() throws {
    let depth = 60
    let answer: @Sendable (WirePacket) -> WirePacket = { request in
      request.mutated(pattern(300 + Int(request.header.partitionID), seed: 3), result: request.header.partitionID % 3 == 0 ? 0xF5 : 0xF9)
    }
    let peer = try ScriptedPeer { socket, _ in
      let requests = (0..<depth).compactMap { _ in socket.receiveRequest() }
      socket.send(requests.flatMap { answer($0).bytes }, pieces: 97)
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let requests = (0..<depth).map { Exemplar.request(0x13, reqID: Int64($0), partition: UInt64($0)) }
    caller.send(requests.flatMap(\.bytes))
    #expect(requests.allSatisfy { caller.receivePacket() == answer($0) })
    let accounting = try sidecar.stop()
    #expect(accounting.errorReply == depth)
  }
}
