import COpenSSL
import LinuxIO
import TestBytes
import Testing

/// A protocol above TLS that both ends know, or only one of them.
@Suite struct ApplicationProtocolTests {
  private static func parameters(_ isClient: Bool, _ name: String?, opening: [UInt8] = []) throws -> TLSParameters {
    var parameters = try TLSParameters(TestCertificates.context(isClient ? TestCertificates.client : TestCertificates.server))
    parameters.applicationProtocol = name.map { ApplicationProtocol($0, opening: opening) }
    return parameters
  }

  @Test func theOpeningComesFirstWhereBothKnowIt() throws {
    let reactor = try Reactor()
    let opening = pattern(100, seed: 3)
    let pair = try TLSPair(
      reactor, client: Self.parameters(true, "lane/1", opening: opening), server: Self.parameters(false, "lane/1"))
    #expect(pair.client.tls?.speaksApplicationProtocol == true && pair.server.tls?.speaksApplicationProtocol == true)
    pair.client.send([1, 2, 3])
    #expect(try turn(reactor) { pair.server.received.count >= 103 })
    #expect(pair.server.received == opening + [1, 2, 3])
    // It is nobody's.
    #expect(pair.client.bytesWritten == 3)
  }

  @Test(
    arguments: [(nil, "lane/1"), ("lane/1", nil), ("lane/2", "lane/1"), ("lane", "lane/1"), ("lane/10", "lane/1")] as [(String?, String?)])
  func thereIsNoneWhereOnlyOneKnowsIt(client: String?, server: String?) throws {
    let reactor = try Reactor()
    let pair = try TLSPair(
      reactor, client: Self.parameters(true, client, opening: pattern(100)), server: Self.parameters(false, server))
    #expect(pair.client.tls?.speaksApplicationProtocol == false && pair.server.tls?.speaksApplicationProtocol == false)
    pair.client.send([1, 2, 3])
    #expect(try turn(reactor) { pair.server.received.count >= 3 })
    #expect(pair.server.received == [1, 2, 3])
  }

  /// What is sent while the handshake runs waits behind the opening.
  @Test func theOpeningComesBeforeWhatWasSentEarly() throws {
    let reactor = try Reactor()
    var made: TLSEnd?
    let parameters = try Self.parameters(false, "lane/1")
    let listener = try Listener(
      reactor: reactor, on: loopback,
      accept: {
        made = try? TLSEnd(reactor: reactor, accepted: $0, options: SocketOptions())
        made?.server = parameters
      })
    let client = try TLSEnd(
      reactor: reactor, connectingTo: listener.endpoint, tls: Self.parameters(true, "lane/1", opening: [7, 7]), options: SocketOptions())
    #expect(client.send([1, 2, 3]) == .queued)
    #expect(try turn(reactor) { made?.received.count ?? 0 >= 5 })
    #expect(made?.received == [7, 7, 1, 2, 3])
    client.reset()
    made?.reset()
    listener.close()
  }

  /// A list of several, ours last, and lists that have ours only as a part of another.
  @Test(arguments: [(["h2", "lane/1"], true), (["lane/1", "h2"], true), (["h2"], false), (["xlane/1", "lane/1x", "lane/"], false)])
  func oneOfAForeignClientsListIsChosen(offered: [String], isChosen: Bool) throws {
    let reactor = try Reactor()
    let list = offered.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    let pair = try ForeignClientPair(
      reactor, configure: { #expect(SSL_set_alpn_protos($0, list, UInt32(list.count)) == 0) },
      server: { $0.applicationProtocol = ApplicationProtocol("lane/1") })
    #expect(pair.server.tls?.speaksApplicationProtocol == isChosen)
    pair.client.write([1])
    pair.client.flush()
    #expect(try turn(reactor) { pair.server.received == [1] })
  }
}
