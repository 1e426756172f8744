internal import NetEndpoint

/// One accepted connection, the one opened for it, and the timer that ends what does not end by itself.
final class RelaySession {
  let identifier: UInt64
  let downstream: RelaySide
  let upstream: RelaySide
  /// For whom the downstream connection was made, where that is known.
  let origin: Endpoint?
  /// The relay holds its sessions.
  private unowned let relay: OpaqueRelay
  private let reactor: Reactor
  private let timer: ReactorTimer
  private var endsReached = 0
  private var finished = false
  /// What the timer stands for now: the span is added to the time of the last byte.
  @exclusivity(unchecked) private var idleSpan: Nanoseconds

  init(_ relay: OpaqueRelay, _ identifier: UInt64, _ downstream: RelaySide, _ upstream: RelaySide, origin: Endpoint?) {
    self.origin = origin
    self.relay = relay
    self.reactor = relay.reactor
    self.identifier = identifier
    self.downstream = downstream
    self.upstream = upstream
    idleSpan = 0
    let owner = Owner()
    timer = ReactorTimer(relay.reactor) { owner.session?.timedOut() }
    owner.session = self
    downstream.join(upstream, self)
    upstream.join(downstream, self)
    timer.arm(at: reactor.now &+ relay.options.connectTimeout)
  }

  /// The timer is made before the session is complete, and must not keep it alive.
  private final class Owner {
    weak var session: RelaySession?
  }

  func opened() {
    idleSpan = relay.options.idleTimeout
    if idleSpan > 0 { moved() } else { timer.disarm() }
    downstream.resumeReading()
  }

  /// Bytes went through: the deadline moves, which is one store.
  @inline(__always)
  func moved() {
    if idleSpan > 0 { timer.arm(at: reactor.now &+ idleSpan) }
  }

  func endReached() {
    endsReached += 1
    idleSpan = relay.options.halfCloseTimeout
    moved()
    finishIfDone()
  }

  /// Over when both ends were read and everything is written; the FINs are out by then.
  func finishIfDone() {
    if endsReached == 2 && downstream.pendingBytes == 0 && upstream.pendingBytes == 0 { finish(.finished) }
  }

  func lost(_ side: RelaySide, _ failure: SystemFailure) {
    finish(side === downstream ? .downstreamLost(failure) : .upstreamLost(failure))
  }

  private func timedOut() {
    if upstream.isConnecting {
      finish(.connectTimedOut)
    } else {
      finish(endsReached > 0 ? .halfCloseTimedOut : .idleTimedOut)
    }
  }

  /// Ends without a report: the relay itself is being released.
  func abandon() {
    finished = true
    timer.disarm()
    downstream.reset()
    upstream.reset()
  }

  func finish(_ end: RelayEnd) {
    guard !finished else { return }
    finished = true
    timer.disarm()
    if end == .finished {
      downstream.close()
      upstream.close()
    } else {
      downstream.reset()
      upstream.reset()
    }
    // Nothing of this object may be touched after this line: it can be gone.
    relay.forget(identifier, end)
  }
}

/// One end of a session. What it reads, the other end sends; while the other has output pending, this one is not read.
final class RelaySide: Connection {
  // Set before the first event, and a closed connection gets no events: neither is used after the session's end.
  // Unmanaged, because they are touched for every event and need no reference counting: the session outlives the events of its sides.
  @exclusivity(unchecked) private var other: Unmanaged<RelaySide>?
  @exclusivity(unchecked) private var session: Unmanaged<RelaySession>?
  /// The other end's alert, where it came when for us the handshake was over.
  private var refusal: TLSFailure?

  func join(_ other: RelaySide, _ session: RelaySession) {
    self.other = .passUnretained(other)
    self.session = .passUnretained(session)
  }

  override func connected() { session?._withUnsafeGuaranteedRef { $0.opened() } }

  override func handshakeFailed(_ failure: TLSFailure) { session?._withUnsafeGuaranteedRef { $0.finish(.handshakeFailed(failure)) } }

  override func recordsFailed(_ failure: TLSFailure) { refusal = failure.kind == .refusedByPeer ? failure : nil }

  override func connectFailed(_ failure: SystemFailure) { session?._withUnsafeGuaranteedRef { $0.finish(.connectFailed(failure)) } }

  override func readable() {
    guard let other, let session else { return }
    let outcome = read(into: reactor.readBuffer)
    session._withUnsafeGuaranteedRef { session in
      other._withUnsafeGuaranteedRef { other in pass(outcome, to: other, session) }
    }
  }

  @inline(__always)
  private func pass(_ outcome: ReadOutcome, to other: RelaySide, _ session: RelaySession) {
    switch outcome {
    case .bytes(let count):
      session.moved()
      switch other.send(UnsafeRawBufferPointer(rebasing: reactor.readBuffer[..<count])) {
      case .sent: break
      case .queued, .overflow: pauseReading()
      case .failed(let failure): session.lost(other, failure)
      }
    case .wouldBlock: break
    case .end:
      other.shutdownWrite()
      session.endReached()
    case .failed(let failure):
      if let refusal { session.finish(.handshakeFailed(refusal)) } else { session.lost(self, failure) }
    }
  }

  override func drained() {
    guard let other, let session else { return }
    session._withUnsafeGuaranteedRef { session in
      session.moved()
      other._withUnsafeGuaranteedRef { $0.resumeReading() }
      session.finishIfDone()
    }
  }

  override func broken(_ failure: SystemFailure) { session?._withUnsafeGuaranteedRef { $0.lost(self, failure) } }
}
