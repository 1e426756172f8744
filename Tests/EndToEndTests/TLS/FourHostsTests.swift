import CertificateTestSupport
import CubeFSWire
import Glibc
import TestBytes
import Testing

/// Four hosts on one network, each with a datanode of the lab, a sidecar and both of the shipped rule sets; strict TLS between them; and
/// a client without a sidecar.
@Suite(
  .serialized,
  .enabled(
    if: NetworkNamespace.isAvailable, "needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN for network namespaces, and ip of iproute2"),
  .timeLimit(.minutes(10)))
struct FourHostsTests {
  private static let clientAddress = "10.78.1.100"

  /// One of them.
  private final class Host {
    let address: String
    let namespace: NetworkNamespace
    let identity: TestPKI.Issued
    private(set) var sidecar: Sidecar!

    init(_ number: Int, _ hub: NetworkNamespace, _ pki: TestPKI) throws {
      address = "10.78.1.\(number + 1)"
      namespace = try NetworkNamespace()
      identity = try pki.issue("host-\(number).lane.test", addresses: [address])
      let rules = RepositoryFile.path("Deploy/interception")
      try FourHostsTests.plug(namespace, into: hub, "host\(number)", address)
      try namespace.shell("nft -f '\(rules)/lanekeeper.nft'; nft -f '\(rules)/inbound.nft'")
    }

    func start(_ pki: TestPKI, _ crl: String, _ peers: [String]) throws {
      let prefixes = peers.map { "\($0)/32" }.joined(separator: ", ")
      sidecar = try Sidecar(
        peers: [],
        .init(
          outbound: ["mark: 0x4C4B"], datanode: 17310, inboundListen: "0.0.0.0:15312",
          listeners: ["{listen: 0.0.0.0:15310, intercept: true}"], namespace: namespace,
          sections: [
            TLSSection(
              identity: identity, authorities: pki.caFile, inbound: "{mode: strict, requireFrom: [\(prefixes)], others: plain}",
              outbound: "{mode: strict, peerName: address}", lines: ["crl: \(crl)", "maxConnectionAge: 1s"]
            ).text
          ]))
    }

    /// Whether a new connection from here to the datanode of that host is served.
    func isServed(by other: Host) throws -> Bool {
      let request = Exemplar.request(0x10, reqID: 6, partition: 9)
      return try namespace.run { try StreamSocket(to: SocketAddress(other.address, 17310)) }.ask(request) == Exemplar.reply(to: request)
    }
  }

  private static func plug(_ namespace: NetworkNamespace, into hub: NetworkNamespace, _ name: String, _ address: String) throws {
    try namespace.join("eth0", ["\(address)/24"], to: hub, name)
    try hub.shell("ip link set \(name) master switch")
  }

  @Test func theStoryOfIssue3337IsHarmlessAndOnlyTheRightHostsAreServed() throws {
    let hub = try NetworkNamespace()
    try hub.shell("ip link add switch type bridge; ip link set switch up")
    let pki = try TestPKI()
    let crl = "\(pki.directory)/live.crl"
    #expect(rename(try pki.crl(), crl) == 0)
    let hosts = try (0..<4).map { try Host($0, hub, pki) }
    for host in hosts { try host.start(pki, crl, hosts.map(\.address)) }
    let client = try NetworkNamespace()
    try Self.plug(client, into: hub, "client", Self.clientAddress)
    let wire = try WireCapture(hosts[1].namespace, "eth0")
    let inside = try WireCapture(hosts[1].namespace, "lo")

    // The lab's own oracle: every reply, every byte of every replica.
    let places = hosts.map { "\($0.namespace.path)@\($0.address):17310" }.joined(separator: ",")
    let seed = testSeed()
    let lab = try RunningProgram(["lab", "--scenario", "decommission-delete", "--hosts", places, "--seed", "\(seed)", "--json"])
    let result = try lab.finish(deadline: .seconds(150))
    #expect(result.status == 0, "seed \(seed): \(result.stdout) \(result.stderr)")
    let report = LogLine(text: result.stdout)
    #expect(report["ok"] == "true" && report["lost"] == "0" && report["wrongBytes"] == "0")
    print("decommission-delete on four hosts, seed \(seed): \(result.stdout.prefix(1500))")

    // A partition's number, as an alert gives it, is in what host 1's datanode read and wrote, and not on the wire.
    let partition = try #require(hosts[1].sidecar.log("caller.dirty-reuse").first?["partition"].flatMap { UInt64($0) })
    #expect(holds(try inside.finish(atLeast: 1 << 20), bigEndian(partition)))
    #expect(!holds(try wire.finish(atLeast: 1 << 20), bigEndian(partition)))
    let records = try wire.frames("tls.record.opaque_type == 23")
    #expect(records > 100)
    for host in hosts {
      for event in ["tls.refused", "caller.blind", "reply.dropped"] {
        let alerts = host.sidecar.log(event).filter { $0["alert"] != nil }
        #expect(alerts.isEmpty, "\(alerts.map(\.text).prefix(3))")
      }
    }

    // Datanodes that stay, for single questions.
    let stream = RepairStream(blocks: 1, of: 1000)
    let datanodes = try hosts.map { host in try host.namespace.run { try stream.peer(address: "0.0.0.0", port: 17310) } }
    let request = Exemplar.request(0x10, reqID: 6, partition: 9)
    func clientIsServed(by host: Host) throws -> Bool {
      try client.run { try StreamSocket(to: SocketAddress(host.address, 17310)) }.ask(request) == Exemplar.reply(to: request)
    }
    for (from, to) in [(0, 3), (1, 3), (2, 3), (3, 2)] {
      #expect(eventually { (try? hosts[from].isServed(by: hosts[to])) == true }, "\(from) to \(to)")
    }
    #expect(try clientIsServed(by: hosts[3]))

    // One certificate is revoked.
    try pki.revoke(hosts[0].identity)
    #expect(rename(try pki.crl(), crl) == 0)
    let loaded = hosts[3].sidecar.log("tls.loaded").count
    hosts[3].sidecar.send(SIGHUP)
    try hosts[3].sidecar.waitFor("tls.loaded", count: loaded + 1)
    try expectRefused(hosts[0], by: hosts[3], "tls-revoked", from: pki)
    #expect(try hosts[1].isServed(by: hosts[3]) && hosts[2].isServed(by: hosts[3]) && clientIsServed(by: hosts[3]))

    // One expires while it is in force.
    let brief = try pki.issue("host-1.lane.test", addresses: [hosts[1].address], validity: .seconds(from: -60, to: 6))
    let loadedThere = hosts[1].sidecar.log("tls.loaded").count
    #expect(rename(brief.key, hosts[1].identity.key) == 0 && rename(brief.certificate, hosts[1].identity.certificate) == 0)
    hosts[1].sidecar.send(SIGHUP)
    try hosts[1].sidecar.waitFor("tls.loaded", count: loadedThere + 1)
    try expectRefused(hosts[1], by: hosts[3], "tls-expired", from: pki)
    try hosts[1].sidecar.waitFor("tls.expiring")
    #expect(try hosts[2].isServed(by: hosts[3]) && clientIsServed(by: hosts[3]))

    // One sidecar stops.
    try hosts[2].sidecar.stop()
    #expect(eventually { (try? hosts[3].isServed(by: hosts[2])) != true })
    let line = try hosts[3].sidecar.waitFor("peer.down").last
    #expect(line?["peer"]?.hasPrefix(hosts[2].address) == true && line?["severity"] == "warning")
    #expect(try clientIsServed(by: hosts[3]))
    for host in [0, 1, 3] { try hosts[host].sidecar.stop() }
    for datanode in datanodes { datanode.stop() }
  }

  /// Connections that are open stay: after a while those between the two are new ones.
  private func expectRefused(_ host: Host, by other: Host, _ reason: String, from pki: TestPKI) throws {
    #expect(
      eventually {
        (try? host.isServed(by: other)) != true && other.sidecar.log("tls.refused", reason: reason).isEmpty == false
      }, "\(reason)")
    let line = try other.sidecar.waitFor("tls.refused", reason: reason).first
    #expect(line?["caller"]?.hasPrefix(host.address + ":") == true, "\(line?.text ?? "")")
    for field in ["subject", "names", "serial", "issuer", "valid from"] { #expect(line?["detail"]?.contains(field) == true, "\(field)") }
    #expect(line?["alert"] == "tls.refused")
  }
}
