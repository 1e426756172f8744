internal import CubeFSWire
internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// One accepted connection of a peer or client, and the one to the local datanode that is paired with it: bytes go on as they are,
/// in the order they came, and each reply is judged (DESIGN.md sections 2 and 3, "inbound").
///
/// The datanode is dialled before the caller is read: a datanode that is down is a reset, not a silence. What one side does to its
/// connection the other side sees: an end, a half-close, a reset.
final class InboundSession: Connection, GuardedSession {
  let inbound: Inbound
  let number: Int
  let datanode: DatanodeConnection
  /// What the caller's own sidecar says of the connection; nil where none stands there.
  let introduction: ProxyHeader?
  var proxy: Proxy { inbound.proxy }

  var framer: Framer
  var carried = CarriedBytes()
  /// Requests over the limit of those in flight.
  var held: HeldBytes?
  var exchanges = InboundExchanges()
  /// Reads the body of the request that is passing through.
  var scan: BodyScan?
  /// What the conflict guard knows the request at the front of `held` by, once it may go on.
  var heldTicket: ConflictGuard.Ticket?
  /// The stamp of the request at the front of `held`, where it has one already.
  var heldStamp: Int64?
  /// So many bytes of `held`, at its front, are the end of a request whose start was sent, or is in them, too, and which was framed.
  var heldTail = 0
  /// What waits for others on its extents.
  var conflictWait: ConflictWait?
  /// It has waited too long: its caller is told when all before it is answered.
  var refusal: Reason?
  /// The last packets, which are the same on both connections, for evidence.
  var ring: PacketRing

  /// The caller has shut its sending side.
  var inputEnded = false
  /// The caller gets what is pending and an end, and nothing that it sends goes anywhere.
  var isLeaving = false
  /// What it had not acknowledged of that when it was last looked at, bytes.
  var leavingOwed = Int.max
  /// It sent something all the same: once it has its bytes it is reset, so that it does not wait for an answer.
  var sentTooMuch = false
  var isEnding = false
  /// When something last went to the caller, or came from it while it was idle.
  var lastProgress: Nanoseconds
  /// When the connection was accepted.
  let openedAt: Nanoseconds
  /// Whether the caller reads what it is owed.
  var slowReader = SlowReader()
  private(set) var timer: ReactorTimer!

  init(
    _ inbound: Inbound, _ number: Int, accepted: AcceptedSocket, _ tls: TLSSession?, _ introduction: ProxyHeader?,
    _ datanode: DatanodeConnection
  ) throws(SystemFailure) {
    self.inbound = inbound
    self.number = number
    self.datanode = datanode
    self.introduction = introduction
    ring = PacketRing(payload: inbound.proxy.evidence?.payload)
    let settings = inbound.proxy.settings
    framer = Framer(.request, release: settings.release, limits: settings.frameLimits)
    openedAt = inbound.proxy.reactor.now
    lastProgress = openedAt
    try super.init(reactor: inbound.proxy.reactor, accepted: accepted, tls: tls, options: settings.downstream, reading: false)
    pendingLimit = settings.pendingOutput + Reactor.readBufferSize + Reactor.readHeadroom
    timer = ReactorTimer(reactor) { [unowned self] in self.timeIsUp() }
    updateTimer()
  }

  // MARK: The caller's socket

  override func readable() {
    let buffer = reactor.readBuffer
    switch read(into: buffer) {
    case .bytes(let count):
      if isLeaving { return sendsTooMuch() }
      process(carried.prepend(to: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)))
      if proxy.isDraining { closeIfIdle() }
    case .wouldBlock: break
    case .end: callerEnded()
    case .failed: callerLost(.callerReset)
    }
  }

  override func broken(_ failure: SystemFailure) { callerLost(.callerReset) }

  override func drained() {
    slowReader.hasCaughtUp()
    datanode.resumeReading()
    updateTimer()
    closeIfIdle()
  }

  /// The caller has shut its sending side: so does the datanode's caller. What the datanode still says is passed on, for a while.
  private func callerEnded() {
    inputEnded = true
    if isLeaving { return callerLost(.callerClosed) }
    if framer.isInsidePacket || carried.count > 0 { return callerLost(.callerTruncated) }
    lastProgress = reactor.now
    datanode.shutdownWrite()
    closeIfIdle()
    updateTimer()
  }

  // MARK: The datanode's socket

  func datanodeConnected() {
    inbound.datanodeAnswers()
    lastProgress = reactor.now
    resumeReading()
    updateTimer()
  }

  /// The datanode has taken all that it was sent.
  func datanodeDrained() {
    if held == nil, !inputEnded, !isLeaving { resumeReading() }
    closeIfIdle()
  }

  /// Writing to the datanode fails. What it has sent before is the caller's all the same; the end is found by reading.
  func datanodeRefusesRequests() {
    datanode.refusesRequests = true
    pauseReading()
  }

  // MARK: Handing replies to the caller

  /// Hands on what passed the judge. False where the session has ended.
  func deliver(_ bytes: UnsafeRawBufferPointer) -> Bool {
    handed(send(bytes), from: datanode)
  }

  /// What was answered has been handed on: count it, and forget it.
  func settle() {
    while let exchange = exchanges.queue.popComplete() { finished(exchange, exchange.endedInError ? .errorReply : .delivered) }
  }

  // MARK: Events

  func finished(_ exchange: Exchange, _ outcome: Outcome) {
    if let ticket = exchange.ticket { leaveGuard(ticket, isAnswered: outcome == .delivered) }
    inbound.accounting.end(exchange.operationClass, outcome)
    tell(exchange, outcome)
  }

  func record(_ event: inout LaneEvent) {
    event.direction = .inbound
    event.peer = inbound.datanode
    event.caller = remote
    event.connection = UInt64(number)
    if let introduction {
      event.origin = introduction.addresses?.source
      event.operation?.adopt(introduction)
    }
    addEvidence(to: &event)
    proxy.sink.record(event)
  }

  func report(_ mismatch: Mismatch, _ exchange: Exchange?, _ name: LaneEvent.Name, _ action: LaneEvent.Action) {
    var event = LaneEvent(name, reason: mismatch.reason, action: action)
    event.operation = exchange.map { LaneEvent.Operation($0) }
    event.expected = mismatch.expected
    event.observed = mismatch.observed
    record(&event)
  }
}

extension LaneEvent.Operation {
  /// Takes the id that the operation has with the sidecar which sent it, and which has put its own stamp into ReqID. What no sidecar
  /// stamps, 0 and less, keeps the id that it has here.
  mutating func adopt(_ introduction: ProxyHeader) {
    guard let sender = introduction.process, callerReqID > 0 else { return }
    process = sender
    stamp = callerReqID
  }
}
