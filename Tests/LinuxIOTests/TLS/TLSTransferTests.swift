import Glibc
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

/// Bytes through TLS between two of our own ends; foreign ends are in the end-to-end tests.
@Suite struct TLSTransferTests {
  @Test func whatIsAgreedOn() throws {
    let reactor = try Reactor()
    let pair = try TLSPair(reactor)
    #expect(pair.client.tls?.version == "TLSv1.3" && pair.client.tls?.cipher == "TLS_AES_128_GCM_SHA256")
    #expect(pair.client.tls?.peer?.dnsNames == ["server.lane.test"])
    #expect(pair.server.tls?.peer?.dnsNames == ["client.lane.test"])
    // Nothing but a handshake has come: no ticket, no early data.
    #expect(pair.client.peek() == .quiet && pair.server.peek() == .quiet)
    #expect(pair.client.bytesRead == 0 && pair.client.bytesWritten == 0)
  }

  @Test(arguments: [1, 16_383, 16_384, 16_385, 256 * 1024 + 1, 2_400_000], [Reactor.readBufferSize, 16_384, 1000])
  func everySizeOfPiece(size: Int, readLimit: Int) throws {
    let reactor = try Reactor()
    var options = SocketOptions()
    // Writes that the socket takes in part.
    options.sendBuffer = 32_768
    let pair = try TLSPair(reactor, options: options)
    pair.server.readLimit = readLimit
    let bytes = pattern(size, seed: size)
    for end in [pair.client, pair.server] {
      let other = end === pair.client ? pair.server : pair.client
      #expect([.sent, .queued].contains(end.send(bytes)))
      #expect(end.bytesWritten == UInt64(size))
      #expect(try turn(reactor) { other.received.count >= size })
      #expect(firstDifference(other.received, bytes) == nil)
      #expect(other.bytesRead == UInt64(size))
    }
    #expect(pair.client.peek() == .quiet && pair.server.peek() == .quiet)
  }

  @Test func randomPiecesBothWaysAtOnce() throws {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    let reactor = try Reactor()
    let pair = try TLSPair(reactor)
    var sent: [[UInt8]] = [[], []]
    let ends = [pair.client, pair.server]
    for _ in 0..<300 {
      let from = Int.random(in: 0...1, using: &random)
      let piece = random.bytes(Int.random(in: 1...40_000, using: &random))
      guard [.sent, .queued].contains(ends[from].send(piece)) else { break }
      sent[from] += piece
      ends[1 - from].readLimit = Int.random(in: 1...Reactor.readBufferSize, using: &random)
      if Bool.random(using: &random) { try reactor.runOnce(maximumWait: 0) }
    }
    #expect(try turn(reactor) { ends[1].received.count == sent[0].count && ends[0].received.count == sent[1].count })
    #expect(firstDifference(ends[1].received, sent[0]) == nil && firstDifference(ends[0].received, sent[1]) == nil)
  }

  @Test func bytesSentBeforeTheHandshakeAreKept() throws {
    let reactor = try Reactor()
    let context = try TestCertificates.context(TestCertificates.server)
    var made: TLSEnd?
    let listener = try Listener(
      reactor: reactor, on: loopback,
      accept: {
        made = try? TLSEnd(reactor: reactor, accepted: $0, options: SocketOptions())
        made?.server = TLSParameters(context)
      })
    let client = try TLSEnd(
      reactor: reactor, connectingTo: listener.endpoint, tls: TLSParameters(try TestCertificates.context(TestCertificates.client)),
      options: SocketOptions())
    #expect(client.send([1, 2]) == .queued && client.send([3]) == .queued && client.isConnecting)
    #expect(try turn(reactor) { made?.received == [1, 2, 3] })
    client.close()
    made?.close()
    listener.close()
  }

  @Test func pausedReadingHoldsWhatIsInside() throws {
    let reactor = try Reactor()
    let pair = try TLSPair(reactor)
    pair.server.readLimit = 10
    pair.server.pauseReading()
    pair.client.send(pattern(100))
    for _ in 0..<5 { try reactor.runOnce(maximumWait: 1_000_000) }
    #expect(pair.server.received.isEmpty && pair.server.peek() == .readable)
    // The record is in OpenSSL's memory now: the socket is empty, and says nothing.
    pair.server.resumeReading()
    #expect(try turn(reactor) { pair.server.received == pattern(100) })
  }

  @Test func halfCloseBothWays() throws {
    let reactor = try Reactor()
    let pair = try TLSPair(reactor)
    pair.client.send([1])
    pair.client.shutdownWrite()
    #expect(try turn(reactor) { pair.server.events.last == "end" })
    #expect(pair.server.received == [1] && pair.server.peek() == .end)
    #expect(pair.server.send([2, 3]) == .sent)
    #expect(try turn(reactor) { pair.client.received == [2, 3] })
    pair.server.close()
    #expect(try turn(reactor) { pair.client.events.last == "end" })
    pair.client.close()
    // What lingered is gone: the mailbox is left.
    #expect(try turn(reactor) { reactor.registrations == 1 })
  }

  /// A connection cut without a close-notify must not look like one that has ended.
  @Test(arguments: [false, true]) func aCutIsAFailure(midRecord: Bool) throws {
    let reactor = try Reactor()
    let pair = try TLSPair(reactor)
    pair.client.send(pattern(1000))
    #expect(try turn(reactor) { pair.server.received.count == 1000 })
    if midRecord {
      // The first bytes of a record that says it has 256 bytes.
      let bytes: [UInt8] = [0x17, 0x03, 0x03, 0x01, 0x00, 1, 2, 3]
      #expect(write(pair.client.descriptor, bytes, bytes.count) == bytes.count)
    }
    shutdown(pair.client.descriptor, Int32(SHUT_WR))
    #expect(try turn(reactor) { pair.server.events.last == "failed" })
    #expect(pair.server.send([1]) != .sent)
  }

  @Test func aChangedByteIsAFailure() throws {
    let reactor = try Reactor()
    let pair = try TLSPair(reactor)
    let bytes: [UInt8] = [0x17, 0x03, 0x03, 0x00, 0x20] + pattern(32)
    #expect(write(pair.client.descriptor, bytes, bytes.count) == bytes.count)
    #expect(try turn(reactor) { pair.server.events.last == "failed" })
    #expect(pair.server.received.isEmpty)
  }

  @Test func aHandedOverSocketGoesOn() throws {
    let reactor = try Reactor()
    let pair = try TLSPair(reactor)
    // The record waits in OpenSSL's memory while the socket changes hands.
    pair.server.pauseReading()
    pair.client.send([1, 2, 3])
    #expect(try turn(reactor) { pair.server.peek() == .readable })
    let (socket, tls) = try #require(pair.server.handOver())
    #expect(!pair.server.isOpen && tls != nil)
    let next = try TLSEnd(reactor: reactor, accepted: socket, tls: tls, options: SocketOptions())
    #expect(try turn(reactor) { next.received == [1, 2, 3] })
    next.send([4])
    #expect(try turn(reactor) { pair.client.received == [4] })
    next.close()
    #expect(try turn(reactor) { pair.client.events.last == "end" })
  }
}
