import COpenSSL
import CertificateTestSupport
import Glibc
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

/// What our own ends never send, from OpenSSL by itself.
@Suite struct ForeignEndTests {
  /// Under TLS 1.2 the server judges before the client is through: it has the server's certificate by then.
  @Test func aRefusalUnderTLS12IsNamed() throws {
    let reactor = try Reactor()
    var accepted: RawSocket?
    let listener = try Listener(reactor: reactor, on: loopback, accept: { accepted = RawSocket(adopting: $0.fd) })
    let client = try TLSEnd(
      reactor: reactor, connectingTo: listener.endpoint,
      tls: TLSParameters(try TestCertificates.context(TestCertificates.client, minimum: .tls12)), options: SocketOptions())
    #expect(try turn(reactor) { accepted != nil })
    let server = try ForeignEnd(try #require(accepted), isClient: false, identity: TestCertificates.server, verifies: true)
    #expect(SSL_ctrl(server.ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(TLS1_2_VERSION), nil) == 1)
    #expect(
      try turn(reactor, seconds: 5) {
        _ = server.shakeHands()
        return client.failure != nil
      })
    #expect(client.failure?.kind == .refusedByPeer, "\(client.failure as Any)")
    #expect(client.failure?.certificate?.dnsNames == ["server.lane.test"])
    listener.close()
  }

  /// After the handshake the other end's certificate is known, and a cut is a cut all the same.
  @Test func aCutIsAReset() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor)
    pair.raw.shutWrite()
    #expect(try turn(reactor) { pair.server.readFailure != nil })
    #expect(pair.server.readFailure?.errno == ECONNRESET)
  }
}
