import Glibc
import TestBytes
import Testing

/// Raft's ports: bytes, and nothing else.
@Suite struct TunnelTests {
  /// On its first connection the caller ends first, and the peer answers after that end; on others the other way round.
  static func halfClosingPeer(_ download: [UInt8], _ got: Shared<[[UInt8]]>) throws -> ScriptedPeer {
    try ScriptedPeer { socket, number in
      if number == 0 {
        got.withLock { $0.append(socket.receiveToEnd().bytes) }
        socket.send(download)
      } else {
        socket.send(download)
        socket.finishSending()
        got.withLock { $0.append(socket.receiveToEnd().bytes) }
      }
    }
  }

  @Test func bytesBothWaysWithHalfCloseInBothDirections() throws {
    let size = 2 << 20
    let upload = pattern(size, seed: 1)
    let download = pattern(size + 77, seed: 2)
    let got = Shared<[[UInt8]]>([])
    let peer = try Self.halfClosingPeer(download, got)
    let sidecar = try Sidecar(peers: [], .init(tunnels: [peer.port], sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
    let metrics = try sidecar.metricsPort()
    let first = try StreamSocket(port: sidecar.tunnelPorts[0])
    #expect(first.send(upload))
    first.finishSending()
    let firstIsExact = first.receiveToEnd() == (download, .end)
    #expect(firstIsExact)
    let second = try StreamSocket(port: sidecar.tunnelPorts[0])
    let secondIsExact = second.receiveToEnd() == (download, .end)
    #expect(secondIsExact)
    #expect(second.send(upload))
    second.finishSending()
    #expect(eventually { got.now.count == 2 })
    let uploadsAreExact = got.now == [upload, upload]
    #expect(uploadsAreExact)
    let ended = try sidecar.waitFor("tunnel.ended", count: 2)
    #expect(ended.allSatisfy { $0["direction"] == "tunnel" && $0["detail"] == "\(size) bytes to the peer, \(size + 77) from it" })
    let scrape = Scrape(try HTTP.get(metrics, "/metrics").text)
    #expect(scrape.sum("lanekeeper_tunnel_bytes_total", ["toward": "peer"]) == Double(2 * size))
    #expect(scrape.sum("lanekeeper_tunnel_bytes_total", ["toward": "caller"]) == Double(2 * size + 154))
    #expect(scrape.sum("lanekeeper_tunnel_connections_opened_total") == 2)
    #expect(scrape.sum("lanekeeper_tunnel_connections") == 0)
    try sidecar.stop()
  }

  @Test func aSlowReaderHoldsUpItsOwnConnectionOnly() throws {
    let all = [UInt8](repeating: 0x5A, count: 24 << 20)
    let peer = try ScriptedPeer { socket, _ in socket.send(all) }
    let sidecar = try Sidecar(peers: [], .init(tunnels: [peer.port, peer.port], sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
    let slow = try StreamSocket(port: sidecar.tunnelPorts[0], receiveBuffer: 16_384)
    let quick = try StreamSocket(port: sidecar.tunnelPorts[1])
    let quickIsExact = quick.receiveToEnd().bytes == all
    #expect(quickIsExact)
    let scrape = Scrape(try HTTP.get(try sidecar.metricsPort(), "/metrics").text)
    #expect(scrape.sum("lanekeeper_tunnel_connections", ["listen": "127.0.0.1:\(sidecar.tunnelPorts[0])"]) == 1)
    #expect((scrape.sum("process_resident_memory_bytes") ?? 1e9) < 64e6)
    let slowIsExact = slow.receiveToEnd().bytes == all
    #expect(slowIsExact)
    try sidecar.stop()
  }

  @Test func aPeerThatIsDownIsAReset() throws {
    let short = try ScriptedPeer { _, _ in }
    short.stop()
    let sidecar = try Sidecar(peers: [], .init(tunnels: [short.port]))
    #expect(try StreamSocket(port: sidecar.tunnelPorts[0]).receiveToEnd().ending == .reset)
    #expect(try sidecar.waitFor("tunnel.ended").first?["reason"] == "dial-failed")
    try sidecar.stop()
  }

  @Test func connectionsOverTheLimitAreReset() throws {
    let peer = try ScriptedPeer { socket, _ in _ = socket.receiveToEnd() }
    let sidecar = try Sidecar(peers: [], .init(tunnels: [peer.port], sections: ["limits: {maxConnections: 1}"]))
    let first = try StreamSocket(port: sidecar.tunnelPorts[0])
    #expect(eventually { peer.living == 1 })
    #expect(try StreamSocket(port: sidecar.tunnelPorts[0]).receiveToEnd().ending == .reset)
    #expect(try sidecar.waitFor("tunnel.ended").first?["reason"] == "connection-limit")
    #expect(first.send([1]))
    // A stop does not wait for what has no end of its own.
    try sidecar.stop(deadline: .seconds(5))
    #expect(first.receiveToEnd().ending == .reset)
    #expect(sidecar.log("tunnel.ended", reason: "shutdown").count == 1)
  }
}
