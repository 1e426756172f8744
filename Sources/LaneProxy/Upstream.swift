internal import CubeFSWire
internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// One connection to a peer: being dialled, leased to a caller's session, or idle in its lane.
final class Upstream: Connection, ReplySource {
  let peer: Peer
  let id: Int
  let operationClass: OperationClass
  let openedAt: Nanoseconds
  private let generation: UInt64
  var idleSince: Nanoseconds
  /// Who holds it; nil while it is idle.
  var owner: CallerSession?
  /// It carried an error reply.
  var carriedError = false
  /// The last packets of this connection, for evidence.
  var ring: PacketRing

  var framer: Framer
  var carried = CarriedBytes()
  /// How reading ended while a reply was withheld: it comes to light when that is released.
  var endedAhead: ReadEnd?
  /// The last read filled the buffer: more may be waiting in the kernel.
  var lastReadWasFull = false
  /// What the reply that is passing through must fulfil; meaningless between replies.
  var plan = ReplyPlan(isError: false, checksPayload: false, expectedCRC: 0, completes: false)
  /// The stamp of the owner's exchange that it answers: a place in the queue would not outlive the next hand-over.
  var current: Int64 = 0
  var crc = PayloadCRC()
  /// Bytes of the reply that is passing through were handed to the caller.
  var partlyDelivered = false
  /// How many last bytes of the reply that is passing through the delivery gate keeps back; 0 where it does not.
  var tailLength = 0
  /// The length of the last packet that was gated, bytes: the next one's is often the same.
  var expectedLength = HeaderView.fixedLength + 128 * 1024
  /// The most bytes to read at a time: fewer for a caller that lags, so that each pause is short.
  var readLimit = Reactor.readBufferSize
  private var closesWhenSent = false
  private var lingerTimer: ReactorTimer?

  /// How it was dialled.
  let way: OutboundSecurity.Way

  init(peer: Peer, id: Int, operationClass: OperationClass, owner: CallerSession, way: OutboundSecurity.Way) throws(SystemFailure) {
    let settings = peer.proxy.settings
    self.peer = peer
    self.id = id
    self.operationClass = operationClass
    self.owner = owner
    self.way = way
    openedAt = peer.proxy.reactor.now
    generation = peer.proxy.securityGeneration
    idleSince = openedAt
    ring = PacketRing(payload: peer.proxy.evidence?.payload)
    framer = Framer(.reply, release: settings.release, limits: settings.frameLimits)
    let introduction = ProxyHeader(
      addresses: ProxyHeader.Addresses(source: owner.remote, destination: peer.endpoint), process: settings.process)
    try super.init(
      reactor: peer.proxy.reactor, connectingTo: way.endpoint, tls: way.tls?.introducing(introduction), options: settings.upstream)
    pendingLimit = settings.pendingOutput + Reactor.readBufferSize + Reactor.readHeadroom
  }

  /// What the release gate asks.
  func releaseFacts(lookAtSocket: Bool) -> ReleaseFacts {
    var facts = ReleaseFacts()
    facts.requestIncomplete = pendingBytes > 0
    facts.buffered = framer.isInsidePacket || carried.count > 0
    facts.carriedError = carriedError
    facts.singleUse = operationClass == .repairStream || operationClass == .other
    facts.outdated = generation != peer.proxy.securityGeneration
    facts.age = reactor.now &- openedAt
    if lookAtSocket { facts.idle = reactor.now &- idleSince }
    // A read that came back short has emptied the receive queue: another look would cost a system call for nothing.
    if lookAtSocket || lastReadWasFull {
      switch peek() {
      case .quiet: facts.socket = .quiet
      case .readable: facts.socket = .readable
      case .end: facts.socket = .ended
      case .failed: facts.socket = .failed
      }
    }
    return facts
  }

  private static let longestLinger: Nanoseconds = 5_000_000_000

  /// Closes, after the bytes that are still to be sent: a request that is due no reply must arrive all the same. A peer that does
  /// not take them in time is reset.
  func closeWhenSent() {
    guard isOpen, !isConnecting, pendingBytes > 0 else {
      close()
      return
    }
    closesWhenSent = true
    pauseReading()
    lingerTimer = ReactorTimer(reactor) { [unowned self] in self.reset() }
    lingerTimer?.arm(at: reactor.now + Self.longestLinger)
  }

  override func connected() {
    peer.dialSucceeded(self)
    owner?.leaseGranted(self)
  }

  override func readable() {
    // Nothing is handed over before the gate knows the caller, or behind a tail that it keeps back.
    if let owner, operationClass == .repairStream, owner.isPinning || owner.isWithholding {
      if owner.isWithholding { readAhead() }
      return pauseReading()
    }
    receive()
  }

  override func handshakeFailed(_ failure: TLSFailure) { peer.handshakeFailed(self, failure) }

  override func recordsFailed(_ failure: TLSFailure) { peer.recordsFailed(self, failure) }

  override func connectFailed(_ failure: SystemFailure) {
    // Nobody listens on the port where its sidecar would speak TLS.
    if way.mayDowngrade, way.endpoint != peer.endpoint, !failure.isLocal { return peer.downgrade(self, .tlsNotSpoken, "\(failure)") }
    let owner = owner
    peer.dialEnded(self, failure: failure.isLocal ? nil : .dialFailed, detail: "\(failure)")
    owner?.leaseRefused(.dialFailed)
  }

  override func drained() {
    if closesWhenSent {
      close()
    } else {
      owner?.upstreamDrained()
    }
  }

  override func broken(_ failure: SystemFailure) {
    if closesWhenSent {
      close()
    } else {
      lost(.upstreamReset)
    }
  }

  /// The connection is of no use any more: whoever holds it must know.
  func lost(_ reason: Reason) {
    if let owner {
      owner.upstreamLost(reason)
    } else {
      peer.idleFailed(self, reason == .upstreamClosed ? .peerClosed : reason)
    }
  }
}
