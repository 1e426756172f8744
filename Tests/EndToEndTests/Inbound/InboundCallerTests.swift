import CubeFSWire
import Glibc
import TestBytes
import Testing

/// What callers of the local datanode do: leave, go on with replies unread, read slowly, say goodbye.
@Suite struct InboundCallerTests {
  /// Sends the first part of a stream, and nothing more.
  private static func halfStream() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      if request.header.opcode.rawValue == 0x09 { socket.send(request.block(at: request.header.extentOffset, pattern(1000))) }
      _ = socket.receiveToEnd()
    }
  }

  @Test(arguments: [0x09, 0x07, 0x08, 0x10] as [UInt8])
  func aNewRequestWithRepliesDueIsAResetAndAnAlert(first: UInt8) throws {
    let datanode = try Self.halfStream()
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let seconds: [UInt8] = [0x10, 0x08, 0x03, 0x61]
    for (round, second) in seconds.enumerated() {
      let caller = try StreamSocket(port: sidecar.inboundPort)
      var request = Exemplar.request(first, reqID: 1, partition: 7)
      if first == 0x09 { request.header.size = 3000 }
      caller.send(request)
      if first == 0x09 { #expect(caller.receivePacket() == request.block(at: request.header.extentOffset, pattern(1000))) }
      let next = Exemplar.request(second, reqID: 2, partition: 8)
      caller.send(next)
      let found = caller.receiveToEnd()
      #expect(found.bytes.isEmpty && found.ending == .reset, "\(second)")
      let line = try #require(try sidecar.waitFor("caller.dirty-reuse", count: round + 1).last)
      #expect(line["severity"] == "critical" && line["direction"] == "inbound" && line["callerReqID"] == "1")
      #expect(line["observed"]?.contains(next.header.opcode.name) == true)
    }
    #expect(eventually { datanode.living == 0 })
    let accounting = try sidecar.stop()
    #expect(accounting.started == 2 * seconds.count && accounting.reset == 2 * seconds.count)
  }

  /// PROTOCOL.md section 2: these may have no reply at all.
  @Test func readsOfNothingLeaveTheConnectionUsable() throws {
    let datanode = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        if request.header.opcode.rawValue == 0x10 { socket.send(Exemplar.reply(to: request)) }
      }
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    for round in 0..<3 {
      for opcode: UInt8 in [0x09, 0x15, 0x14, 0x04] {
        var read = Exemplar.request(opcode, reqID: Int64(round), partition: 7)
        if opcode == 0x09 { read.header.size = 0 }
        caller.send(read)
        let next = Exemplar.request(0x10, reqID: Int64(100 + round), partition: 8)
        #expect(caller.ask(next) == Exemplar.reply(to: next))
      }
    }
    let accounting = try sidecar.stop()
    #expect(accounting.noneDue == 12 && accounting.delivered == 12)
  }

  /// It took the end of such a read for granted; what comes all the same would be read as the answer to the next request.
  @Test func aReplyThatWasGivenUpIsNotDelivered() throws {
    let datanode = try ScriptedPeer { socket, _ in
      guard let read = socket.receiveRequest(), socket.receiveRequest() != nil else { return }
      socket.send(Exemplar.reply(to: read))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    caller.send(Exemplar.request(0x14, reqID: 1, partition: 7))
    caller.send(Exemplar.request(0x08, reqID: 2, partition: 7))
    let found = caller.receiveToEnd()
    #expect(found.bytes.isEmpty && found.ending == .reset)
    try sidecar.waitFor("caller.dirty-reuse")
    try sidecar.stop()
  }

  @Test func theReplyTooManyOfASnapshotReadGoesNoFurther() throws {
    let datanode = try ScriptedPeer { socket, _ in
      guard let read = socket.receiveRequest() else { return }
      socket.send(Exemplar.reply(to: read).bytes + read.mutated().bytes)
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let read = Exemplar.request(0x17, reqID: 1, partition: 7)
    #expect(caller.ask(read) == Exemplar.reply(to: read))
    let notify = Exemplar.request(0x08, reqID: 2, partition: 7)
    #expect(caller.ask(notify) == Exemplar.reply(to: notify))
    try sidecar.waitFor("surplus.dropped")
    #expect(try sidecar.stop().delivered == 2)
  }

  /// The rest of a large packet waits for its reader without costing memory; a reader that stands still ends it.
  @Test func aReaderThatStandsStillCostsItsOwnConnection() throws {
    let size = 6 << 20
    let datanode = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        socket.send(request.block(at: request.header.extentOffset, [UInt8](repeating: 7, count: Int(request.header.size))))
      }
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port, sections: ["timeouts: {backPressure: 300ms}"]))
    let caller = try StreamSocket(port: sidecar.inboundPort, receiveBuffer: 16_384)
    caller.send(WirePacket.request(0x05, reqID: 1, size: UInt32(size)))
    #expect(try sidecar.waitFor("caller.reset", reason: "back-pressure").first?["direction"] == "inbound")
    #expect(caller.receiveToEnd().bytes.count < size)
    #expect(eventually { datanode.living == 0 })
    // One that reads slowly gets all of it.
    let slow = try StreamSocket(port: sidecar.inboundPort, receiveBuffer: 65_536)
    let request = WirePacket.request(0x05, reqID: 2, size: 2 << 20)
    slow.send(request)
    let expected = request.block(at: request.header.extentOffset, [UInt8](repeating: 7, count: 2 << 20)).bytes
    var found: [UInt8] = []
    while found.count < expected.count, case let piece = slow.receive(min(256 << 10, expected.count - found.count)),
      piece.ending == .complete
    {
      found += piece.bytes
      _ = poll(nil, 0, 60)
    }
    let isExact = found == expected
    #expect(isExact, "\(found.count) of \(expected.count) bytes")
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 1 && accounting.reset == 1)
  }

  @Test func aHalfClosePassesThroughAndTheAnswersStillCome() throws {
    let ended = Shared(false)
    let datanode = try ScriptedPeer { socket, _ in
      let requests = (0..<3).compactMap { _ in socket.receiveRequest() }
      if socket.receive(1).ending == .end { ended.withLock { $0 = true } }
      for request in requests { socket.send(Exemplar.reply(to: request)) }
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let requests = (0..<3).map { Exemplar.request(0x03, reqID: Int64($0), partition: 7) }
    caller.send(requests.flatMap(\.bytes))
    caller.finishSending()
    for request in requests { #expect(caller.receivePacket() == Exemplar.reply(to: request)) }
    #expect(caller.receive(1).ending == .end)
    #expect(ended.now)
    #expect(try sidecar.stop().delivered == 3)
  }

  @Test(arguments: [true, false]) func aCallerThatLeavesTakesItsConnectionToTheDatanodeWithIt(resets: Bool) throws {
    let datanode = try ScriptedPeer { socket, _ in _ = socket.receiveToEnd() }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port, sections: ["timeouts: {halfClose: 300ms}"]))
    do {
      let caller = try StreamSocket(port: sidecar.inboundPort)
      caller.send(Exemplar.request(0x08, reqID: 1, partition: 7))
      #expect(eventually { datanode.living == 1 })
      if resets { caller.resetOnClose() }
    }
    #expect(eventually { datanode.living == 0 })
    #expect(try sidecar.stop().abandoned == 1)
  }

  @Test func overTheLimitConnectionsAreReset() throws {
    let datanode = try InboundTests.datanode()
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port, inbound: ["maxConnections: 2"]))
    let first = try StreamSocket(port: sidecar.inboundPort)
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    #expect(first.ask(request) == Exemplar.reply(to: request))
    let second = try StreamSocket(port: sidecar.inboundPort)
    #expect(second.ask(request) == Exemplar.reply(to: request))
    #expect(try StreamSocket(port: sidecar.inboundPort).receiveToEnd().ending == .reset)
    #expect(try sidecar.waitFor("connection.refused").first?["reason"] == "connection-limit")
    #expect(first.ask(request) == Exemplar.reply(to: request))
    try sidecar.stop()
  }

  @Test func aStopLetsOperationsFinish() throws {
    let datanode = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        _ = poll(nil, 0, 700)
        socket.send(Exemplar.reply(to: request))
      }
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port, sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
    let metrics = try sidecar.metricsPort()
    #expect(try HTTP.get(metrics, "/readyz").status == 200)
    let idle = try StreamSocket(port: sidecar.inboundPort)
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let request = Exemplar.request(0x03, reqID: 1, partition: 7)
    caller.send(request)
    #expect(eventually { datanode.living == 2 })
    let scrape = Scrape(try HTTP.get(metrics, "/metrics").text)
    #expect(scrape.sum("lanekeeper_inbound_connections") == 2)
    #expect(scrape.sum("lanekeeper_operations_started_total", ["direction": "inbound", "class": "replication"]) == 1)
    sidecar.send(SIGTERM)
    try sidecar.waitFor("process.draining")
    #expect(idle.receive(1).ending == .end)
    #expect(try HTTP.get(metrics, "/readyz").text == "draining\n")
    #expect(throws: (any Error).self) { try StreamSocket(port: sidecar.inboundPort) }
    #expect(caller.receivePacket() == Exemplar.reply(to: request))
    #expect(caller.receive(1).ending == .end)
    #expect(try sidecar.stop().delivered == 1)
  }

  /// A connection takes two descriptors: where accept() finds none, callers wait; where the dial finds none, they are reset.
  @Test func aListenerOutOfDescriptorsIsNotReady() throws {
    let datanode = try ScriptedPeer { socket, _ in _ = socket.receiveToEnd() }
    let sidecar = try Sidecar(
      peers: [datanode.port], .init(datanode: datanode.port, sections: ["metrics: {listen: \"127.0.0.1:0\"}"], shell: "ulimit -n 64"))
    let port = try sidecar.metricsPort()
    var answer: HTTPAnswer?
    for attempt in 1...6 where answer == nil {
      #expect(attempt == 1 || eventually { (try? HTTP.get(port, "/readyz").status) == 200 })
      // One more or less makes the number of those that are left odd.
      let idle = attempt % 2 == 0 ? try StreamSocket(port: sidecar.port) : nil
      let asker = try StreamSocket(port: port)
      asker.send(Array("GET /readyz HTTP/1.1\r\n".utf8))
      #expect(try HTTP.get(port, "/readyz").status == 200)
      let callers = try (0..<100).map { _ in try StreamSocket(port: sidecar.inboundPort) }
      let before = sidecar.log("listener.exhausted").count
      _ = eventually(within: .seconds(2)) { sidecar.log("listener.exhausted").count > before }
      asker.send(Array("\r\n".utf8))
      let found = asker.receiveToEnd().bytes
      let isExhausted = sidecar.log("listener.exhausted").contains { $0["direction"] == "inbound" }
      if isExhausted, !found.isEmpty, case let got = HTTPAnswer(found), got.status == 503 { answer = got }
      withExtendedLifetime((callers, idle)) {}
    }
    #expect(answer?.text == "listener 127.0.0.1:\(sidecar.inboundPort) is not accepting\n", "\(answer?.text ?? "none")")
    #expect(eventually { (try? HTTP.get(port, "/readyz").status) == 200 })
    try sidecar.stop()
  }
}
