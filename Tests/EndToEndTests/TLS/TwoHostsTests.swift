import CertificateTestSupport
import CubeFSWire
import Glibc
import TestBytes
import Testing

/// Two hosts with a sidecar each, the shipped rule sets on both, strict TLS between them; a third host without a sidecar uses the same port.
@Suite(
  .enabled(
    if: NetworkNamespace.isAvailable, "needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN for network namespaces, and ip of iproute2"),
  .timeLimit(.minutes(10)))
struct TwoHostsTests {
  private static let nearAddress = "10.78.0.1"
  private static let farAddress = "10.78.0.2"
  private static let clientAddress = "10.79.0.1"
  private static let farClientSide = "10.79.0.2"

  @Test func onlyTLSIsOnTheWireAndPlainClientsAreServed() throws {
    let near = try NetworkNamespace()
    let far = try NetworkNamespace()
    let client = try NetworkNamespace()
    let rules = RepositoryFile.path("Deploy/interception")
    try near.join("near", ["\(Self.nearAddress)/24"], to: far, "far", ["\(Self.farAddress)/24"])
    try client.join("client", ["\(Self.clientAddress)/24"], to: far, "plain", ["\(Self.farClientSide)/24"])
    try near.shell("nft -f '\(rules)/lanekeeper.nft'")
    try far.shell("nft -f '\(rules)/inbound.nft'")

    let pki = try TestPKI()
    let nearIdentity = try pki.issue("near.lane.test", addresses: [Self.nearAddress])
    let farIdentity = try pki.issue("far.lane.test", addresses: [Self.farAddress])
    let crl = "\(pki.directory)/live.crl"
    #expect(rename(try pki.crl(), crl) == 0)

    let stream = RepairStream(blocks: 8, of: 131_072)
    let datanode = try far.run { try stream.peer(address: "0.0.0.0", port: 17310) }
    let farSidecar = try Sidecar(
      peers: [],
      .init(
        datanode: 17310, inboundListen: "0.0.0.0:15312", namespace: far,
        sections: [
          TLSSection(
            identity: farIdentity, authorities: pki.caFile, inbound: "{mode: strict, requireFrom: [\(Self.nearAddress)/32], others: plain}",
            lines: ["crl: \(crl)"]
          ).text
        ]))
    let nearSidecar = try Sidecar(
      peers: [],
      .init(
        outbound: ["mark: 0x4C4B"], listeners: ["{listen: 0.0.0.0:15310, intercept: true}"], namespace: near,
        sections: [
          TLSSection(identity: nearIdentity, authorities: pki.caFile, outbound: "{mode: strict, peerName: address}").text
        ]))
    let wire = try WireCapture(far, "far")
    let plainWire = try WireCapture(far, "plain")

    let request = stream.request(5)
    let caller = try near.run { try StreamSocket(to: SocketAddress(Self.farAddress, 17310)) }
    caller.send(request)
    #expect(stream.isRead(by: caller, request))
    let control = Exemplar.request(0x10, reqID: 6, partition: 0x1122_3344_5566_7788)
    let second = try near.run { try StreamSocket(to: SocketAddress(Self.farAddress, 17310)) }
    #expect(second.ask(control) == Exemplar.reply(to: control))
    let plain = try client.run { try StreamSocket(to: SocketAddress(Self.farClientSide, 17310)) }
    #expect(plain.ask(control) == Exemplar.reply(to: control))
    plain.send(request)
    #expect(stream.isRead(by: plain, request))

    let seen = try wire.finish(atLeast: 8 * 131_072)
    let seenInPlain = try plainWire.finish(atLeast: 8 * 131_072)
    // 32 bytes from the middle of a payload, and the partition's number: the search finds them where they are.
    let marker = Array(stream.replies(to: request)[0][10_000..<10_032])
    let partition = bigEndian(0x1122_3344_5566_7788)
    #expect(holds(seenInPlain, marker) && holds(seenInPlain, partition))
    #expect(!holds(seen, marker) && !holds(seen, partition))
    // TLS 1.3 hides a record's type behind that of data (RFC 8446 section 5.2).
    let records = try wire.frames("tls.record.opaque_type == 23")
    #expect(records > 8)
    // A record's inner frames belong to the one that ends it: nothing else carries bytes.
    let others = try wire.frames("tcp.len > 0 && tcp.port == 17310 && !tls && !tcp.segment_data")
    #expect(others == 0)

    // One certificate revoked: that host is refused, and nobody else.
    try pki.revoke(nearIdentity)
    let loaded = farSidecar.log("tls.loaded").count
    #expect(rename(try pki.crl(), crl) == 0)
    farSidecar.send(SIGHUP)
    try farSidecar.waitFor("tls.loaded", count: loaded + 1)
    let third = try near.run { try StreamSocket(to: SocketAddress(Self.farAddress, 17310)) }
    third.send(stream.request(9))
    let answer = third.receivePacket()
    #expect(answer == nil || answer?.header.resultCode != .ok)
    let line = try farSidecar.waitFor("tls.refused", reason: "tls-revoked").first
    #expect(line?["caller"]?.hasPrefix(Self.nearAddress) == true && line?["detail"]?.contains("near.lane.test") == true)
    #expect(plain.ask(control) == Exemplar.reply(to: control))
    #expect(try client.run { try StreamSocket(to: SocketAddress(Self.farClientSide, 17310)) }.ask(control) == Exemplar.reply(to: control))

    try nearSidecar.stop()
    try farSidecar.stop()
    datanode.stop()
  }
}
