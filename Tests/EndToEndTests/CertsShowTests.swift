import CertificateTestSupport
import Glibc
import Testing

/// `lanekeeper certs show`, held against what `openssl x509` says of the same files.
@Suite struct CertsShowTests {
  private let pki: TestPKI

  init() throws { pki = try TestPKI() }

  /// The value that `openssl x509` prints after the equals sign.
  private func openssl(_ path: String, _ words: String...) throws -> String {
    let text = try pki.openssl.demand(["x509", "-in", path, "-noout"] + words)
    return text.split(separator: "\n").first?.split(separator: "=", maxSplits: 1).last.map(String.init) ?? ""
  }

  /// "2026-11-28 12:00:00Z" in the form of RFC 3339.
  private func date(_ path: String, _ which: String) throws -> String {
    try openssl(path, which, "-dateopt", "iso_8601").replacing(" ", with: "T")
  }

  @Test(arguments: [TestPKI.Key.p256, .rsa2048]) func itAgreesWithOpenSSL(key: TestPKI.Key) throws {
    let issued = try pki.issue(
      "node-1", subject: "/C=DE/O=Caf\u{E9}, \"Cube\" < more/CN=node-1", dns: ["a.test", "b.test"], uris: ["spiffe://cube/node-1"],
      addresses: ["10.0.0.1", "2001:db8::1"], validity: .seconds(from: -3600, to: 10 * 86_400 + 3600), key: key)
    let path = issued.certificate
    let result = try Program.run(["certs", "show", path])
    #expect(result.status == 0)
    #expect(result.stderr.isEmpty)
    let expected = [
      "\(path): certificate 1 of 1",
      "  subject     \(try openssl(path, "-subject", "-nameopt", "RFC2253"))",
      "  dns         a.test",
      "  dns         b.test",
      "  uri         spiffe://cube/node-1",
      "  address     10.0.0.1",
      "  address     2001:db8::1",
      "  serial      \(try openssl(path, "-serial"))",
      "  issuer      \(try openssl(path, "-issuer", "-nameopt", "RFC2253"))",
      "  not before  \(try date(path, "-startdate"))",
      "  not after   \(try date(path, "-enddate")) (10 days left)",
      "  key         \(key == .p256 ? "EC P-256" : "RSA 2048")",
      "  authority   no",
      "  key usage   digitalSignature",
      "  usage       serverAuth, clientAuth",
      "  sha256      \(try openssl(path, "-fingerprint", "-sha256"))",
    ]
    #expect(result.stdout == expected.joined(separator: "\n") + "\n")
    #expect(result.stdout.contains("CN=node-1,O=Caf\\C3\\A9\\, \\\"Cube\\\" \\< more"))
  }

  @Test func everyCertificateOfEveryFileIsShown() throws {
    let chained = try pki.issue("node-1", by: .intermediate)
    let bare = try pki.issue("node-2", dns: [], usages: [])
    let result = try Program.run(["certs", "show", chained.certificate, bare.certificate, pki.caFile])
    #expect(result.status == 0)
    let headings = result.stdout.split(separator: "\n").filter { !$0.hasPrefix(" ") }
    #expect(
      headings == [
        "\(chained.certificate): certificate 1 of 2", "\(chained.certificate): certificate 2 of 2",
        "\(bare.certificate): certificate 1 of 1",
        "\(pki.caFile): certificate 1 of 1",
      ])
    #expect(result.stdout.contains("\n  usage       any\n"))
    #expect(result.stdout.contains("\n  authority   yes\n"))
  }

  @Test func whatIsNotValidNowIsMarked() throws {
    let expired = try Program.run(["certs", "show", pki.issue("old", validity: .expired).certificate])
    #expect(expired.stdout.contains("Z (expired)\n"))
    let early = try Program.run(["certs", "show", pki.issue("new", validity: .notYetValid).certificate])
    #expect(early.stdout.contains("Z (not yet valid)\n"))
    let json = try Program.run(["certs", "show", "--json", pki.issue("old", validity: .seconds(from: -86_400, to: -10)).certificate])
    #expect(json.stdout.contains("\"daysLeft\":-1,"))
  }

  @Test func jsonIsOneLineForEach() throws {
    let issued = try pki.issue(
      "node-1", dns: ["a.test"], uris: ["spiffe://cube/node-1"], addresses: ["10.0.0.1"], usages: [], by: .intermediate)
    let path = issued.certificate
    let result = try Program.run(["certs", "show", path, "--json"])
    #expect(result.status == 0)
    let lines = result.stdout.split(separator: "\n")
    #expect(lines.count == 2)
    let expected =
      "{\"file\":\"\(path)\",\"number\":1,\"subject\":\"CN=node-1\",\"dnsNames\":[\"a.test\"],\"uris\":[\"spiffe://cube/node-1\"],"
      + "\"addresses\":[\"10.0.0.1\"],\"otherNames\":0,\"serial\":\"\(try openssl(path, "-serial"))\","
      + "\"issuer\":\"CN=Test Intermediate CA,O=Lanekeeper tests\",\"notBefore\":\"\(try date(path, "-startdate"))\","
      + "\"notAfter\":\"\(try date(path, "-enddate"))\",\"daysLeft\":30,\"key\":\"EC P-256\",\"isAuthority\":false,"
      + "\"keyUsage\":[\"digitalSignature\"],\"extendedKeyUsage\":null,\"sha256\":\"\(try openssl(path, "-fingerprint", "-sha256"))\"}"
    #expect(lines.first.map(String.init) == expected)
  }

  @Test func aCertificateCannotWriteToTheTerminal() throws {
    // dNSName "a<ESC>[2J\n<0xFF>\", and a subject with an escape, too.
    try pki.openssl.demand([
      "req", "-config", "openssl.cnf", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "evil.key",
      "-out", "evil.pem", "-subj", "/CN=e\u{1B}[2J\nvil", "-addext", "subjectAltName=DER:30:0A:82:08:61:1B:5B:32:4A:0A:FF:5C",
    ])
    for words in [[], ["--json"]] {
      let result = try Program.run(["certs", "show", "\(pki.directory)/evil.pem"] + words)
      #expect(result.status == 0)
      #expect(result.output.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x0A })
      #expect(result.stdout.contains(words.isEmpty ? "  dns         a\\x1B[2J\\x0A\\xFF\\x5C\n" : "[\"a\\\\x1B[2J\\\\x0A\\\\xFF\\\\x5C\"]"))
      #expect(result.stdout.contains(words.isEmpty ? "CN=e\\1B[2J\\0Avil" : "CN=e\\\\1B[2J\\\\0Avil"), "\(result.stdout)")
    }
  }

  @Test func aFileThatCannotBeReadDoesNotHideTheOthers() throws {
    let issued = try pki.issue("node-1")
    let missing = try Program.run(["certs", "show", "/nonexistent/file", issued.certificate])
    #expect(missing.status == 66)
    #expect(missing.stderr == "lanekeeper certs: /nonexistent/file: open: ENOENT (No such file or directory)\n")
    #expect(missing.stdout.hasPrefix("\(issued.certificate): certificate 1 of 1\n"))
    let key = try Program.run(["certs", "show", issued.key, issued.certificate])
    #expect(key.status == 1)
    #expect(key.stderr == "lanekeeper certs: \(issued.key): no certificate in it; PEM is needed (-----BEGIN CERTIFICATE-----)\n")
    #expect(key.stdout.hasPrefix("\(issued.certificate): "))
  }

  @Test(arguments: [
    ([], "init or show is missing"),
    (["shw"], "'shw' is unknown, did you mean 'show'?; allowed: init, show"),
    (["--json", "show"], "'--json' is unknown; allowed: init, show"),
    (["show"], "FILE is missing"),
    (["show", "x", "--days", "3"], "unknown option '--days'"),
  ])
  func wrongWordsAreNamed(words: [String], reason: String) throws {
    let result = try Program.run(["certs"] + words)
    #expect(result.status == 64)
    #expect(result.stdout.isEmpty)
    #expect(result.stderr.contains(reason), "\(result.stderr)")
  }
}
