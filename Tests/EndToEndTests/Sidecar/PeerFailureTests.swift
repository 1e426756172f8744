import CubeFSWire
import Glibc
import Testing

/// Peers that are not there, come back, or close.
@Suite struct PeerFailureTests {
  /// A port on which nobody listens.
  private static func freePort() throws -> UInt16 {
    let peer = try ScriptedPeer { _, _ in }
    defer { peer.stop() }
    return peer.port
  }

  @Test func aPeerThatIsDownIsRefusedAtOnceAndServedWhenItIsBack() throws {
    let port = try Self.freePort()
    let sidecar = try Sidecar(peers: [port], .init(outbound: ["backOff:", "  initial: 300ms", "  maximum: 300ms"]))
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x10, reqID: 9, partition: 7)
    let start = ContinuousClock.now
    let refusal = try #require(caller.ask(request))
    #expect(refusal.isErrorReply(to: request))
    #expect(ContinuousClock.now - start < .seconds(1))
    #expect(try sidecar.waitFor("peer.down").first?["reason"] == "dial-failed")
    // 08 looks at nothing: it would take an error reply for success.
    caller.send(Exemplar.request(0x08, reqID: 10, partition: 7))
    #expect(caller.receiveToEnd().ending == .reset)
    // In the back-off a new connection is reset: a caller's pool must not take the sidecar for a live peer.
    let probe = try StreamSocket(port: sidecar.port)
    let found = probe.receiveToEnd()
    #expect(found.ending == .reset && found.bytes.isEmpty)
    #expect(try sidecar.waitFor("connection.refused").first?["reason"] == "peer-back-off")

    let peer = try ScriptedPeer(port: port) { socket, _ in
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
    #expect(
      eventually {
        guard let caller = try? StreamSocket(port: sidecar.port) else { return false }
        return caller.ask(request) == Exemplar.reply(to: request)
      })
    try sidecar.waitFor("peer.up")
    peer.stop()
    try sidecar.stop()
  }

  @Test func aCallersPoolOfConnectionsCostsNoUpstreamUntilItAsks() throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let pool = try (0..<5).map { _ in try StreamSocket(port: sidecar.port) }
    let request = Exemplar.request(0x10, reqID: 9, partition: 7)
    #expect(pool[4].ask(request) == Exemplar.reply(to: request))
    #expect(peer.accepted == 1)
    for caller in pool { #expect(caller.ask(request) == Exemplar.reply(to: request)) }
    #expect(peer.accepted == 1)
    try sidecar.stop()
  }

  @Test func aConnectionThatThePeerClosedWhileIdleIsReplacedSilently() throws {
    let peer = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      socket.send(Exemplar.reply(to: request))
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    for round in 0..<20 {
      let request = Exemplar.request(0x10, reqID: Int64(round), partition: 7)
      #expect(caller.ask(request) == Exemplar.reply(to: request))
      #expect(eventually { peer.living == 0 })
    }
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 20)
  }

  @Test func aReplyOutOfTheBlueIsNotGivenToTheNextOperation() throws {
    let goOn = Shared(0)
    let peer = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      socket.send(Exemplar.reply(to: request))
      _ = eventually { goOn.now == 2 }
      socket.send(Exemplar.reply(to: request))
      goOn.withLock { $0 = 3 }
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    #expect(caller.ask(request) == Exemplar.reply(to: request))
    goOn.withLock { $0 = 2 }
    #expect(eventually { goOn.now == 3 })
    let line = try #require(try sidecar.waitFor("reply.unsolicited").first)
    #expect(line["severity"] == "critical" && line["observed"]?.contains("OpGetAppliedId") == true)
    #expect(!caller.isReadable(within: 20))
    #expect(eventually { peer.living == 0 })
    try sidecar.stop()
  }
}
