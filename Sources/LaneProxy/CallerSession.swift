internal import CubeFSWire
internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// One caller's connection: its requests in order, the operations in flight, and the upstream that serves them.
///
/// A session holds at most one upstream. What it cannot send on it waits, unread where possible: the copy that is held is at
/// most one read.
final class CallerSession: Connection, GuardedSession {
  /// What the session waits for before it takes the next request.
  enum Waiting {
    case nothing
    /// The operations in flight to be answered.
    case answers
    /// A place in the lane.
    case lane(OperationClass)
    /// A dial.
    case dial(Upstream)
    /// Others on its extents to be over.
    case conflict
  }

  let proxy: Proxy
  let peer: Peer
  let number: Int

  var framer: Framer
  var carried = CarriedBytes()
  var held: HeldBytes?
  /// When the request at the front of `held` arrived; nil where none waits.
  var heldSince: Nanoseconds?
  /// The share of its caller's deadline that is ours, nanoseconds; nil where it has none.
  var heldAllowance: Nanoseconds?
  /// The next head that is framed was not seen before: it is not that of `held`.
  var headIsNew = true
  /// Why the request at the front of `held` will not be served: set while it is read again to be answered.
  var heldFailure: Reason?
  var waiting = Waiting.nothing
  /// The body of a request that failed before it was sent is being read away.
  var discarding = false
  /// An operation was begun for the request at the front of `held`, and has not ended.
  var heldBegun = false
  /// What the conflict guard knows the request at the front of `held` by, once it may go on.
  var heldTicket: ConflictGuard.Ticket?
  /// The stamp of the request at the front of `held`, where it has one already.
  var heldStamp: Int64?
  /// So many bytes of `held`, at its front, are the end of a request whose start was sent, or is in them, too, and which was framed.
  var heldTail = 0
  /// The request whose end that is has failed meanwhile.
  var dropsTail = false
  /// What waits for others on its extents.
  var conflictWait: ConflictWait?
  /// It has waited too long: its caller is told when all before it is answered.
  var refusal: Reason?
  /// Reads the body of the request that is passing through.
  var scan: BodyScan?

  /// Operations on `upstream`.
  var exchanges = ExchangeQueue()
  var upstream: Upstream?
  /// A connection that was dialled or waited for, for the request at the front of `held`.
  var granted: Upstream?
  /// `bytesWritten` of the upstream when the lease began.
  var writtenAtLease: UInt64 = 0
  /// Where the bytes end that are being processed.
  var inputLimit: UnsafeMutableRawPointer?
  /// An upstream that died before the first byte of a request was replaced for this request already (G12).
  var replaced = false

  /// The delivery gate's state and its books of what was handed over.
  var gate: DeliveryGate
  /// The connection as the caller's own socket has it.
  let tuple: SocketTuple
  /// The last packets of this connection, for evidence.
  var ring: PacketRing
  /// The reply whose tail the gate keeps back.
  var withheld = WithheldReply()
  /// A tail that was set free and waits, within one turn, for the next reply to take it along.
  var owed = OwedTail()
  /// So many bytes of the next hand-over are such a tail.
  var leading = 0
  /// The gate was told of it.
  var isGateAsked = false
  /// The gate has set it free.
  var isReleased = false
  /// `advance` runs.
  var isAdvancing = false
  /// The first look at the caller's socket is under way: nothing of a repair stream is handed over before it.
  var isPinning = false
  var outstandingQuery: DeliveryGate.QueryID?
  var gateTimer: ReactorTimer?
  /// Since when a tail is withheld; nil where none is.
  var waitBegan: Nanoseconds?

  var inputEnded = false
  var isEnding = false
  /// When the caller last got a reply, or sent a request after having been idle.
  var lastProgress: Nanoseconds = 0
  /// Whether the caller reads what it is owed.
  var slowReader = SlowReader()
  private(set) var timer: ReactorTimer!

  init(proxy: Proxy, peer: Peer, number: Int, accepted: AcceptedSocket) throws(SystemFailure) {
    self.proxy = proxy
    self.peer = peer
    self.number = number
    framer = Framer(.request, release: proxy.settings.release, limits: proxy.settings.frameLimits)
    lastProgress = proxy.reactor.now
    gate = DeliveryGate(limits: proxy.settings.gate)
    tuple = accepted.callerTuple
    ring = PacketRing(payload: proxy.evidence?.payload)
    if proxy.watch == nil { _ = gate.unsupported() }
    try super.init(reactor: proxy.reactor, accepted: accepted, options: proxy.settings.downstream)
    pendingLimit = proxy.settings.pendingOutput + Reactor.readBufferSize + Reactor.readHeadroom
    timer = ReactorTimer(proxy.reactor) { [unowned self] in self.timeIsUp() }
    updateTimer()
  }

  // MARK: What is in flight

  /// Operations without all the replies they are known to be due.
  var unanswered: Int {
    guard let upstream, upstream.operationClass == .other else { return exchanges.unanswered }
    // A further reply to an operation that was answered counts until its last byte, too: nothing else may follow half of it.
    return max(exchanges.silent, upstream.framer.isInsidePacket ? 1 : 0)
  }

  var isUnknownTraffic: Bool { upstream?.operationClass == .other }

  /// For an operator: which stamps would have been right.
  var stampsInFlight: FieldValue {
    guard let first = exchanges.first, let last = exchanges.last else { return .text("none in flight") }
    return exchanges.count == 1 ? .signed(first.stamp) : .text("one of \(exchanges.count) in flight, \(first.stamp) to \(last.stamp)")
  }

  func restore(_ header: HeaderView, _ index: Int) {
    if !proxy.keepsStamps { header.restamp(exchanges.callerReqID(index)) }
  }

  // MARK: Events of the socket

  override func readable() {
    let buffer = reactor.readBuffer
    switch read(into: buffer) {
    case .bytes(let count):
      gate.read(count)
      process(carried.prepend(to: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)))
      if isOpen, isWithholding { readWhileWithholding() }
      if proxy.isDraining { closeIfIdle() }
    case .wouldBlock: break
    case .end: callerEnded()
    case .failed: callerLost(.callerReset)
    }
  }

  override func broken(_ failure: SystemFailure) { callerLost(.callerReset) }

  override func drained() {
    slowReader.hasCaughtUp()
    if isWithholding { advance() } else { upstream?.resumeReading() }
    updateTimer()
    closeIfIdle()
  }

  /// The caller has shut its sending side. What it asked for is still answered, for a while.
  private func callerEnded() {
    inputEnded = true
    if framer.isInsidePacket || carried.count > 0 {
      let partial = framer.isInsidePacket && !discarding
      return partial ? callerLost(.callerTruncated) : callerLost(.callerClosed)
    }
    lastProgress = reactor.now
    gateNoMore()
    closeIfIdle()
    updateTimer()
  }

  // MARK: Handing replies to the caller

  /// The one way by which bytes reach the caller; the gate keeps the books.
  func transmit(_ bytes: UnsafeRawBufferPointer, as handing: GateLedger.Handing) -> SendOutcome {
    if owed.count > 0 { sendOwed() }
    // A tail that leads was counted when it was set free.
    gate.wrote(bytes.count - leading, as: handing)
    leading = 0
    return send(bytes)
  }

  /// Hands on what passed the judge. False where the session has ended.
  func deliver(_ bytes: UnsafeRawBufferPointer, from source: Upstream) -> Bool {
    handed(transmit(bytes, as: source.operationClass.handing), from: source)
  }

  /// One reply has passed the judge, to its last byte.
  func replyComplete(_ index: Int, _ plan: ReplyPlan, now: Nanoseconds) {
    lastProgress = now
    guard plan.completes else { return }
    if isUnknownTraffic {
      // It may have more to come: it stays known until a later one is answered, within a bound.
      if exchanges.markAnswered(index) { finished(exchanges[index], plan.isError ? .errorReply : .delivered) }
      exchanges.forgetAnswered(before: index, bound: 64)
      return
    }
    exchanges.markComplete(index, inError: plan.isError)
  }

  /// The last reply of what is in flight was handed over whole.
  func lastReplyHanded(from source: Upstream) {
    if source.operationClass.handing == .single { gate.singleReplyEnded() }
  }

  /// What was answered has been handed on: count it, and forget it.
  func settle() {
    while let exchange = exchanges.popComplete() { finished(exchange, exchange.endedInError ? .errorReply : .delivered) }
  }

  func finished(_ exchange: Exchange, _ outcome: Outcome) {
    if let ticket = exchange.ticket { leaveGuard(ticket, isAnswered: outcome == .delivered) }
    proxy.accounting.end(exchange.operationClass, outcome)
    tell(exchange, outcome)
  }

  func record(_ event: inout LaneEvent) {
    event.peer = peer.endpoint
    event.caller = remote
    event.connection = UInt64(number)
    addEvidence(to: &event)
    proxy.sink.record(event)
  }

  func report(_ mismatch: Mismatch, _ exchange: Exchange?, _ name: LaneEvent.Name, _ action: LaneEvent.Action) {
    var event = LaneEvent(name, reason: mismatch.reason, action: action)
    event.operation = exchange.map { LaneEvent.Operation($0) }
    event.operationClass = upstream?.operationClass
    event.expected = mismatch.expected
    event.observed = mismatch.observed
    record(&event)
  }
}

extension OperationClass {
  /// How replies of this class are handed to a visible caller. The lock-step classes with single replies go from the request's
  /// write to the reply's read with nothing in between (PROTOCOL.md section 3).
  var handing: GateLedger.Handing {
    switch self {
    case .repairStream: .gated
    case .repairControl, .admin: .single
    case .replication, .deletion, .read, .other: .ungated
    }
  }
}
