internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// The accepted connections of one listener of which it is not yet known whether they speak TLS, or whether they may.
final class Doorsteps {
  var settings: TLSSettings
  /// In a handshake now.
  private(set) var handshakes = 0
  /// Likewise, by the address that they came from: those that have any.
  private var handshakesOfSource: [UInt32: Int] = [:]
  private unowned let proxy: Proxy
  private let direction: LaneEvent.Direction
  /// What stands behind the listener.
  private let peer: Endpoint
  private let opened: (AcceptedSocket, TLSSession?, ProxyHeader?) -> Void
  private var waiting: [Int: Doorstep] = [:]

  init(
    _ proxy: Proxy, _ settings: TLSSettings, _ direction: LaneEvent.Direction, peer: Endpoint,
    opened: @escaping (AcceptedSocket, TLSSession?, ProxyHeader?) -> Void
  ) {
    self.proxy = proxy
    self.settings = settings
    self.direction = direction
    self.peer = peer
    self.opened = opened
  }

  var count: Int { waiting.count }

  /// Takes an accepted connection.
  func receive(_ socket: AcceptedSocket, _ expectation: InboundTLSPolicy.Expectation) throws(SystemFailure) {
    let number = proxy.newSessionNumber()
    waiting[number] = try Doorstep(self, number, proxy, accepted: socket, expectation)
  }

  /// Ends them all.
  func close() {
    for doorstep in Array(waiting.values) { doorstep.leave(closing: true) }
  }

  /// With the certificates of this moment.
  fileprivate var parameters: TLSParameters {
    let allow = settings.allow
    var parameters = TLSParameters(settings.certificates.current) { allow.refusal(of: CertificateNames($0)) }
    parameters.applicationProtocol = .lanekeeper()
    return parameters
  }

  /// A handshake may begin. Otherwise returns what stands in its way.
  fileprivate func beginHandshake(from source: UInt32) -> String? {
    let ofSource = handshakesOfSource[source] ?? 0
    if handshakes >= settings.maxHandshakes { return "\(handshakes) are in flight; tls.maxHandshakes is \(settings.maxHandshakes)" }
    if ofSource >= settings.maxHandshakesPerSource {
      return "\(ofSource) from its address are in flight; tls.maxHandshakesPerSource is \(settings.maxHandshakesPerSource)"
    }
    handshakes += 1
    handshakesOfSource[source] = ofSource + 1
    return nil
  }

  /// One that began is over.
  fileprivate func endHandshake(from source: UInt32) {
    handshakes -= 1
    let ofSource = handshakesOfSource[source] ?? 0
    handshakesOfSource[source] = ofSource > 1 ? ofSource - 1 : nil
  }

  fileprivate func left(_ number: Int) { waiting[number] = nil }

  fileprivate func handOver(_ number: Int, _ socket: AcceptedSocket, _ tls: TLSSession?, _ introduction: ProxyHeader?) {
    left(number)
    opened(socket, tls, introduction)
  }

  fileprivate func refused(_ doorstep: Doorstep, _ reason: Reason, _ detail: String?) {
    proxy.tlsStatistics.refused(direction)
    var event = LaneEvent(.tlsRefused, reason: reason, action: .refused)
    event.direction = direction
    event.caller = doorstep.remote
    event.peer = peer
    event.detail = detail
    proxy.sink.record(event)
  }
}

/// One of them: nobody else hears of it yet.
///
/// It waits for the first byte, which tells TLS from CubeFS, goes through the handshake, lets a sidecar say for whom it connects,
/// and hands its socket over.
final class Doorstep: Connection {
  private unowned let doorsteps: Doorsteps
  private let number: Int
  private let expectation: InboundTLSPolicy.Expectation
  private var timer: ReactorTimer?
  /// From the first record to the hand-over.
  private var isShakingHands = false
  private var header = ProxyHeaderParser()
  private var introduction: ProxyHeader?

  init(
    _ doorsteps: Doorsteps, _ number: Int, _ proxy: Proxy, accepted: AcceptedSocket, _ expectation: InboundTLSPolicy.Expectation
  )
    throws(SystemFailure)
  {
    self.doorsteps = doorsteps
    self.number = number
    self.expectation = expectation
    try super.init(reactor: proxy.reactor, accepted: accepted, options: proxy.settings.downstream)
    timer = ReactorTimer(reactor) { [unowned self] in self.timeIsUp() }
    // A plain client may connect long before its first request; who speaks TLS has no reason to wait.
    let idleCaller = proxy.settings.idleCaller
    if expectation == .tlsOnly {
      timer?.arm(at: reactor.now &+ doorsteps.settings.handshakeTimeout)
    } else if idleCaller > 0 {
      timer?.arm(at: reactor.now &+ idleCaller)
    }
  }

  override func readable() {
    if tls != nil { return handshakeIsOver() }
    guard let byte = firstByte() else {
      // Its end, or a reset, before the first byte.
      if case .quiet = peek() { return }
      return leave(closing: true)
    }
    switch InboundTLSPolicy.firstByte(byte, expectation: expectation) {
    case .plain: giveUp()
    case .tls: shakeHands()
    case .refuse(let refusal): refuse(Reason(refusal))
    }
  }

  private func shakeHands() {
    if let limit = doorsteps.beginHandshake(from: remote.address) { return refuse(.handshakeLimit, limit) }
    isShakingHands = true
    timer?.arm(at: reactor.now &+ doorsteps.settings.handshakeTimeout)
    startTLS(doorsteps.parameters)
  }

  override func connected() { handshakeIsOver() }

  override func drained() { if tls != nil { handshakeIsOver() } }

  /// A client that speaks our protocol is a sidecar: by now its certificate is known, and what it says of the connection is believed.
  private func handshakeIsOver() {
    guard introduction == nil, let tls, tls.speaksApplicationProtocol else { return giveUp() }
    while introduction == nil {
      // What follows the header is the session's to read.
      let buffer = UnsafeMutableRawBufferPointer(rebasing: reactor.readBuffer[..<header.needed])
      switch read(into: buffer) {
      case .bytes(let count):
        do throws(ProxyHeaderRefusal) {
          introduction = try header.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } catch { return refuse(.proxyHeader, "\(error)") }
      case .wouldBlock: return
      case .end: return refuse(.proxyHeader, "the connection ended after \(header.count) bytes of the PROXY header")
      case .failed(let failure): return refuse(.tlsLost, "\(failure), after \(header.count) bytes of the PROXY header")
      }
    }
    giveUp()
  }

  override func handshakeFailed(_ failure: TLSFailure) {
    doorsteps.refused(self, Reason(failure.kind), "\(failure)")
    leave(closing: true)
  }

  override func broken(_ failure: SystemFailure) { leave(closing: true) }

  private func timeIsUp() {
    // As a session's that has nothing to do.
    if expectation == .either, !isShakingHands { return leave(closing: true) }
    refuse(.tlsTimeout, tls == nil ? nil : "\(header.count) bytes of the PROXY header came")
  }

  private func refuse(_ reason: Reason, _ detail: String? = nil) {
    doorsteps.refused(self, reason, detail)
    leave(closing: false)
  }

  /// Ends without a session.
  func leave(closing: Bool) {
    settle()
    doorsteps.left(number)
    if closing { close() } else { reset() }
  }

  private func settle() {
    timer?.disarm()
    if isShakingHands {
      isShakingHands = false
      doorsteps.endHandshake(from: remote.address)
    }
  }

  /// The records of the handshake may still wait for room in the socket; then `drained` comes back here.
  private func giveUp() {
    guard let (socket, tls) = handOver() else { return pauseReading() }
    settle()
    doorsteps.handOver(number, socket, tls, introduction)
  }
}
