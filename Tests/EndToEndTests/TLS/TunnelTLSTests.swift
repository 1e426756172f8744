import Glibc
import TestBytes
import Testing

/// Raft's ports through TLS between two tunnels.
@Suite struct TunnelTLSTests {
  static func pair(_ target: UInt16) throws -> (near: Sidecar, far: Sidecar) {
    let far = try Sidecar(
      peers: [], .init(tunnels: [target], tunnelTLS: "accept", sections: [Certificates.section(Certificates.far).text]))
    let near = try Sidecar(
      peers: [], .init(tunnels: [far.tunnelPorts[0]], tunnelTLS: "connect", sections: [Certificates.section(Certificates.near).text]))
    return (near, far)
  }

  @Test func bytesBothWaysWithHalfCloseInBothDirections() throws {
    let upload = pattern(2 << 20, seed: 1)
    let download = pattern((2 << 20) + 77, seed: 2)
    let got = Shared<[[UInt8]]>([])
    let peer = try TunnelTests.halfClosingPeer(download, got)
    let (near, far) = try Self.pair(peer.port)
    let first = try StreamSocket(port: near.tunnelPorts[0])
    #expect(first.send(upload))
    first.finishSending()
    let (bytes, ending) = first.receiveToEnd()
    #expect(firstDifference(bytes, download) == nil && ending == .end)
    let second = try StreamSocket(port: near.tunnelPorts[0])
    let (others, otherEnding) = second.receiveToEnd()
    #expect(firstDifference(others, download) == nil && otherEnding == .end)
    #expect(second.send(upload))
    second.finishSending()
    #expect(eventually { got.now.count == 2 })
    #expect(got.now.allSatisfy { firstDifference($0, upload) == nil })
    try near.waitFor("tunnel.ended", count: 2)
    try far.waitFor("tunnel.ended", count: 2)
    #expect(near.log("tunnel.ended").allSatisfy { $0["reason"] == nil } && far.log("tunnel.ended").allSatisfy { $0["reason"] == nil })
    try near.stop()
    try far.stop()
  }

  @Test func whoSpeaksPlainToItIsRefused() throws {
    let peer = try ScriptedPeer { _, _ in }
    let (near, far) = try Self.pair(peer.port)
    for bytes in [[0xFF, 1, 2, 3], [0x00, 0x01]] as [[UInt8]] {
      let caller = try StreamSocket(port: far.tunnelPorts[0])
      caller.send(bytes)
      #expect(caller.receiveToEnd().ending == .reset)
    }
    let line = try far.waitFor("tls.refused", count: 2).last
    #expect(line?["direction"] == "tunnel")
    #expect(peer.accepted == 0)
    try near.stop()
    try far.stop()
  }

  /// Its own handshake is over before the far end has looked at its certificate.
  @Test func aNearEndThatIsNotAllowedLearnsOfIt() throws {
    let peer = try ScriptedPeer { _, _ in }
    var section = Certificates.section(Certificates.far)
    section.allow = ["dns:somebody.else.test"]
    let far = try Sidecar(peers: [], .init(tunnels: [peer.port], tunnelTLS: "accept", sections: [section.text]))
    let near = try Sidecar(
      peers: [],
      .init(tunnels: [far.tunnelPorts[0]], tunnelTLS: "connect", sections: [Certificates.section(Certificates.near).text]))
    let caller = try StreamSocket(port: near.tunnelPorts[0])
    #expect(caller.receiveToEnd().ending == .reset)
    try far.waitFor("tls.refused", reason: "tls-wrong-name")
    let line = try near.waitFor("tls.refused", reason: "tls-refused-by-peer").first
    #expect(line?["direction"] == "tunnel" && line?["detail"]?.contains("alert") == true, "\(line?.text ?? "nothing")")
    #expect(peer.accepted == 0)
    try near.stop()
    try far.stop()
  }

  @Test func aFarEndThatIsNotAllowedIsRefused() throws {
    let peer = try ScriptedPeer { _, _ in }
    let far = try Sidecar(
      peers: [], .init(tunnels: [peer.port], tunnelTLS: "accept", sections: [Certificates.section(Certificates.far).text]))
    var section = Certificates.section(Certificates.near)
    section.allow = ["dns:somebody.else.test"]
    let near = try Sidecar(peers: [], .init(tunnels: [far.tunnelPorts[0]], tunnelTLS: "connect", sections: [section.text]))
    let caller = try StreamSocket(port: near.tunnelPorts[0])
    #expect(caller.receiveToEnd().ending == .reset)
    let line = try near.waitFor("tls.refused", reason: "tls-wrong-name").first
    #expect(line?["direction"] == "tunnel" && line?["detail"]?.contains("far.lane.test") == true)
    try near.stop()
    try far.stop()
  }
}
