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

  /// A key update costs us as much as a hundred kilobytes: who sends many for nothing loses the connection, and nobody waits for it.
  @Test func aFloodOfKeyUpdatesEndsTheConnection() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor)
    let writer = BlockingWriter(pair.raw.fd, try Self.keyUpdates(pair.client, 20_000))
    let start = Reactor.clock()
    #expect(try turn(reactor, seconds: 60) { pair.server.events.last == "failed" })
    print("a flood of key updates took \((Reactor.clock() - start) / 1_000_000) ms")
    #expect(pair.server.readFailure?.errno == EPROTO)
    pair.server.reset()
    writer.join()
  }

  /// Who sends as much as it updates goes on, for ever.
  @Test func keyUpdatesThatArePaidForAreWelcome() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor)
    var count = 0
    for _ in 0..<30 {
      var records = try Self.keyUpdates(pair.client, 100)
      for _ in 0..<25 {
        pair.client.write(pattern(16_384))
        records += pair.client.takeRecords()
        count += 16_384
      }
      let writer = BlockingWriter(pair.raw.fd, records)
      #expect(try turn(reactor) { pair.server.received.count == count || pair.server.readFailure != nil })
      writer.join()
      guard pair.server.readFailure == nil else { break }
    }
    // 3000 updates with 12 MB: more than they pay for.
    #expect(pair.server.readFailure?.errno == EPROTO && count > 3_000_000, "after \(count) bytes")
  }

  private static func keyUpdates(_ end: ForeignEnd, _ count: Int) throws -> [UInt8] {
    var records: [UInt8] = []
    for _ in 0..<count {
      try #require(SSL_key_update(end.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(end.ssl) == 1)
      if BIO_ctrl_pending(SSL_get_wbio(end.ssl)) > 60_000 { records += end.takeRecords() }
    }
    return records + end.takeRecords()
  }

  /// Others have their turn while somebody sends byte by byte.
  @Test func recordsOfOneByteAreTakenInPortions() throws {
    let reactor = try Reactor()
    let pair = try ForeignClientPair(reactor)
    var records: [UInt8] = []
    let bytes = pattern(20_000)
    for byte in bytes {
      pair.client.write([byte])
      if BIO_ctrl_pending(SSL_get_wbio(pair.client.ssl)) > 60_000 { records += pair.client.takeRecords() }
    }
    let writer = BlockingWriter(pair.raw.fd, records + pair.client.takeRecords())
    var most = 0
    #expect(
      try turn(reactor) {
        let before = pair.server.received.count
        try? reactor.runOnce(maximumWait: 1_000_000)
        most = max(most, pair.server.received.count - before)
        return pair.server.received.count == bytes.count
      })
    writer.join()
    #expect(firstDifference(pair.server.received, bytes) == nil)
    #expect(most <= 4096, "\(most) records in one turn")
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

  /// Who has sent a TLS record speaks TLS, however it goes on: no reason to speak plain.
  @Test(
    arguments: [
      [0x16, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3], [0x16, 3], [0x16, 3, 3, 0xFF, 0xFF, 1], [0x15, 3, 3, 0, 2, 1, 0],
    ] as [[UInt8]])
  func whoHasSentARecordSpeaksTLS(bytes: [UInt8]) throws {
    let failure = try Self.failure(ofAPeerThatSays: bytes)
    #expect(!failure.isForeignProtocol, "\(failure)")
  }

  @Test(arguments: [[], [0xFF, 1, 2, 3, 4, 5], Array("HTTP/1.1 400 Bad Request\r\n".utf8)] as [[UInt8]])
  func whoHasNotDoesNot(bytes: [UInt8]) throws {
    let failure = try Self.failure(ofAPeerThatSays: bytes)
    #expect(failure.isForeignProtocol, "\(failure)")
  }

  private static func failure(ofAPeerThatSays bytes: [UInt8]) throws -> TLSFailure {
    let reactor = try Reactor()
    var accepted: RawSocket?
    let listener = try Listener(reactor: reactor, on: loopback, accept: { accepted = RawSocket(adopting: $0.fd) })
    let client = try TLSEnd(
      reactor: reactor, connectingTo: listener.endpoint, tls: TLSParameters(try TestCertificates.context(TestCertificates.client)),
      options: SocketOptions())
    #expect(try turn(reactor) { accepted?.read()?.isEmpty == false })
    accepted?.write(bytes)
    accepted?.shutWrite()
    #expect(try turn(reactor) { client.failure != nil })
    listener.close()
    return try #require(client.failure)
  }
}

/// Writes to a socket from a thread of its own.
private final class BlockingWriter {
  private final class Job: Sendable {
    let fd: Int32
    let bytes: [UInt8]
    init(_ fd: Int32, _ bytes: [UInt8]) { (self.fd, self.bytes) = (fd, bytes) }
  }
  private var thread = pthread_t()

  init(_ fd: Int32, _ bytes: [UInt8]) {
    let job = Unmanaged.passRetained(Job(fd, bytes))
    pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
        var rest = job.bytes[...]
        while !rest.isEmpty {
          let count = rest.withUnsafeBytes { send(job.fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
          if count > 0 {
            rest = rest.dropFirst(count)
          } else {
            var entry = pollfd(fd: job.fd, events: Int16(POLLOUT), revents: 0)
            if errno != EAGAIN || poll(&entry, 1, 10_000) <= 0 { return nil }
          }
        }
        return nil
      }, job.toOpaque())
  }

  func join() { pthread_join(thread, nil) }
}
