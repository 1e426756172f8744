import CertificateTestSupport
import Testing

/// The certificates that other tests rely on, as `openssl verify` sees them: no code of the program takes part.
@Suite struct TestPKITests {
  struct Row: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var purpose: String? = "sslserver"
    let verdict: String
    let issue: @Sendable (TestPKI) throws -> TestPKI.Issued
  }

  static let rows: [Row] = [
    Row(testDescription: "good server", verdict: "OK") { try $0.issue("node-1", uris: ["spiffe://cube/node-1"], addresses: ["10.0.0.1"]) },
    Row(testDescription: "good client", purpose: "sslclient", verdict: "OK") { try $0.issue("node-1") },
    Row(testDescription: "RSA", verdict: "OK") { try $0.issue("node-1", key: .rsa2048) },
    Row(testDescription: "expired", verdict: "certificate has expired") { try $0.issue("node-1", validity: .expired) },
    Row(testDescription: "not yet valid", verdict: "certificate is not yet valid") { try $0.issue("node-1", validity: .notYetValid) },
    Row(testDescription: "no usage extension", verdict: "OK") { try $0.issue("node-1", usages: []) },
    Row(testDescription: "wrong usage", verdict: wrongUsage) { try $0.issue("node-1", usages: [.codeSigning]) },
    Row(testDescription: "client only, as a server", verdict: wrongUsage) { try $0.issue("node-1", usages: [.clientAuth]) },
    Row(testDescription: "client only, as a client", purpose: "sslclient", verdict: "OK") { try $0.issue("node-1", usages: [.clientAuth]) },
    Row(testDescription: "server only, as a client", purpose: "sslclient", verdict: wrongUsage) {
      try $0.issue("node-1", usages: [.serverAuth])
    },
    Row(testDescription: "through an intermediate", verdict: "OK") { try $0.issue("node-1", by: .intermediate) },
    Row(testDescription: "incomplete chain", verdict: "unable to get local issuer certificate") {
      try $0.issue("node-1", by: .intermediateLeftOut)
    },
    Row(testDescription: "unknown authority", verdict: "unable to get local issuer certificate") { try $0.issue("node-1", by: .unknown) },
    Row(testDescription: "impostor", verdict: "certificate signature failure") { try $0.issue("node-1", by: .impostor) },
  ]

  /// OpenSSL 3.0 says "unsupported certificate purpose", later ones "unsuitable certificate purpose".
  private static let wrongUsage = "certificate purpose"

  @Test(arguments: rows) func verifyAgrees(row: Row) throws {
    let pki = try TestPKI()
    let verdict = try pki.verdict(row.issue(pki), purpose: row.purpose)
    if row.verdict == "OK" { #expect(verdict == "OK") } else { #expect(verdict.contains(row.verdict), "\(verdict)") }
  }

  @Test func revocationTakesAList() throws {
    let pki = try TestPKI()
    let (revoked, other) = (try pki.issue("node-1"), try pki.issue("node-2"))
    let before = try pki.crl()
    try pki.revoke(revoked)
    let after = try pki.crl()
    #expect(try pki.verdict(revoked) == "OK")
    #expect(try pki.verdict(revoked, crl: before) == "OK")
    #expect(try pki.verdict(revoked, crl: after) == "certificate revoked")
    #expect(try pki.verdict(other, crl: after) == "OK")
    #expect(try pki.verdict(other, crl: pki.crl(.expired)) == "CRL has expired")
    #expect(try pki.verdict(other, crl: pki.crl(.notYetValid)) == "CRL is not yet valid")
    #expect(try pki.verdict(other, crl: pki.crl(of: .unknown)) == "unable to get certificate CRL")
  }

  @Test func theNamesAreInTheCertificate() throws {
    let pki = try TestPKI()
    let issued = try pki.issue("node-1", dns: ["a.test", "b.test"], uris: ["spiffe://cube/a"], addresses: ["10.0.0.1", "10.0.0.2"])
    let text = try pki.openssl.demand(["x509", "-in", issued.certificate, "-noout", "-ext", "subjectAltName"])
    #expect(text.contains("DNS:a.test, DNS:b.test, URI:spiffe://cube/a, IP Address:10.0.0.1, IP Address:10.0.0.2"), "\(text)")
  }

  @Test func theDirectoryGoesWithIt() throws {
    var pki: TestPKI? = try TestPKI()
    let directory = try #require(pki?.directory)
    let tool = OpenSSLTool(directory: "/tmp")
    #expect(try tool.run(["x509", "-in", "\(directory)/ca.pem", "-noout"]).status == 0)
    pki = nil
    #expect(try tool.run(["x509", "-in", "\(directory)/ca.pem", "-noout"]).status != 0)
  }
}
