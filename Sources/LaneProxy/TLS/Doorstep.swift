internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// An inbound connection of which it is not yet known whether it speaks TLS, or whether it may: the datanode hears nothing of it.
///
/// It waits for the first byte, which tells TLS from CubeFS, goes through the handshake, and hands its socket over.
final class Doorstep: Connection {
  private unowned let inbound: Inbound
  private let number: Int
  private let security: InboundSecurity
  private let expectation: InboundTLSPolicy.Expectation
  private var timer: ReactorTimer?
  private(set) var isShakingHands = false

  init(
    _ inbound: Inbound, _ number: Int, accepted: AcceptedSocket, _ security: InboundSecurity, _ expectation: InboundTLSPolicy.Expectation
  )
    throws(SystemFailure)
  {
    self.inbound = inbound
    self.number = number
    self.security = security
    self.expectation = expectation
    try super.init(reactor: inbound.proxy.reactor, accepted: accepted, options: inbound.proxy.settings.downstream)
    timer = ReactorTimer(reactor) { [unowned self] in self.timeIsUp() }
    // A plain client may connect long before its first request; who speaks TLS has no reason to wait.
    let idleCaller = inbound.proxy.settings.idleCaller
    if expectation == .tlsOnly {
      timer?.arm(at: reactor.now &+ security.settings.handshakeTimeout)
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
    case .plain: handOverTo(plain: true)
    case .tls: shakeHands()
    case .refuse(let refusal): refuse(Reason(refusal))
    }
  }

  private func shakeHands() {
    guard inbound.handshakes < security.settings.maxHandshakes else { return refuse(.handshakeLimit) }
    isShakingHands = true
    inbound.handshakes += 1
    timer?.arm(at: reactor.now &+ security.settings.handshakeTimeout)
    startTLS(security.parameters)
  }

  override func connected() { handOverTo(plain: false) }

  override func drained() { if tls != nil { handOverTo(plain: false) } }

  override func handshakeFailed(_ failure: TLSFailure) {
    report(Reason(failure.kind), "\(failure)")
    leave(closing: true)
  }

  override func broken(_ failure: SystemFailure) { leave(closing: true) }

  private func timeIsUp() {
    // As a session's that has nothing to do.
    if expectation == .either, !isShakingHands { return leave(closing: true) }
    refuse(.tlsTimeout)
  }

  private func refuse(_ reason: Reason) {
    report(reason, nil)
    leave(closing: false)
  }

  private func report(_ reason: Reason, _ detail: String?) {
    var event = LaneEvent(.tlsRefused, reason: reason, action: .refused)
    event.direction = .inbound
    event.caller = remote
    event.peer = inbound.datanode
    event.detail = detail
    inbound.handshakeRefused(event)
  }

  /// Ends without a session.
  func leave(closing: Bool) {
    forget()
    if closing { close() } else { reset() }
  }

  private func forget() {
    timer?.disarm()
    if isShakingHands {
      isShakingHands = false
      inbound.handshakes -= 1
    }
    inbound.doorsteps[number] = nil
  }

  /// The records of the handshake may still wait for room in the socket; then `drained` comes back here.
  private func handOverTo(plain: Bool) {
    guard let (socket, tls) = handOver() else { return }
    forget()
    inbound.open(socket, tls)
  }
}

/// What inbound needs of TLS.
struct InboundSecurity {
  let settings: TLSSettings

  /// With the certificates of this moment.
  var parameters: TLSParameters {
    let allow = settings.allow
    return TLSParameters(settings.certificates.current) { certificate in
      let names = CertificateNames(certificate)
      return allow.allows(names) ? nil : "\(names.text): none of them is in tls.allow"
    }
  }
}
