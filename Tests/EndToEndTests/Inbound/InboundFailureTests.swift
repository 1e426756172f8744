import CubeFSWire
import Glibc
import TestBytes
import Testing

/// What a caller sees where its datanode fails, answers wrongly, or does not answer.
@Suite struct InboundFailureTests {
  @Test func aDatanodeThatIsDownIsAReset() throws {
    let port = try { () throws -> UInt16 in
      let short = try InboundTests.datanode()
      short.stop()
      return short.port
    }()
    let sidecar = try Sidecar(peers: [], .init(datanode: port))
    for _ in 0..<3 {
      let caller = try StreamSocket(port: sidecar.inboundPort)
      // Before a byte was sent: it need not wait for an answer that cannot come.
      #expect(caller.receiveToEnd().ending == .reset)
    }
    let refused = try sidecar.waitFor("connection.refused", count: 3)
    #expect(refused.allSatisfy { $0["reason"] == "dial-failed" && $0["direction"] == "inbound" && $0["severity"] == "warning" })
    #expect(sidecar.log("peer.down").count == 1)
    let datanode = try ScriptedPeer(port: port) { socket, _ in
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    #expect(caller.ask(request) == Exemplar.reply(to: request))
    try sidecar.waitFor("peer.up")
    datanode.stop()
    try sidecar.stop()
  }

  @Test func aDatanodeThatDiesInAReplyIsAReset() throws {
    let datanode = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      socket.send(Array(request.block(at: request.header.extentOffset, pattern(100_000)).bytes.prefix(50_000)))
      // The end of the process: an orderly end for the kernel, in the middle of a packet.
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let request = WirePacket.request(0x05, reqID: 1, size: 100_000)
    caller.send(request)
    let found = caller.receiveToEnd()
    #expect(found.ending == .reset && found.bytes.count <= 50_000)
    #expect(request.block(at: request.header.extentOffset, pattern(100_000)).bytes.starts(with: found.bytes))
    #expect(try sidecar.waitFor("caller.reset").first?["reason"] == "upstream-truncated")
    #expect(try sidecar.stop().reset == 1)
  }

  /// Between two replies: what the datanode did, its caller sees, and what was answered before is not lost.
  @Test func aDatanodeThatClosesEndsTheCallersConnection() throws {
    let datanode = try ScriptedPeer { socket, _ in
      let requests = (0..<3).compactMap { _ in socket.receiveRequest() }
      guard let first = requests.first else { return }
      socket.send(Exemplar.reply(to: first))
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let requests = (0..<3).map { Exemplar.request(0x03, reqID: Int64($0), partition: 7) }
    caller.send(requests.flatMap(\.bytes))
    #expect(caller.receivePacket() == Exemplar.reply(to: requests[0]))
    #expect(caller.receive(1).ending == .end)
    // A further request is not met with silence.
    caller.send(requests[1])
    #expect(eventually(within: .seconds(3)) { !caller.send(requests[1]) })
    #expect(try sidecar.waitFor("datanode.closed").first?["reason"] == "upstream-closed")
    let accounting = try sidecar.stop()
    #expect(accounting.started == 3 && accounting.delivered == 1 && accounting.reset == 2)
  }

  /// PROTOCOL.md section 2: after an error reply the server swallows one packet, then closes.
  @Test func theEndAfterAnErrorReplyIsPassedOn() throws {
    let datanode = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      socket.send(request.mutated(Array("operate_no such extent".utf8), result: 0xF5))
      _ = socket.receiveRequest()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let request = Exemplar.request(0x03, reqID: 1, partition: 7)
    #expect(caller.ask(request) == request.mutated(Array("operate_no such extent".utf8), result: 0xF5))
    #expect(!caller.isReadable(within: 50))
    caller.send(request)
    #expect(caller.receive(1).ending == .end)
    #expect(try sidecar.waitFor("datanode.closed").first?["reason"] == "error-reply")
    let accounting = try sidecar.stop()
    #expect(accounting.errorReply == 1 && accounting.reset == 1)
  }

  /// What is wrong with a reply.
  enum Fault: String, CaseIterable, Sendable {
    case otherReqID, otherPartition, otherOpcode, otherOffset, noResult, garbage, surplus

    func wrong(_ reply: WirePacket, to request: WirePacket) -> [UInt8] {
      var reply = reply
      switch self {
      case .otherReqID: reply.header.reqID ^= 1 << 33
      case .otherPartition: reply.header.partitionID ^= 1
      case .otherOpcode: reply.header.opcode = Opcode(request.header.opcode.rawValue == 0x0A ? 0x10 : 0x0A)
      case .otherOffset: reply.header.extentOffset ^= 4096
      case .noResult: reply.header.resultCode = ResultCode(0)
      case .garbage: return [UInt8](repeating: 0x41, count: 57)
      case .surplus: return reply.bytes + reply.bytes
      }
      return reply.bytes
    }
  }

  @Test(arguments: Fault.allCases) func aWrongReplyIsDroppedWithAnAlert(fault: Fault) throws {
    let datanode = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      socket.send(fault.wrong(Exemplar.reply(to: request), to: request))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    var dropped = 0
    for opcode: UInt8 in [0x03, 0x02, 0x05, 0x07, 0x08, 0x09, 0x0A, 0x10, 0x61, 0x66] {
      let caller = try StreamSocket(port: sidecar.inboundPort)
      let request = Exemplar.request(opcode, reqID: 77, partition: 7)
      caller.send(request)
      // 66 answers with the partition of its JSON.
      if opcode == 0x66 && fault == .otherPartition {
        #expect(caller.receivePacket()?.header.partitionID == 6)
        continue
      }
      let found = caller.receiveToEnd()
      if fault == .surplus {
        #expect(found.bytes == Exemplar.reply(to: request).bytes && found.ending == .reset, "\(opcode)")
      } else if ProtocolTable.mustReset(opcode) || opcode == 0x09 {
        #expect(found.bytes.isEmpty && found.ending == .reset, "\(opcode)")
      } else {
        let own = StreamSocket.packet(found.bytes)
        #expect(own?.isErrorReply(to: request) == true && found.bytes == own?.bytes && found.ending == .end, "\(opcode)")
      }
      dropped += 1
      let line = try sidecar.waitFor(fault == .surplus ? "reply.unsolicited" : "reply.dropped", count: dropped).last
      #expect(line?["severity"] == "critical" && line?["direction"] == "inbound")
      #expect(fault == .surplus || line?["callerReqID"] == "77")
    }
    #expect(eventually { datanode.living == 0 })
    try sidecar.stop()
  }

  @Test(arguments: [400, 100_000]) func aPayloadThatIsNotWhatItsCRCSaysIsNotCompleted(size: Int) throws {
    let datanode = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      var reply = request.block(at: request.header.extentOffset, pattern(size)).bytes
      reply[reply.count - 100] ^= 1
      // So that its caller has seen some of it, where it is large.
      socket.send(reply.prefix(size / 2))
      if size > 1000 { _ = poll(nil, 0, 300) }
      socket.send(reply.dropFirst(size / 2))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let request = WirePacket.request(0x05, reqID: 1, size: UInt32(size))
    caller.send(request)
    let found = caller.receiveToEnd()
    if size > 1000 {
      #expect(!found.bytes.isEmpty)
      #expect(found.ending == .reset && found.bytes.count < size + 57)
    } else {
      // It came in two pieces, which may be read together: nothing of it, or not all of it.
      let isError = StreamSocket.packet(found.bytes)?.isErrorReply(to: request) == true
      #expect(isError || (found.ending == .reset && found.bytes.count < size + 57))
    }
    #expect(try sidecar.waitFor("reply.dropped").first?["reason"] == "payload-crc")
    try sidecar.stop()
  }

  @Test func observeModeTellsAndForwards() throws {
    let datanode = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        socket.send(Exemplar.reply(to: request).with(reqID: request.header.reqID + 1))
      }
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port, sections: ["judge: {mode: observe}"]))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    for opcode: UInt8 in [0x03, 0x10, 0x07, 0x61] {
      let request = Exemplar.request(opcode, reqID: 5, partition: 7)
      #expect(caller.ask(request) == Exemplar.reply(to: request).with(reqID: 6))
    }
    let lines = try sidecar.waitFor("reply.observed", count: 4)
    #expect(lines.allSatisfy { $0["direction"] == "inbound" && $0["reason"] == "stamp-unknown" && $0["severity"] == "warning" })
    #expect(try sidecar.stop().delivered == 4)
  }

  /// All in flight end in order, and then the connection.
  @Test func aStrayReplyFailsAllInFlightInOrder() throws {
    let datanode = try ScriptedPeer { socket, _ in StrayReply.serve(socket) }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    StrayReply.expectTheRestToFail(caller)
    #expect(caller.receive(1).ending == .end)
    let accounting = try sidecar.stop()
    #expect(accounting.started == 20 && accounting.delivered == 5 && accounting.errorReply == 15)
  }
}

extension StreamSocket {
  /// The one packet that those bytes are.
  static func packet(_ bytes: [UInt8]) -> WirePacket? {
    var pair: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0 else { return nil }
    let (near, far) = (StreamSocket(owning: pair[0]), StreamSocket(owning: pair[1]))
    near.send(bytes)
    near.finishSending()
    return far.receivePacket()
  }
}
