import CubeFSWire
import Glibc
import TestBytes
import Testing

/// Operations between two sidecars that speak TLS: what callers and datanodes see is what they see without it.
@Suite struct HopTests {
  private static func strict(_ datanode: ScriptedPeer, _ lines: [String] = []) throws -> Hop {
    try Hop(
      datanode: datanode.port, near: Certificates.section(Certificates.near, outbound: "{mode: strict}", lines),
      far: Certificates.section(Certificates.far, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}", lines))
  }

  @Test func everyOperationUnchanged() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Self.strict(datanode)
    var count = 0
    for opcode in ProtocolTable.answered {
      // A connection each: some classes leave theirs unusable for others.
      let caller = try StreamSocket(port: hop.near.port)
      let request = Exemplar.request(opcode, reqID: Int64(opcode) + 1, partition: UInt64(opcode))
      #expect(caller.ask(request) == Exemplar.reply(to: request), "\(request.header.opcode.name)")
      count += 1
    }
    let accounting = try hop.stop()
    #expect(accounting.delivered == count)
    #expect(hop.near.log("tls.refused").isEmpty && hop.far.log("tls.refused").isEmpty)
    #expect(hop.near.log("tls.loaded").count == 1)
  }

  @Test(arguments: [1, 16_383, 16_384, 16_385, 131_072, 2_400_000]) func payloadsOfEverySizeOfRecord(size: Int) throws {
    let stream = RepairStream(blocks: 3, of: size)
    let datanode = try stream.peer()
    let hop = try Self.strict(datanode)
    let caller = try StreamSocket(port: hop.near.port)
    let request = stream.request(1)
    caller.send(request)
    #expect(stream.isRead(by: caller, request))
    // Onward, a request of one byte after the other.
    let next = Exemplar.request(0x10, reqID: 2, partition: 8)
    let second = try StreamSocket(port: hop.near.port)
    second.send(next.bytes, pieces: 1)
    #expect(second.receivePacket() == Exemplar.reply(to: next))
    let accounting = try hop.stop()
    #expect(accounting.delivered == 2)
  }

  @Test func laneConnectionsAreReusedAndAskedOnlyOnce() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Self.strict(datanode)
    let caller = try StreamSocket(port: hop.near.port)
    for number in 1...50 {
      let request = Exemplar.request(0x10, reqID: Int64(number), partition: 8)
      #expect(caller.ask(request) == Exemplar.reply(to: request))
    }
    #expect(datanode.accepted == 1)
    try hop.stop()
  }

  /// What a stray reply does on a plain connection it does under TLS.
  @Test func aReplyOfAnotherOperationIsDropped() throws {
    let datanode = try StrayReply.peer()
    let hop = try Self.strict(datanode)
    let caller = try StreamSocket(port: hop.near.port)
    let request = Exemplar.request(0x10, reqID: 5, partition: 8)
    let answer = caller.ask(request)
    #expect(answer?.header.resultCode != .ok)
    // The far one finds it first.
    #expect(try !hop.far.waitFor("reply.dropped").isEmpty)
    try hop.stop()
  }

  /// An abandoned repair stream behind TLS: the follow-up on the caller's connection must not take its reply.
  @Test func anAbandonedStreamIsNotReadByTheNextOperation() throws {
    let stream = RepairStream(blocks: 40, of: 100_000)
    let datanode = try stream.peer()
    let hop = try Self.strict(datanode)
    var stale = 0
    for round in 0..<40 {
      let caller = try StreamSocket(port: hop.near.port)
      let request = stream.request(round)
      caller.send(request)
      for reply in stream.replies(to: request).prefix(round % 4) {
        #expect(firstDifference(caller.receive(reply.count).bytes, reply) == nil)
      }
      let next = Exemplar.request(0x10, reqID: 1_000_000 + Int64(round), partition: 9)
      caller.send(next)
      // A faithful caller: whole packets, or an error.
      if let answer = caller.receivePacket(), answer != Exemplar.reply(to: next) { stale += 1 }
    }
    #expect(stale == 0)
    try hop.stop()
  }

  @Test func aPeerKilledInMidReplyIsATruncation() throws {
    let datanode = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      let reply = request.block(at: request.header.extentOffset, pattern(100_000)).bytes
      socket.send(reply.prefix(50_000))
      _ = socket.receiveToEnd()
    }
    let hop = try Self.strict(datanode)
    let caller = try StreamSocket(port: hop.near.port)
    caller.send(WirePacket.request(0x09, reqID: 1, size: 100_000))
    #expect(caller.receive(40_000).ending == .complete)
    hop.far.send(SIGKILL)
    let rest = caller.receiveToEnd()
    #expect(rest.ending == .reset && rest.bytes.count <= 10_057)
    let accounting = try hop.near.stop()
    #expect(accounting.reset == 1)
  }
}
