import CertificateTestSupport
import CubeFSWire
import Glibc
import Testing

/// Each certificate that must not pass, on either side: its reason, the alert, and that nothing reached the datanode.
@Suite struct BadCertificateTests {
  struct Row: Sendable, CustomTestStringConvertible {
    var name: String
    var reason: String
    var make: @Sendable (TestPKI) throws -> TestPKI.Issued
    /// The usage differs by side.
    var asClient: (@Sendable (TestPKI) throws -> TestPKI.Issued)?
    var crl: (@Sendable (TestPKI, TestPKI.Issued) throws -> String)?
    var testDescription: String { name }
  }

  /// The one we judge by; the rows' own node is what is held against it.
  static let rows: [Row] = [
    Row(name: "unknown CA", reason: "tls-unknown-issuer", make: { try $0.issue("bad.lane.test", by: .unknown) }),
    Row(name: "CA of the same name", reason: "tls-unknown-issuer", make: { try $0.issue("bad.lane.test", by: .impostor) }),
    Row(
      name: "wrong usage", reason: "tls-wrong-usage", make: { try $0.issue("bad.lane.test", usages: [.clientAuth]) },
      asClient: { try $0.issue("bad.lane.test", usages: [.serverAuth]) }),
    Row(name: "code signing", reason: "tls-wrong-usage", make: { try $0.issue("bad.lane.test", usages: [.codeSigning]) }),
    Row(name: "name not allowed", reason: "tls-wrong-name", make: { try $0.issue("bad.elsewhere.test") }),
    Row(name: "no name at all", reason: "tls-wrong-name", make: { try $0.issue("bad.lane.test", dns: []) }),
    Row(
      name: "revoked", reason: "tls-revoked", make: { try $0.issue("bad.lane.test") },
      crl: { pki, issued in
        try pki.revoke(issued)
        return try pki.crl()
      }),
    Row(
      name: "stale CRL", reason: "tls-revocation-unknown", make: { try $0.issue("bad.lane.test") },
      crl: { pki, _ in try pki.crl(.expired) }),
    Row(
      name: "CRL of another CA", reason: "tls-revocation-unknown", make: { try $0.issue("bad.lane.test") },
      crl: { pki, _ in try pki.crl(of: .unknown) }),
  ]

  private static let request = Exemplar.request(0x10, reqID: 2, partition: 8)

  @Test(arguments: rows) func aServerWithItIsRefused(row: Row) throws {
    let pki = try TestPKI()
    let bad = try row.make(pki)
    let good = try pki.issue("good.lane.test")
    let crl = try row.crl.map { ["crl: \(try $0(pki, bad))"] } ?? []
    let datanode = try InboundTests.datanode()
    let hop = try Hop(
      datanode: datanode.port,
      near: TLSSection(identity: good, authorities: pki.caFile, outbound: "{mode: strict}", lines: crl),
      far: TLSSection(identity: bad, authorities: try Self.bundle(pki, row), inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}"))
    let caller = try StreamSocket(port: hop.near.port)
    #expect(caller.ask(Self.request)?.header.resultCode != .ok)
    let line = try hop.near.waitFor("tls.refused").first
    Self.report(row, "server", line)
    #expect(
      line?["reason"] == row.reason && line?["severity"] == "warning" && line?["direction"] == nil || line?["direction"] == "outbound")
    Self.checkDetail(line, row)
    #expect(try hop.far.waitFor("tls.refused").first?["reason"] == "tls-refused-by-peer")
    #expect(datanode.accepted == 0)
    try hop.stop()
  }

  @Test(arguments: rows) func aClientWithItIsRefused(row: Row) throws {
    let pki = try TestPKI()
    let bad = try (row.asClient ?? row.make)(pki)
    let good = try pki.issue("good.lane.test")
    let crl = try row.crl.map { ["crl: \(try $0(pki, bad))"] } ?? []
    let datanode = try InboundTests.datanode()
    let hop = try Hop(
      datanode: datanode.port,
      near: TLSSection(identity: bad, authorities: try Self.bundle(pki, row), outbound: "{mode: strict}"),
      far: TLSSection(identity: good, authorities: pki.caFile, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}", lines: crl))
    let caller = try StreamSocket(port: hop.near.port)
    #expect(caller.ask(Self.request)?.header.resultCode != .ok)
    let line = try hop.far.waitFor("tls.refused").first
    Self.report(row, "client", line)
    #expect(line?["reason"] == row.reason && line?["direction"] == "inbound")
    Self.checkDetail(line, row)
    // Whose certificate it is learns of it, too, though its own handshake was over by then.
    let told = try hop.near.waitFor("tls.refused").first
    #expect(told?["reason"] == "tls-refused-by-peer" && told?["direction"] == "outbound", "\(told?.text ?? "nothing")")
    #expect(told?["detail"]?.contains("alert") == true, "\(told?.text ?? "nothing")")
    #expect(datanode.accepted == 0)
    try hop.stop()
  }

  /// What expires, or is not valid yet, is refused at start; here it happens to one that runs, by the other end's clock.
  @Test(arguments: [("expired", TestPKI.Validity.seconds(from: -3600, to: 4)), ("not-yet-valid", .notYetValid)])
  func validity(name: String, validity: TestPKI.Validity) throws {
    let pki = try TestPKI()
    let bad = try pki.issue("bad.lane.test", validity: validity)
    let datanode = try InboundTests.datanode()
    let good = try pki.issue("good.lane.test")
    let far = try Sidecar(
      peers: [],
      .init(
        datanode: datanode.port,
        sections: [TLSSection(identity: good, authorities: pki.caFile, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}").text]))
    if name == "expired" {
      // Not a wait for something to be done: for the second in which it ends.
      #expect(eventually(within: .seconds(30)) { (try? pki.verdict(bad)) != "OK" })
    }
    let found = try OpenSSLClient(port: far.inboundPort, identity: bad, authorities: pki.caFile).run()
    #expect(found.contains("alert"))
    let line = try far.waitFor("tls.refused", reason: "tls-\(name)").first
    #expect(line?["detail"]?.contains("bad.lane.test") == true)
    #expect(datanode.accepted == 0)
    try far.stop()
  }

  @Test func aClientWithoutOneIsRefused() throws {
    let datanode = try InboundTests.datanode()
    let far = try Sidecar(
      peers: [],
      .init(
        datanode: datanode.port,
        sections: [Certificates.section(Certificates.far, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}").text]))
    _ = try OpenSSLClient(port: far.inboundPort, identity: nil, authorities: Certificates.pki.caFile).run()
    try far.waitFor("tls.refused", reason: "tls-no-certificate")
    #expect(datanode.accepted == 0)
    try far.stop()
  }

  /// A bad node trusts whoever it meets: only the good one's judgement is under test.
  private static func bundle(_ pki: TestPKI, _ row: Row) throws -> String {
    guard row.name == "unknown CA" else { return pki.caFile }
    let path = "\(pki.directory)/both.pem"
    guard let file = fopen(path, "w") else { throw ProgramFailure("cannot write \(path)") }
    for name in [pki.caFile, "\(pki.directory)/unknown.pem"] { fputs(try pki.openssl.demand(["x509", "-in", name]), file) }
    fclose(file)
    return path
  }

  private static func checkDetail(_ line: LogLine?, _ row: Row) {
    let detail = line?["detail"] ?? ""
    for part in ["subject", "serial", "issuer", "valid"] { #expect(detail.contains(part), "\(part) in \(detail)") }
  }

  private static func report(_ row: Row, _ side: String, _ line: LogLine?) {
    print("\(side), \(row.name): \(line?["reason"] ?? "nothing"): \(line?["detail"] ?? "")")
  }
}
