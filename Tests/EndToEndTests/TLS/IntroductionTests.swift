import CertificateTestSupport
import CubeFSWire
import Glibc
import Testing

/// Between two sidecars one operation has one id in both logs, and the far one knows for whom a connection was made.
@Suite struct IntroductionTests {
  private static func hop(_ datanode: ScriptedPeer, isTLS: Bool = true) throws -> Hop {
    try Hop(
      datanode: datanode.port, near: isTLS ? Certificates.section(Certificates.near, outbound: "{mode: strict}") : nil,
      far: isTLS ? Certificates.section(Certificates.far, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}") : nil, level: "debug")
  }

  /// Callers one after the other and at once, of several classes, some on connections that were dialled for others.
  private static func work(_ hop: Hop) throws -> Int {
    let near = hop.near.port
    let wrong = Shared(0)
    let opcodes = [0x10, 0x0A, 0x09, 0x66] as [UInt8]
    for round in 0..<2 {
      BlockingThread.run(4) { thread in
        guard let caller = try? StreamSocket(port: near) else { return wrong.withLock { $0 += 1 } }
        for number in 0..<5 {
          let request = Exemplar.request(opcodes[thread], reqID: Int64(number - 2), partition: UInt64(round * 4 + thread))
          if caller.ask(request) != Exemplar.reply(to: request) { wrong.withLock { $0 += 1 } }
        }
      }
    }
    #expect(wrong.now == 0)
    return 2 * 4 * 5
  }

  @Test func everyOperationHasOneIDInBothLogs() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Self.hop(datanode)
    let count = try Self.work(hop)
    let near = try hop.near.waitFor("operation.finished", count: count)
    let far = try hop.far.waitFor("operation.finished", count: count)
    func ids(_ lines: [LogLine]) -> [String] { lines.compactMap { $0["operation"] } }
    #expect(Set(ids(near)) == Set(ids(far)) && Set(ids(near)).count == count)
    // What the operation was is the same, too.
    let different = far.filter { line in
      let other = near.first { $0["operation"] == line["operation"] }
      return line["callerReqID"] != line["stamp"]
        || ["stamp", "opcode", "partition", "class"].contains { line[$0] == nil || line[$0] != other?[$0] }
    }
    #expect(different.isEmpty, "\(different.count) lines of \(count), the first one \(different.first?.text ?? "")")
    // All that goes through a connection has the caller as its origin for whom it was dialled: the first one.
    let callers = Dictionary(near.map { ($0["operation"] ?? "", $0["caller"] ?? "") }) { first, _ in first }
    for (connection, lines) in Dictionary(grouping: far, by: { $0["connection"] ?? "" }) {
      let origin = lines[0]["origin"]
      #expect(origin != nil && origin == callers[lines[0]["operation"] ?? ""], "connection \(connection)")
      #expect(lines.allSatisfy { $0["origin"] == origin && $0["caller"] != origin })
    }
    let accounting = try hop.stop()
    #expect(accounting.delivered == count)
    #expect(hop.near.log("tls.refused").isEmpty && hop.far.log("tls.refused").isEmpty)
    // No caller of its own stands behind the near one.
    #expect(hop.near.log("operation.finished").allSatisfy { $0["origin"] == nil })
  }

  /// The far one drops a reply, the near one's caller gets an error: both tell it under one id.
  @Test func aFailureHasOneIDInBothLogs() throws {
    let datanode = try StrayReply.peer()
    let hop = try Self.hop(datanode)
    let caller = try StreamSocket(port: hop.near.port)
    #expect(caller.ask(Exemplar.request(0x10, reqID: 5, partition: 8))?.header.resultCode != .ok)
    let dropped = try #require(try hop.far.waitFor("reply.dropped").first)
    let failed = try #require(try hop.far.waitFor("operation.failed").first)
    let finished = try #require(try hop.near.waitFor("operation.finished").first)
    #expect(finished["outcome"] == "errorReply" && finished["operation"] != nil)
    #expect(dropped["operation"] == finished["operation"] && failed["operation"] == finished["operation"])
    #expect(dropped["origin"] == finished["caller"])
    try hop.stop()
  }

  /// Without TLS nobody is known who could be believed: every sidecar has ids of its own.
  @Test func withoutTLSNothingIsTold() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Self.hop(datanode, isTLS: false)
    let count = try Self.work(hop)
    let near = try hop.near.waitFor("operation.finished", count: count).compactMap { $0["operation"] }
    let far = try hop.far.waitFor("operation.finished", count: count)
    #expect(Set(near).isDisjoint(with: far.compactMap { $0["operation"] }))
    #expect(far.allSatisfy { $0["origin"] == nil })
    try hop.stop()
  }

  // MARK: Tunnels

  /// A caller's bytes and an answer through a tunnel, to the last of them.
  private static func exchange(_ port: UInt16) throws {
    let caller = try StreamSocket(port: port)
    caller.send(Array("ping".utf8))
    caller.finishSending()
    let isExact = caller.receiveToEnd() == (Array("pong".utf8), .end)
    #expect(isExact)
  }

  private static func peer(_ got: Shared<[[UInt8]]>) throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      got.withLock { $0.append(socket.receiveToEnd().bytes) }
      socket.send(Array("pong".utf8))
    }
  }

  @Test func aTunnelTellsForWhomItIs() throws {
    let got = Shared<[[UInt8]]>([])
    let peer = try Self.peer(got)
    let (near, far) = try TunnelTLSTests.pair(peer.port)
    try Self.exchange(near.tunnelPorts[0])
    let nearLine = try #require(try near.waitFor("tunnel.ended").first)
    let farLine = try #require(try far.waitFor("tunnel.ended").first)
    #expect(farLine["origin"] != nil && farLine["origin"] == nearLine["caller"] && farLine["caller"] != nearLine["caller"])
    #expect(nearLine["origin"] == nil)
    // The header is nobody's bytes.
    for line in [nearLine, farLine] { #expect(line["detail"] == "4 bytes to the peer, 4 from it") }
    #expect(got.now == [Array("ping".utf8)])
    try near.stop()
    try far.stop()
  }

  @Test func aTunnelToSomebodyElsesTLSSendsNoHeader() throws {
    let got = Shared<[[UInt8]]>([])
    let peer = try Self.peer(got)
    let stunnel = try Stunnel(isClient: false, identity: Certificates.far, authorities: Certificates.pki.caFile, connect: peer.port)
    let near = try Sidecar(
      peers: [], .init(tunnels: [stunnel.port], tunnelTLS: "connect", sections: [Certificates.section(Certificates.near).text]))
    try Self.exchange(near.tunnelPorts[0])
    #expect(got.now == [Array("ping".utf8)])
    try near.stop()
  }

  @Test func aTunnelFromSomebodyElsesTLSWantsNoHeader() throws {
    let got = Shared<[[UInt8]]>([])
    let peer = try Self.peer(got)
    let far = try Sidecar(
      peers: [], .init(tunnels: [peer.port], tunnelTLS: "accept", sections: [Certificates.section(Certificates.far).text]))
    let stunnel = try Stunnel(
      isClient: true, identity: Certificates.near, authorities: Certificates.pki.caFile, connect: far.tunnelPorts[0])
    try Self.exchange(stunnel.port)
    #expect(got.now == [Array("ping".utf8)])
    #expect(try far.waitFor("tunnel.ended").allSatisfy { $0["origin"] == nil })
    try far.stop()
  }
}
