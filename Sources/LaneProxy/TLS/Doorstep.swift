internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// The accepted connections of one listener of which it is not yet known whether they speak TLS, or whether they may.
final class Doorsteps {
  let settings: TLSSettings
  /// In a handshake now.
  fileprivate(set) var handshakes = 0
  private unowned let proxy: Proxy
  private let direction: LaneEvent.Direction
  /// What stands behind the listener.
  private let peer: Endpoint
  private let opened: (AcceptedSocket, TLSSession?) -> Void
  private var waiting: [Int: Doorstep] = [:]

  init(
    _ proxy: Proxy, _ settings: TLSSettings, _ direction: LaneEvent.Direction, peer: Endpoint,
    opened: @escaping (AcceptedSocket, TLSSession?) -> Void
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
    return TLSParameters(settings.certificates.current) { allow.refusal(of: CertificateNames($0)) }
  }

  fileprivate func left(_ number: Int) { waiting[number] = nil }

  fileprivate func handOver(_ number: Int, _ socket: AcceptedSocket, _ tls: TLSSession?) {
    left(number)
    opened(socket, tls)
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
/// It waits for the first byte, which tells TLS from CubeFS, goes through the handshake, and hands its socket over.
final class Doorstep: Connection {
  private unowned let doorsteps: Doorsteps
  private let number: Int
  private let expectation: InboundTLSPolicy.Expectation
  private var timer: ReactorTimer?
  private var isShakingHands = false

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
    guard doorsteps.handshakes < doorsteps.settings.maxHandshakes else { return refuse(.handshakeLimit) }
    isShakingHands = true
    doorsteps.handshakes += 1
    timer?.arm(at: reactor.now &+ doorsteps.settings.handshakeTimeout)
    startTLS(doorsteps.parameters)
  }

  override func connected() { giveUp() }

  override func drained() { if tls != nil { giveUp() } }

  override func handshakeFailed(_ failure: TLSFailure) {
    doorsteps.refused(self, Reason(failure.kind), "\(failure)")
    leave(closing: true)
  }

  override func broken(_ failure: SystemFailure) { leave(closing: true) }

  private func timeIsUp() {
    // As a session's that has nothing to do.
    if expectation == .either, !isShakingHands { return leave(closing: true) }
    refuse(.tlsTimeout)
  }

  private func refuse(_ reason: Reason) {
    doorsteps.refused(self, reason, nil)
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
      doorsteps.handshakes -= 1
    }
  }

  /// The records of the handshake may still wait for room in the socket; then `drained` comes back here.
  private func giveUp() {
    guard let (socket, tls) = handOver() else { return }
    settle()
    doorsteps.handOver(number, socket, tls)
  }
}
