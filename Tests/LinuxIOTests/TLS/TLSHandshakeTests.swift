import CertificateTestSupport
import Glibc
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

/// Handshakes that must fail, and ones that break off.
@Suite struct TLSHandshakeTests {
  @Test func aRefusalByNameReachesBothEnds() throws {
    let reactor = try Reactor()
    let server = TLSParameters(try TestCertificates.context(TestCertificates.server)) { "\($0.dnsNames) not wanted" }
    let pair = try TLSPair(reactor, server: server, untilConnected: false)
    #expect(try turn(reactor) { pair.server.failure != nil && ["end", "failed", "handshakeFailed"].contains(pair.client.events.last) })
    #expect(pair.server.failure?.kind == .wrongName && pair.server.failure?.detail == "[\"client.lane.test\"] not wanted")
    #expect(pair.server.failure?.certificate?.dnsNames == ["client.lane.test"])
    #expect(!pair.server.events.contains("connected") && pair.server.received.isEmpty)
  }

  @Test func aClientRefusesByName() throws {
    let reactor = try Reactor()
    let client = TLSParameters(try TestCertificates.context(TestCertificates.client)) { _ in "no" }
    let pair = try TLSPair(reactor, client: client, untilConnected: false)
    #expect(try turn(reactor) { pair.server.failure != nil })
    #expect(pair.client.failure?.kind == .wrongName && pair.server.failure?.kind == .refusedByPeer)
    #expect(pair.client.events == ["handshakeFailed"] && !pair.server.events.contains("connected"))
  }

  /// Garbage, a plain CubeFS packet, HTTP, and a hello that never ends.
  @Test(
    arguments: [[0xFF, 1, 2, 3, 4, 5, 6, 7], Array("GET / HTTP/1.0\r\n\r\n".utf8), [0x16, 3, 1, 0xFF, 0xFF] + pattern(200)] as [[UInt8]])
  func whatIsNoTLSIsRefused(bytes: [UInt8]) throws {
    let reactor = try Reactor()
    let (server, raw) = try serverAndRawClient(reactor)
    raw.write(bytes)
    if bytes[0] == 0x16 { raw.shutWrite() }
    #expect(try turn(reactor) { server.failure != nil })
    #expect([.notTLS, .truncated, .protocolError].contains(server.failure?.kind))
    raw.close()
    #expect(try turn(reactor) { reactor.registrations == 1 })
  }

  /// A client that goes away after so many bytes of a real hello.
  @Test(arguments: [1, 5, 6, 100, 200], [false, true]) func aClientThatLeavesInMidHandshake(after count: Int, reset: Bool) throws {
    let reactor = try Reactor()
    let hello = try Self.clientHello()
    let (server, raw) = try serverAndRawClient(reactor)
    raw.write(Array(hello.prefix(count)))
    for _ in 0..<3 { try reactor.runOnce(maximumWait: 1_000_000) }
    if reset { raw.reset() } else { raw.close() }
    #expect(try turn(reactor) { server.failure != nil })
    #expect(server.failure?.kind == (reset ? .lost : .truncated), "\(server.failure as Any)")
    #expect(try turn(reactor) { reactor.registrations == 1 })
  }

  /// One byte at a time is slow, and works.
  @Test func aHelloInSingleBytesIsAnswered() throws {
    let reactor = try Reactor()
    let hello = try Self.clientHello()
    let (server, raw) = try serverAndRawClient(reactor)
    for byte in hello {
      raw.write([byte])
      try reactor.runOnce(maximumWait: 100_000)
    }
    #expect(try turn(reactor) { raw.read()?.first == 0x16 })
    #expect(server.failure == nil)
    server.close()
    raw.close()
  }

  @Test func versions() throws {
    let reactor = try Reactor()
    let old = try TestCertificates.context(TestCertificates.client, minimum: .tls12)
    let both = try TLSPair(reactor, client: TLSParameters(old))
    #expect(both.client.tls?.version == "TLSv1.3")
  }

  /// The server is gone as soon as TCP stands.
  @Test func aServerThatIsNone() throws {
    let reactor = try Reactor()
    let client = try TLSEnd(
      reactor: reactor, connectingTo: try deadPort(), tls: TLSParameters(try TestCertificates.context(TestCertificates.client)),
      options: SocketOptions())
    #expect(try turn(reactor) { client.events == ["connectFailed \(ECONNREFUSED)"] })
    client.close()
    let listener = try Listener(reactor: reactor, on: loopback, accept: { $0.close() })
    let second = try TLSEnd(
      reactor: reactor, connectingTo: listener.endpoint, tls: TLSParameters(try TestCertificates.context(TestCertificates.client)),
      options: SocketOptions())
    #expect(try turn(reactor) { second.failure != nil })
    #expect(second.failure?.isForeignProtocol == true)
    listener.close()
  }

  /// What a client of ours sends first.
  private static func clientHello() throws -> [UInt8] {
    let reactor = try Reactor()
    var accepted: Recorder?
    let listener = try Listener(
      reactor: reactor, on: loopback, accept: { accepted = try? Recorder(reactor: reactor, accepted: $0, options: SocketOptions()) })
    let client = try TLSEnd(
      reactor: reactor, connectingTo: listener.endpoint, tls: TLSParameters(try TestCertificates.context(TestCertificates.client)),
      options: SocketOptions())
    #expect(try turn(reactor) { (accepted?.received.count ?? 0) > 200 })
    let hello = accepted?.received ?? []
    #expect(hello.first == 0x16)
    accepted?.reset()
    client.reset()
    listener.close()
    return hello
  }
}
