import CertificateTestSupport
import LinuxIO
import NetEndpoint
import Testing

/// A connection that speaks TLS, and records what it is told.
final class TLSEnd: Connection {
  var received: [UInt8] = []
  var events: [String] = []
  var failure: TLSFailure?
  var readFailure: SystemFailure?
  var readLimit = Reactor.readBufferSize
  var pausesAfterRead = false
  /// Begins as a server at the first byte.
  var server: TLSParameters?

  override func connected() { events.append("connected") }
  override func connectFailed(_ failure: SystemFailure) { events.append("connectFailed \(failure.errno)") }
  override func handshakeFailed(_ failure: TLSFailure) {
    self.failure = failure
    events.append("handshakeFailed")
    close()
  }
  override func drained() {}
  override func broken(_ failure: SystemFailure) { events.append("broken") }
  override func readable() {
    if let parameters = server {
      server = nil
      return startTLS(parameters)
    }
    switch read(into: UnsafeMutableRawBufferPointer(rebasing: reactor.readBuffer[..<readLimit])) {
    case .bytes(let count):
      received += reactor.readBuffer[..<count]
      if pausesAfterRead { pauseReading() }
    case .wouldBlock: break
    case .end: events.append("end")
    case .failed(let failure):
      readFailure = failure
      events.append("failed")
    }
  }

  @discardableResult
  func send(_ bytes: [UInt8]) -> SendOutcome { bytes.withUnsafeBytes { send($0) } }
}

/// Certificates for the tests of this module, made once.
enum TestCertificates {
  static let pki = try! TestPKI()
  static let server = try! pki.issue("server.lane.test", uris: ["spiffe://lane.test/server"], addresses: ["127.0.0.1"])
  static let client = try! pki.issue("client.lane.test")

  static func context(
    _ issued: TestPKI.Issued, authorities: String? = nil, crl: String? = nil, minimum: TLSVersion = .tls13
  ) throws -> TLSContext {
    try TLSContext(
      TLSFiles(certificate: issued.certificate, key: issued.key, authorities: authorities ?? pki.caFile, revocations: crl), minimum: minimum
    )
  }
}

/// A server of ours that waits for its first byte, and a plain socket connected to it.
func serverAndRawClient(_ reactor: Reactor, configure: (inout TLSParameters) -> Void = { _ in }) throws -> (TLSEnd, RawSocket) {
  var made: TLSEnd?
  var parameters = TLSParameters(try TestCertificates.context(TestCertificates.server))
  configure(&parameters)
  let server = parameters
  let listener = try Listener(
    reactor: reactor, on: loopback,
    accept: {
      made = try? TLSEnd(reactor: reactor, accepted: $0, options: SocketOptions())
      made?.server = server
    })
  let raw = try RawSocket(connectingTo: listener.endpoint)
  #expect(try turn(reactor) { made != nil })
  listener.close()
  return (try #require(made), raw)
}

/// Two ends of one connection on one reactor, until the pair goes: a reactor and its open connections hold each other.
final class TLSPair {
  let client: TLSEnd
  let server: TLSEnd

  init(
    _ reactor: Reactor, client clientParameters: TLSParameters? = nil, server serverParameters: TLSParameters? = nil,
    options: SocketOptions = SocketOptions(), untilConnected: Bool = true
  ) throws {
    var made: TLSEnd?
    let own = try serverParameters ?? TLSParameters(TestCertificates.context(TestCertificates.server))
    let listener = try Listener(
      reactor: reactor, on: loopback,
      accept: {
        made = try? TLSEnd(reactor: reactor, accepted: $0, options: options)
        made?.server = own
      })
    client = try TLSEnd(
      reactor: reactor, connectingTo: listener.endpoint,
      tls: clientParameters ?? TLSParameters(TestCertificates.context(TestCertificates.client)), options: options)
    client.pendingLimit = 16 << 20
    let near = client
    #expect(try turn(reactor) { made != nil && !near.events.isEmpty && (made?.events.isEmpty == false || near.failure != nil) })
    server = try #require(made)
    server.pendingLimit = 16 << 20
    listener.close()
    if untilConnected {
      #expect(client.events == ["connected"] && server.events == ["connected"], "\(client.failure as Any) \(server.failure as Any)")
    }
  }

  deinit {
    client.reset()
    server.reset()
  }
}
