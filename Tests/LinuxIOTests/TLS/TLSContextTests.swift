import CertificateTestSupport
import Glibc
import LinuxIO
import Testing

/// What can be wrong with our own files: each is refused with the file's name and the reason.
@Suite struct TLSContextTests {
  private static let pki = TestCertificates.pki
  private static let good = TestCertificates.server

  private static func failure(
    certificate: String? = nil, key: String? = nil, authorities: String? = nil, crl: String? = nil, now: Int64? = nil
  ) -> TLSFailure? {
    do throws(TLSFailure) {
      _ = try TLSContext(
        TLSFiles(
          certificate: certificate ?? good.certificate, key: key ?? good.key, authorities: authorities ?? pki.caFile, revocations: crl),
        now: now)
      return nil
    } catch { return error }
  }

  private static func file(_ name: String, _ text: String) throws -> String {
    let path = "\(pki.directory)/\(name)"
    let file = try #require(fopen(path, "w"))
    fputs(text, file)
    fclose(file)
    return path
  }

  @Test func goodOnes() throws {
    #expect(Self.failure() == nil)
    let rsa = try Self.pki.issue("rsa.lane.test", key: .rsa2048)
    #expect(Self.failure(certificate: rsa.certificate, key: rsa.key) == nil)
    let below = try Self.pki.issue("below.lane.test", by: .intermediate)
    #expect(Self.failure(certificate: below.certificate, key: below.key) == nil)
    #expect(Self.failure(crl: try Self.pki.crl()) == nil)
  }

  @Test func filesThatAreNotWhatTheyShouldBe() throws {
    let missing = Self.failure(certificate: "/nowhere/a.pem")
    #expect(missing?.kind == .badFile && missing?.detail.hasPrefix("/nowhere/a.pem: open: ENOENT") == true)
    for path in ["/dev/zero", Self.pki.directory] {
      let failure = Self.failure(authorities: path)
      #expect(failure?.kind == .badFile && failure?.detail.hasPrefix(path) == true, "\(failure as Any)")
    }
    let empty = try Self.file("empty.pem", "")
    #expect(Self.failure(certificate: empty)?.detail.hasPrefix("\(empty): no certificate in it") == true)
    #expect(Self.failure(authorities: Self.good.key)?.detail.contains("no certificate") == true)
    #expect(Self.failure(key: Self.good.certificate)?.detail.contains("no private key that can be read") == true)
    #expect(Self.failure(crl: Self.good.certificate)?.detail.contains("no revocation list in it") == true)
    let broken = try Self.file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    #expect(Self.failure(certificate: broken)?.detail.contains("certificate 1 cannot be read") == true)
  }

  @Test func aKeyThatIsAnothersOrEncrypted() throws {
    let other = Self.failure(key: TestCertificates.client.key)
    #expect(other?.kind == .keyMismatch && other?.detail.contains("not the key of the certificate in \(Self.good.certificate)") == true)
    let path = "\(Self.pki.directory)/encrypted.key"
    try Self.pki.openssl.demand(["pkey", "-in", Self.good.key, "-aes128", "-passout", "pass:secret", "-out", path])
    #expect(Self.failure(key: path)?.detail.contains("an unencrypted PEM key is needed") == true)
  }

  @Test func anIncompleteChain() throws {
    let left = try Self.pki.issue("left.lane.test", by: .intermediateLeftOut)
    let failure = Self.failure(certificate: left.certificate, key: left.key)
    #expect(failure?.kind == .incompleteChain && failure?.detail.contains("Test Intermediate CA") == true, "\(failure as Any)")
    let unknown = try Self.pki.issue("unknown.lane.test", by: .unknown)
    #expect(Self.failure(certificate: unknown.certificate, key: unknown.key)?.kind == .incompleteChain)
  }

  @Test func validity() throws {
    let expired = try Self.pki.issue("old.lane.test", validity: .expired)
    let found = Self.failure(certificate: expired.certificate, key: expired.key)
    #expect(found?.kind == .expired && found?.certificate?.dnsNames == ["old.lane.test"])
    let future = try Self.pki.issue("new.lane.test", validity: .notYetValid)
    #expect(Self.failure(certificate: future.certificate, key: future.key)?.kind == .notYetValid)
    // The CA's own end.
    #expect(Self.failure(now: Int64(time(nil)) + 100 * 365 * 86_400)?.kind == .expired)
  }

  @Test func aKeyThatOthersMayReadIsAWarning() throws {
    #expect(try TestCertificates.context(Self.good).warnings.isEmpty)
    let open = try Self.pki.issue("open.lane.test")
    #expect(chmod(open.key, 0o644) == 0)
    let warnings = try TestCertificates.context(open).warnings
    #expect(warnings == ["\(open.key): the key can be used by others (mode 644): chmod 600"])
  }
}
