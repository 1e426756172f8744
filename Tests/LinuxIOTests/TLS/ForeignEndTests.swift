import COpenSSL
import CertificateTestSupport
import Glibc
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

/// What our own ends never send, from OpenSSL by itself.
@Suite struct ForeignEndTests {
  /// It says in the same segment that nothing more comes, and leaves TCP open: the socket tells of it no more.
  @Test func anEndBehindBytesIsTold() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor)
    pair.client.write([1, 2, 3])
    #expect(SSL_shutdown(pair.client.ssl) == 0)
    pair.client.flush()
    #expect(try turn(reactor, seconds: 2) { pair.server.events.last == "end" })
    #expect(pair.server.received == [1, 2, 3])
  }

  @Test func anEndBehindBytesIsToldAfterAPause() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor)
    pair.server.pausesAfterRead = true
    pair.client.write([1, 2, 3])
    #expect(SSL_shutdown(pair.client.ssl) == 0)
    pair.client.flush()
    #expect(try turn(reactor, seconds: 2) { pair.server.received == [1, 2, 3] })
    for _ in 0..<3 { try reactor.runOnce(maximumWait: 1_000_000) }
    #expect(pair.server.events.last == "connected")
    pair.server.resumeReading()
    #expect(try turn(reactor, seconds: 2) { pair.server.events.last == "end" })
  }

  /// RFC 6066 section 4: 512 bytes in a record, and so 32 times the records.
  @Test func smallRecordsAreMadeWhereTheyAreWanted() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor) { SSL_set_tlsext_max_fragment_length($0, UInt8(TLSEXT_max_fragment_length_512)) }
    let bytes = pattern(600_000)
    #expect([.sent, .queued].contains(pair.server.send(bytes)))
    var received: [UInt8] = []
    #expect(
      try turn(reactor, seconds: 5) {
        received += pair.client.read()
        return received.count >= bytes.count
      })
    #expect(firstDifference(received, bytes) == nil)
  }

  /// Bytes held inside are read once a turn, however many timers there are.
  @Test func heldBytesAreReadOnceATurn() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor)
    let others = (0..<500).map { _ in ReactorTimer(reactor) {} }
    for timer in others { timer.arm(at: reactor.now + 3_600_000_000_000) }
    pair.server.readLimit = 10
    pair.client.write(pattern(10_000))
    pair.client.flush()
    var most = 0
    #expect(
      try turn(reactor) {
        let before = pair.server.received.count
        try? reactor.runOnce(maximumWait: 1_000_000)
        most = max(most, pair.server.received.count - before)
        return pair.server.received.count == 10_000
      })
    // By the socket's event, and by the timer.
    #expect(most <= 20)
    withExtendedLifetime(others) {}
  }

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
