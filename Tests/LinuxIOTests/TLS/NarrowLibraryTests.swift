import COpenSSL
import CertificateTestSupport
import LinuxIO
import Testing

/// Connections are made with a part of OpenSSL's algorithms: what certificates and TLS need of them is there.
@Suite struct NarrowLibraryTests {
  /// Without it, connections would be made all the same, and handshakes would cost a third more.
  @Test func itIsInUseWhereTheSystemHasOpenSSLsOwnProviderAlone() {
    let library = copenssl_narrow_library()
    #expect(library != nil)
    for (name, isThere) in [("AES-128-GCM", true), ("AES-256-GCM", true), ("ChaCha20-Poly1305", true), ("AES-128-CBC", false)] {
      let cipher = EVP_CIPHER_fetch(library, name, nil)
      #expect((cipher != nil) == isThere, "\(name)")
      EVP_CIPHER_free(cipher)
    }
    ERR_clear_error()
  }

  /// Each kind of key that a certificate of TLS may have, at both ends, with an intermediate CA in what they send.
  @Test(arguments: TestPKI.Key.allCases) func eachKindOfKeyIsUnderstood(key: TestPKI.Key) throws {
    let (pki, reactor) = (TestCertificates.pki, try Reactor())
    let server = try pki.issue("\(key)-server.lane.test", key: key, by: .intermediate)
    let client = try pki.issue("\(key)-client.lane.test", key: key, by: .intermediate)
    let pair = try TLSPair(
      reactor, client: TLSParameters(TestCertificates.context(client)), server: TLSParameters(TestCertificates.context(server)))
    #expect(pair.client.tls?.peer?.dnsNames == ["\(key)-server.lane.test"])
    #expect(pair.server.tls?.peer?.dnsNames == ["\(key)-client.lane.test"])
    pair.client.send([1, 2, 3])
    #expect(try turn(reactor) { pair.server.received == [1, 2, 3] })
  }

  /// The CRL's signature is checked, and an alert has all of the certificate.
  @Test func revocationIsLookedUp() throws {
    let (pki, reactor) = (TestCertificates.pki, try Reactor())
    let revoked = try pki.issue("revoked.lane.test")
    try pki.revoke(revoked)
    let server = TLSParameters(try TestCertificates.context(TestCertificates.server, crl: try pki.crl()))
    let good = try TLSPair(reactor, server: server)
    #expect(good.server.failure == nil)
    let bad = try TLSPair(
      reactor, client: TLSParameters(TestCertificates.context(revoked)), server: server, untilConnected: false)
    #expect(try turn(reactor) { bad.server.failure != nil })
    let certificate = bad.server.failure?.certificate
    #expect(bad.server.failure?.kind == .revoked && certificate?.subject == "CN=revoked.lane.test")
    #expect(certificate?.dnsNames == ["revoked.lane.test"] && certificate?.serial.isEmpty == false)
    #expect(certificate?.issuer == "CN=Test CA,O=Lanekeeper tests" && (certificate?.notAfter ?? 0) > (certificate?.notBefore ?? 0))
  }

  /// Each cipher of TLS 1.3 that is offered.
  @Test(arguments: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
  func eachCipherIsThere(name: String) throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor) { #expect(SSL_set_ciphersuites($0, name) == 1) }
    #expect(pair.server.tls?.cipher == name)
  }
}
