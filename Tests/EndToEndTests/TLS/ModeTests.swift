import CubeFSWire
import Glibc
import Testing

/// Who may speak plain, who must not, and who is spoken to how.
@Suite struct ModeTests {
  private static let request = Exemplar.request(0x10, reqID: 2, partition: 8)

  private static func isServed(_ port: UInt16) throws -> Bool { try StreamSocket(port: port).ask(request) == Exemplar.reply(to: request) }

  private static func inbound(_ mode: String) -> TLSSection { Certificates.section(Certificates.far, inbound: mode) }
  private static func outbound(_ mode: String, _ lines: [String] = []) -> TLSSection {
    Certificates.section(Certificates.near, outbound: mode, lines)
  }

  @Test func permissiveServesBothAtOnce() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Hop(
      datanode: datanode.port, near: Self.outbound("{mode: strict}"), far: Self.inbound("{mode: permissive}"),
      more: ["metrics: {listen: \"127.0.0.1:0\"}"])
    let wrong = Shared(0)
    let ports = [hop.near.port, hop.far.inboundPort]
    BlockingThread.run(8) { thread in
      for _ in 0..<10 {
        let port = ports[thread % 2]
        if (try? Self.isServed(port)) != true { wrong.withLock { $0 += 1 } }
      }
    }
    #expect(wrong.now == 0)
    let plain = try StreamSocket(port: hop.far.inboundPort)
    #expect(plain.ask(Self.request) != nil)
    let metrics = try hop.far.metricsPort()
    #expect(try HTTP.get(metrics, "/readyz").text.contains("inbound in plain from 127.0.0.1"))
    let scrape = Scrape(try HTTP.get(metrics, "/metrics").text)
    #expect(scrape.sum("lanekeeper_tls_connections_total", ["direction": "inbound", "protocol": "plain"]) == 41)
    #expect(scrape.sum("lanekeeper_tls_connections_total", ["direction": "inbound", "protocol": "tls"]) ?? 0 >= 1)
    try hop.stop()
  }

  /// Who has not yet said which of both it speaks is a caller without an operation like any other.
  @Test func permissiveEndsWhoNeverSaysAnything() throws {
    let datanode = try InboundTests.datanode()
    let far = try Sidecar(
      peers: [], .init(datanode: datanode.port, sections: [Self.inbound("{mode: permissive}").text, "timeouts: {idleCaller: 300ms}"]))
    let caller = try StreamSocket(port: far.inboundPort)
    #expect(caller.isReadable(within: 3000))
    #expect(caller.receiveToEnd() == ([], .end))
    #expect(try Self.isServed(far.inboundPort))
    try far.stop()
  }

  @Test func strictRefusesPlain() throws {
    let datanode = try InboundTests.datanode()
    let far = try Sidecar(
      peers: [], .init(datanode: datanode.port, sections: [Self.inbound("{mode: strict, requireFrom: [127.0.0.0/8]}").text]))
    let caller = try StreamSocket(port: far.inboundPort)
    caller.send(Self.request)
    #expect(caller.receiveToEnd() == ([], .reset))
    let line = try far.waitFor("tls.refused", reason: "tls-required").first
    #expect(line?["direction"] == "inbound" && line?["severity"] == "warning")
    // Whatever else comes is refused as well, in permissive mode, too.
    let other = try StreamSocket(port: far.inboundPort)
    other.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    #expect(other.receiveToEnd().ending == .reset)
    try far.waitFor("tls.refused", reason: "first-byte-unknown")
    #expect(datanode.accepted == 0)
    try far.stop()
  }

  @Test func strictForSomeLeavesOthersPlain() throws {
    let datanode = try InboundTests.datanode()
    let far = try Sidecar(
      peers: [], .init(datanode: datanode.port, sections: [Self.inbound("{mode: strict, requireFrom: [10.0.0.0/8], others: plain}").text]))
    #expect(try Self.isServed(far.inboundPort))
    try far.stop()
    let closed = try Sidecar(
      peers: [], .init(datanode: datanode.port, sections: [Self.inbound("{mode: strict, requireFrom: [10.0.0.0/8], others: refuse}").text]))
    let caller = try StreamSocket(port: closed.inboundPort)
    #expect(caller.receiveToEnd().ending == .reset)
    try closed.waitFor("connection.refused", reason: "tls-source-refused")
    try closed.stop()
  }

  @Test func strictOutboundNeverSpeaksPlain() throws {
    let heard = Shared<[UInt8]>([])
    let peer = try ScriptedPeer { socket, _ in
      let first = socket.receive(1)
      heard.withLock { $0 += first.bytes }
      // As a datanode does that finds a bad magic number.
    }
    let near = try Sidecar(peers: [peer.port], .init(sections: [Self.outbound("{mode: strict}").text]))
    let caller = try StreamSocket(port: near.port)
    #expect(caller.ask(Self.request)?.header.resultCode != .ok)
    #expect(try near.waitFor("tls.refused").first?["reason"] == "tls-lost")
    #expect(Set(heard.now) == [0x16])
    try near.stop()
  }

  @Test func preferFallsBackAndRemembers() throws {
    let hellos = Shared(0)
    let peer = try ScriptedPeer { socket, _ in
      var first: UInt8 = 0
      guard recv(socket.descriptor, &first, 1, Int32(MSG_PEEK)) == 1 else { return }
      if first == 0x16 { return hellos.withLock { $0 += 1 } }
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
    let near = try Sidecar(
      peers: [peer.port], .init(sections: [Self.outbound("{mode: prefer}").text, "metrics: {listen: \"127.0.0.1:0\"}"]))
    for _ in 0..<3 { #expect(try Self.isServed(near.port)) }
    // Of another class: another connection.
    let delete = Exemplar.request(0x0A, reqID: 4, partition: 8)
    #expect(try StreamSocket(port: near.port).ask(delete) == Exemplar.reply(to: delete))
    #expect(hellos.now == 1)
    let line = try near.waitFor("tls.downgraded").first
    #expect(line?["severity"] == "warning" && line?["peer"] == "127.0.0.1:\(peer.port)")
    #expect(try HTTP.get(try near.metricsPort(), "/readyz").text == "ok\noutbound in plain to 127.0.0.1:\(peer.port)\n")
    try near.stop()
  }

  /// It answers the hello in TLS, and dies: that is no server without TLS.
  @Test func preferDoesNotFallBackFromAHandshakeThatHasBegun() throws {
    let plain = Shared(0)
    let peer = try ScriptedPeer { socket, _ in
      guard socket.receive(1).bytes.first == 0x16 else { return plain.withLock { $0 += 1 } }
      socket.send([0x16, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3])
    }
    let near = try Sidecar(peers: [peer.port], .init(sections: [Self.outbound("{mode: prefer}").text]))
    #expect(try StreamSocket(port: near.port).ask(Self.request)?.header.resultCode != .ok)
    #expect(try near.waitFor("tls.refused").first?["reason"] == "tls-lost")
    #expect(near.log("tls.downgraded").isEmpty && plain.now == 0)
    try near.stop()
  }

  @Test func preferSpeaksTLSWhereItIsSpoken() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Hop(
      datanode: datanode.port, near: Self.outbound("{mode: prefer}"), far: Self.inbound("{mode: strict, requireFrom: [127.0.0.0/8]}"))
    #expect(try Self.isServed(hop.near.port))
    #expect(hop.near.log("tls.downgraded").isEmpty)
    try hop.stop()
  }

  /// The sidecar's port is another one than the datanode's.
  @Test func anotherPortAndRulesByAddress() throws {
    let datanode = try InboundTests.datanode()
    let far = try Sidecar(
      peers: [], .init(datanode: datanode.port, sections: [Self.inbound("{mode: strict, requireFrom: [127.0.0.0/8]}").text]))
    let rule = "{mode: off, peers: [{prefix: 127.0.0.0/8, mode: strict, port: \(far.inboundPort), peerName: address}]}"
    let near = try Sidecar(peers: [datanode.port], .init(sections: [Self.outbound(rule).text]))
    #expect(try Self.isServed(near.port))
    #expect(far.log("accounting").isEmpty)
    try near.stop()
    #expect(try far.stop().delivered == 1)
  }
}
