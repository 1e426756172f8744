import CertificateTestSupport
import Glibc
import Testing

/// `lanekeeper certs init`, through the real program; `openssl` says whether what it makes is any good.
@Suite struct CertsInitTests {
  private let folder: TemporaryDirectory
  private let directory: String
  private let openssl: OpenSSLTool

  init() throws {
    folder = try TemporaryDirectory("lanekeeper-certs")
    directory = "\(folder.path)/pki"
    openssl = OpenSSLTool(directory: folder.path)
  }

  private func initialise(_ words: String...) throws -> ProgramResult { try Program.run(["certs", "init", directory] + words) }

  private func mode(_ path: String) throws -> mode_t {
    var status = stat()
    try #require(lstat(path, &status) == 0, "\(path)")
    return status.st_mode & 0o7777
  }

  @Test func opensslAcceptsTheCertificates() throws {
    let first = try initialise("--name", "node-1")
    #expect(first.status == 0, "\(first.stderr)")
    #expect(
      first.stdout == "authority  \(directory)/ca.pem\ncertificate  \(directory)/node-1.pem\nkey  \(directory)/node-1.key\n")
    let second = try initialise(
      "--name", "node-2", "--dns", "a.test", "--dns=b.test", "--address", "10.0.0.1", "--uri", "spiffe://cube/node-2")
    #expect(second.status == 0, "\(second.stderr)")
    #expect(second.stdout.hasPrefix("authority (was there)  "))
    for node in ["node-1", "node-2"] {
      let certificate = "pki/\(node).pem"
      for purpose in ["sslserver", "sslclient"] {
        try openssl.demand(["verify", "-x509_strict", "-CAfile", "pki/ca.pem", "-purpose", purpose, certificate])
      }
      // What would be wrong is refused: the acceptance above says something.
      #expect(try openssl.run(["verify", "-CAfile", "pki/ca.pem", "-purpose", "smimesign", certificate]).status != 0)
      let publicKey = try openssl.demand(["x509", "-in", certificate, "-noout", "-pubkey"])
      #expect(try openssl.demand(["pkey", "-in", "pki/\(node).key", "-pubout"]) == publicKey)
      #expect(try openssl.demand(["x509", "-in", certificate, "-noout", "-text"]).contains("NIST CURVE: P-256"))
    }
    #expect(try names("node-1") == "DNS:node-1")
    #expect(try names("node-2") == "DNS:a.test, DNS:b.test, URI:spiffe://cube/node-2, IP Address:10.0.0.1")
    try openssl.demand(["verify", "-CAfile", "pki/ca.pem", "-verify_hostname", "b.test", "-verify_ip", "10.0.0.1", "pki/node-2.pem"])
    // A node's certificate is no authority: nothing can be signed below it.
    #expect(try openssl.demand(["x509", "-in", "pki/node-1.pem", "-noout", "-ext", "basicConstraints"]).contains("CA:FALSE"))
    #expect(try openssl.demand(["x509", "-in", "pki/ca.pem", "-noout", "-ext", "basicConstraints"]).contains("CA:TRUE, pathlen:0"))
  }

  private func names(_ node: String) throws -> String {
    let text = try openssl.demand(["x509", "-in", "pki/\(node).pem", "-noout", "-ext", "subjectAltName"])
    return text.split(separator: "\n").last?.trimmingPrefix { $0 == " " }.description ?? ""
  }

  @Test func onlyTheOwnerReadsKeysWhateverTheMask() throws {
    // The umask is the shell's to set: ours is every test's.
    for (mask, node) in [("000", "open"), ("077", "closed")] {
      let program = try RunningProgram(
        ["-c", "umask \(mask); exec \"$0\" certs init \"$1\" --name \(node)", try Program.path(), directory], executable: "/bin/sh")
      #expect(try program.finish().status == 0)
      #expect(try mode("\(directory)/\(node).key") == 0o600)
      #expect(try mode("\(directory)/\(node).pem") == 0o644)
    }
    #expect(try mode(directory) == 0o700)
    #expect(try mode("\(directory)/ca.key") == 0o600)
    #expect(try mode("\(directory)/ca.pem") == 0o644)
  }

  @Test func serialsAreLongAndValidityIsAsAsked() throws {
    var serials: Set<String> = []
    for (node, days) in [("short", "2"), ("long", "3000")] {
      #expect(try initialise("--name", node, "--days", days).status == 0)
      let certificate = "pki/\(node).pem"
      serials.insert(try openssl.demand(["x509", "-in", certificate, "-noout", "-serial"]))
      let end = try #require(Int(days)) * 86_400
      #expect(try openssl.run(["x509", "-in", certificate, "-noout", "-checkend", "\(end - 60)"]).status == 0)
      #expect(try openssl.run(["x509", "-in", certificate, "-noout", "-checkend", "\(end + 60)"]).status == 1)
      // Valid five minutes ago, not six.
      let now = Int(time(nil))
      #expect(try openssl.run(["verify", "-CAfile", "pki/ca.pem", "-attime", "\(now - 230)", certificate]).status == 0)
      let before = try openssl.run(["verify", "-CAfile", "pki/ca.pem", "-attime", "\(now - 360)", certificate])
      #expect(before.stderr.contains("not yet valid"))
    }
    #expect(serials.count == 2)
    // "serial=" and 159 bits: fewer than 32 digits would be a chance of 1 in 2^31.
    #expect(serials.allSatisfy { (39...48).contains($0.count) }, "\(serials)")
  }

  @Test func nothingIsOverwritten() throws {
    #expect(try initialise("--name", "node-1").status == 0)
    let before = try ["ca.pem", "ca.key", "node-1.pem", "node-1.key"].map { try content($0) }
    let again = try initialise("--name", "node-1", "--days", "3")
    #expect(again.status == 1)
    #expect(again.stdout.isEmpty)
    #expect(
      again.stderr == "lanekeeper certs: \(directory)/node-1.pem: exists, and is not overwritten; give another name, or remove it\n")
    // Half of a pair is enough, even a link that leads nowhere.
    #expect(unlink("\(directory)/node-1.pem") == 0)
    #expect(try initialise("--name", "node-1").stderr.contains("\(directory)/node-1.key: exists"))
    #expect(symlink("/nonexistent/file", "\(directory)/node-2.key") == 0)
    #expect(try initialise("--name", "node-2").stderr.contains("\(directory)/node-2.key: exists"))
    #expect(try initialise("--name", "node-3").status == 0)
    #expect(try ["ca.pem", "ca.key", "node-1.key"].map { try content($0) } == [before[0], before[1], before[3]])
    #expect(names() == ["ca.pem", "ca.key", "node-1.key", "node-2.key", "node-3.pem", "node-3.key"])
  }

  private func content(_ name: String) throws -> String {
    try #require(access("\(directory)/\(name)", R_OK) == 0)
    return ProcFile.text("\(directory)/\(name)")
  }

  private func names() -> Set<String> {
    let listing = try? RunningProgram(["-1A", directory], executable: "/bin/ls").finish()
    return Set((listing?.stdout ?? "").split(separator: "\n").map(String.init))
  }

  @Test func runsAtTheSameTimeShareOneAuthority() throws {
    let nodes = (1...6).map { "node-\($0)" }
    let programs = try nodes.map { try RunningProgram(["certs", "init", directory, "--name", $0]) }
    for program in programs {
      let result = try program.finish()
      #expect(result.status == 0, "\(result.stderr)")
    }
    try openssl.demand(["verify", "-CAfile", "pki/ca.pem"] + nodes.map { "pki/\($0).pem" })
    #expect(names() == Set(nodes.flatMap { ["\($0).pem", "\($0).key"] } + ["ca.pem", "ca.key"]))
  }

  @Test(arguments: [
    ([], "--name NODE is missing"),
    (["--name", "../x"], "--name '../x': 1 to 64 characters of A-Z a-z 0-9 . _ - are needed"),
    (["--name", String(repeating: "n", count: 65)], "1 to 64 characters"),
    (["--name", "CA"], "the authority's own files have that name"),
    (["--name", "node_1"], "'node_1' is no DNS name (A-Z a-z 0-9 and inner hyphens are needed between dots): give --dns"),
    (["--name", "10.0.0.1"], "give --dns, --address or --uri"),
    (["--name", "x", "--dns", "a..b"], "--dns 'a..b': 1 to 63 characters are needed between dots"),
    (["--name", "x", "--dns=-a.test"], "inner hyphens"),
    (["--name", "x", "--dns", "*.test"], "--dns '*.test'"),
    (["--name", "x", "--dns", "a\u{1B}[2J"], "--dns 'a\\u{1b}[2J'"),
    (["--name", "x", "--dns", "10.0.0.1"], "an IPv4 address goes with --address"),
    (["--name", "x", "--address", "10.0.0.256"], "--address '10.0.0.256': no IPv4 address"),
    (["--name", "x", "--address", "10.0.0.1:80"], "no IPv4 address"),
    (["--name", "x", "--uri", "node-1"], "--uri 'node-1': a scheme is needed"),
    (["--name", "x", "--uri", "1a:b"], "a scheme is a letter"),
    (["--name", "x", "--uri", "urn:"], "something is needed after the scheme"),
    (["--name", "x", "--uri", "urn:a b"], "RFC 3986"),
    (["--name", "x", "--uri", "spiffe://Cube/x"], "the domain of a-z 0-9 . _ -"),
    (["--name", "x", "--uri", "spiffe://cube/"], "none empty"),
    (["--name", "x", "--days", "0"], "--days '0' is no whole number from 1 to 36500"),
    (["--name", "x", "more"], "unexpected argument 'more'"),
    (["--name", "x", "--json"], "unknown option '--json'"),
  ])
  func wrongWordsAreNamedAndMakeNothing(words: [String], reason: String) throws {
    let result = try Program.run(["certs", "init", directory] + words)
    #expect(result.status == 64)
    #expect(result.stderr.contains(reason), "\(result.stderr)")
    #expect(folder.names.isEmpty)
  }

  @Test func anAuthorityThatCannotSignIsRefusedWithItsReason() throws {
    func refusal() throws -> String {
      let result = try initialise("--name", "node-9")
      #expect(result.status == 1)
      #expect(names().isDisjoint(with: ["node-9.pem", "node-9.key"]))
      return result.stderr
    }
    func put(_ name: String, _ text: String) throws {
      let file = try #require(fopen("\(directory)/\(name)", "w"))
      fputs(text, file)
      fclose(file)
    }
    #expect(try initialise("--name", "node-1").status == 0)
    let (certificate, key) = (try content("ca.pem"), try content("ca.key"))

    #expect(try initialise("--name", "node-9", "--days", "4000").stderr.contains("ca.pem: ends at 20"))
    try put("ca.key", content("node-1.key"))
    #expect(try refusal().contains("ca.key: not the key of \(directory)/ca.pem: key values mismatch"))
    try put("ca.pem", content("node-1.pem"))
    #expect(try refusal().contains("ca.pem: not a CA's certificate"))
    try put("ca.pem", "nothing\n")
    #expect(try refusal().contains("ca.pem: no certificate in it; PEM is needed"))
    try put("ca.pem", certificate)
    try put("ca.key", key)
    try openssl.demand(["pkey", "-in", "pki/ca.key", "-aes128", "-passout", "pass:secret", "-out", "pki/locked.key"])
    #expect(rename("\(directory)/locked.key", "\(directory)/ca.key") == 0)
    let locked = try refusal()
    #expect(locked.contains("ca.key: no private key that can be read; an unencrypted PEM key is needed: "))
    #expect(locked.contains("unable to get passphrase"), "\(locked)")
    #expect(unlink("\(directory)/ca.key") == 0)
    #expect(try refusal().contains("\(directory)/ca.key: missing, while \(directory)/ca.pem is there"))
    try put("ca.key", key)
    #expect(unlink("\(directory)/ca.pem") == 0)
    #expect(try refusal().contains("\(directory)/ca.pem: missing, while \(directory)/ca.key is there"))
  }

  @Test func aDirectoryThatCannotBeMadeIsNamed() throws {
    let deep = try Program.run(["certs", "init", "\(folder.path)/a/b", "--name", "x"])
    #expect(deep.status == 1)
    #expect(deep.stderr == "lanekeeper certs: \(folder.path)/a/b: mkdir: ENOENT (No such file or directory)\n")
    let file = try Program.run(["certs", "init", "/dev/null", "--name", "x"])
    #expect(file.status == 1)
    #expect(file.stderr == "lanekeeper certs: /dev/null: open: ENOTDIR (Not a directory)\n")
  }

  @Test(arguments: ["ed25519", "rsa"]) func anAuthorityOfTheOperatorsOwnSigns(kind: String) throws {
    #expect(mkdir(directory, 0o700) == 0)
    try openssl.demand([
      "req", "-x509", "-newkey", kind, "-nodes", "-keyout", "pki/ca.key", "-out", "pki/ca.pem", "-subj", "/O=Own, \"Ltd\"/CN=Root",
      "-days", "400", "-addext", "keyUsage=critical,keyCertSign",
    ])
    let result = try initialise("--name", "node-1")
    #expect(result.status == 0, "\(result.stderr)")
    try openssl.demand(["verify", "-CAfile", "pki/ca.pem", "-purpose", "sslserver", "pki/node-1.pem"])
  }
}
