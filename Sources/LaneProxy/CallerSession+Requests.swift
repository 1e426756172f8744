internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension CallerSession {
  /// Frames requests and sends them on, as far as they may go now; the rest is held.
  /// - Parameter tail: so many bytes at the front are the end of a request that was framed, and may go out now.
  func process(_ bytes: UnsafeMutableRawBufferPointer, tail: Int = 0) {
    var rest = bytes
    inputLimit = bytes.baseAddress.map { $0 + bytes.count }
    // Bytes from here to where the framer stands belong to requests that may go out, and did not yet.
    var run = discarding ? nil : rest.baseAddress
    // Where the request begins that is being framed; nil where that was in an earlier read.
    var start: UnsafeMutableRawPointer?
    if tail > 0, let base = bytes.baseAddress {
      rest = UnsafeMutableRawBufferPointer(start: base + tail, count: bytes.count - tail)
      if dropsTail { run = rest.baseAddress } else if !requestIsWhole(&run, rest.baseAddress) { return }
      dropsTail = false
    }
    while true {
      switch framer.next(&rest) {
      case .needMore:
        guard forward(&run, rest.baseAddress) else { return }
        carried.keep(rest)
        return
      case .head(let head):
        start = head.start
        switch admit(head, &run) {
        case .go:
          if head.bodyLength == 0, !requestEnds(&run, rest, from: start) { return }
        case .hold:
          framer.rewind()
          return hold(head, rest)
        case .discard:
          run = nil
          discarding = head.bodyLength > 0
          if !discarding { run = rest.baseAddress }
        case .ended:
          return
        }
      case .body(let piece, let part, let last):
        if part == .payload { scan?.take(UnsafeRawBufferPointer(piece)) }
        guard last else { continue }
        if discarding {
          discarding = false
          run = rest.baseAddress
        } else if !requestEnds(&run, rest, from: start) {
          return
        }
      case .refused(let refusal):
        guard forward(&run, rest.baseAddress) else { return }
        return protocolError(Mismatch(refusal))
      }
    }
  }

  private enum Verdict {
    case go, hold, discard, ended
  }

  private func admit(_ head: Framer.Head, _ run: inout UnsafeMutableRawPointer?) -> Verdict {
    let header = head.header
    guard header.resultCode == .initial else {
      if forward(&run, head.start) {
        protocolError(Mismatch(.callerProtocol, expected: .result(.initial), observed: .result(header.resultCode)))
      }
      return .ended
    }
    let rule = proxy.catalogue[header.opcode]
    if headIsNew { gate.requestArrived() }
    headIsNew = true
    if isWithholding {
      if case .reset(let reason) = gate.newerRequest() { proxy.gateStatistics.reset(reason) }
      dirtyReuse(head)
      return .ended
    }
    var isClean = false
    var decision = Admission.decide(facts(for: rule, isClean))
    if decision != .forward {
      // What came before goes out first; that alone may end what is in flight.
      guard forward(&run, head.start) else { return .ended }
      run = head.start
      if let front = exchanges.first, front.rule.caller == .lockStep, unanswered > 0 { isClean = isCleanlyAbandoned(front) }
      decision = Admission.decide(facts(for: rule, isClean))
    }
    while true {
      switch decision {
      case .forward:
        if rule.conflictRole.isRepair, let verdict = passGuard(head, rule) { return verdict }
        begin(head)
        return .go
      case .lease:
        return lease(rule, head)
      case .wait:
        waiting = .answers
        heldSince = heldSince ?? reactor.now
        beginWaiting(rule)
        return .hold
      case .release:
        release(because: nil, resuming: false)
      case .finish:
        finishFront(.delivered)
      case .cancel:
        cancelFront()
      case .dirtyReuse:
        dirtyReuse(head)
        return .ended
      }
      decision = Admission.decide(facts(for: rule, isClean))
    }
  }

  private func facts(for rule: OperationRule, _ isClean: Bool) -> Admission.Facts {
    var facts = Admission.Facts(next: rule.operationClass, nextKind: rule.caller)
    guard let upstream else { return facts }
    facts.current = upstream.operationClass
    facts.inFlight = unanswered
    facts.known = exchanges.count
    facts.doomed = upstream.carriedError || !upstream.isOpen
    facts.limit = proxy.settings.maxInFlight
    facts.betweenReplies = !upstream.framer.isInsidePacket
    if let front = exchanges.first {
      facts.currentKind = front.rule.caller
      facts.completion = front.rule.completion
      facts.replies = front.replies
      facts.isClean = isClean
      facts.isGated = gates
    }
    return facts
  }

  /// A repair that would run beside a delete of its extent waits. Nil where the request may go on.
  private func passGuard(_ head: Framer.Head, _ rule: OperationRule) -> Verdict? {
    guard proxy.conflicts != nil, heldTicket == nil else { return nil }
    if let reason = heldFailure {
      heldFailure = nil
      return refuse(head, reason, nil)
    }
    let exchange = heldExchange(head)
    heldStamp = exchange.stamp
    let (ticket, isHeld) = arriveWithHead(exchange)
    guard isHeld else {
      heldTicket = ticket
      return nil
    }
    waiting = .conflict
    heldSince = heldSince ?? reactor.now
    beginWaiting(rule)
    return .hold
  }

  /// The operation of the request at the front, with the stamp and the ticket that it has already.
  @inline(__always)
  private func heldExchange(_ head: Framer.Head) -> Exchange {
    var exchange = Exchange(head, stamp: heldStamp ?? proxy.stamps.next(), catalogue: proxy.catalogue, now: heldSince ?? reactor.now)
    guard heldStamp != nil else { return exchange }
    exchange.ticket = heldTicket ?? conflictWait?.ticket
    heldTicket = nil
    heldStamp = nil
    return exchange
  }

  /// Asks for a connection of the request's class. The request is held where none is at hand.
  private func lease(_ rule: OperationRule, _ head: Framer.Head) -> Verdict {
    if heldBegun, rule.caller == .lockStep, hasNewerRequest(after: head) {
      return forgetHeld(head)
    }
    if let reason = heldFailure {
      heldFailure = nil
      return refuse(head, reason, nil)
    }
    if rule.conflictRole.isRepair, let verdict = passGuard(head, rule) { return verdict }
    if let upstream = granted, upstream.operationClass == rule.operationClass {
      granted = nil
      attach(upstream)
      begin(head)
      return .go
    }
    heldSince = heldSince ?? reactor.now
    switch peer.lease(rule.operationClass, for: self, fresh: replaced) {
    case .leased(let upstream):
      attach(upstream)
      begin(head)
      return .go
    case .dialling(let upstream):
      waiting = .dial(upstream)
      beginWaiting(rule)
      return .hold
    case .waiting:
      waiting = .lane(rule.operationClass)
      beginWaiting(rule)
      return .hold
    case .refused(let reason, let failure):
      return refuse(head, reason, failure)
    }
  }

  /// A lock-step caller has gone on to another request while this one waited: an answer now would be read as the answer to that.
  private func hasNewerRequest(after head: Framer.Head) -> Bool {
    guard let inputLimit, head.start + head.packetLength <= inputLimit else { return false }
    let next = head.start + head.packetLength
    // Where the request's own body is not all here, what can be read is the rest of it; and garbage is no request.
    if next < inputLimit { return next.load(as: UInt8.self) == HeaderView.magic }
    return !inputEnded && peek() == .readable
  }

  /// The request that waited is nobody's any more.
  private func forgetHeld(_ head: Framer.Head) -> Verdict {
    let exchange = heldExchange(head)
    finished(exchange, exchange.isDueNothing ? .noneDue : .abandoned)
    if !exchange.isDueNothing {
      var event = LaneEvent(.callerAbandoned, reason: .inFlight, action: .cancelled)
      event.operation = LaneEvent.Operation(exchange)
      record(&event)
    }
    heldBegun = false
    heldSince = nil
    heldFailure = nil
    replaced = false
    return .discard
  }

  private func beginWaiting(_ rule: OperationRule) {
    if !heldBegun { proxy.accounting.begin(rule.operationClass) }
    heldBegun = true
    heldAllowance = rule.allowance
    updateTimer()
  }

  /// The request cannot be served: its caller is told at once, and its body is read away.
  private func refuse(_ head: Framer.Head, _ reason: Reason, _ failure: SystemFailure?) -> Verdict {
    let exchange = heldExchange(head)
    if !heldBegun { proxy.accounting.begin(exchange.operationClass) }
    heldBegun = false
    heldSince = nil
    replaced = false
    if exchange.isDueNothing {
      // Its caller reads nothing: an error reply would be read as the answer to the next request.
      finished(exchange, .noneDue)
      return .discard
    }
    // The rest of the request would look like a newer one to the gate.
    if exchange.operationClass == .repairStream, head.bodyLength > 0, willGate {
      finished(exchange, .reset)
      fail(reason)
      return .ended
    }
    return answer(exchange, reason, detail: failure.map { "\($0)" }) ? .discard : .ended
  }

  /// The request goes out under a stamp of its own.
  private func begin(_ head: Framer.Head) {
    if !heldBegun { proxy.accounting.begin(proxy.catalogue[head.header.opcode].operationClass) }
    var exchange = heldExchange(head)
    heldBegun = false
    heldSince = nil
    if exchanges.isEmpty { lastProgress = exchange.startedAt }
    if exchange.conflictRole != .none, proxy.conflicts != nil { (exchange.ticket, scan) = begin(exchange, head) }
    restamp(head, exchange.stamp)
    let isStream = exchange.operationClass == .repairStream
    if isStream, exchange.rule.completion == .openEnded,
      let size = proxy.tinyDeleteSizes.size(partition: exchange.partitionID, leader: peer.endpoint)
    {
      exchange.readerStops(atFileSize: size)
    }
    exchanges.append(exchange)
    if exchanges.count == 1 { updateTimer() }
    if isStream { pinCaller() }
  }

  /// The request's last byte is in. False where the session has ended or must not go on.
  /// - Parameter start: where it begins, in what is being processed.
  @inline(__always)
  private func requestEnds(
    _ run: inout UnsafeMutableRawPointer?, _ rest: UnsafeMutableRawBufferPointer, from start: UnsafeMutableRawPointer?
  ) -> Bool {
    if scan != nil, bodyIsHeld() {
      holdTail(&run, rest, from: start)
      return false
    }
    return requestIsWhole(&run, rest.baseAddress)
  }

  /// Keeps the end of a request that must wait, and what came behind it. What came before goes out.
  private func holdTail(
    _ run: inout UnsafeMutableRawPointer?, _ rest: UnsafeMutableRawBufferPointer, from start: UnsafeMutableRawPointer?
  ) {
    if let start, !forward(&run, start) { return }
    guard let tail = run, let end = rest.baseAddress else { return }
    pauseReading()
    heldTail = end - tail
    held = HeldBytes(copying: UnsafeMutableRawBufferPointer(start: tail, count: heldTail + rest.count))
    waiting = .conflict
    updateTimer()
  }

  /// All extents of the request are known before its last byte goes out. True where it must wait.
  private func bodyIsHeld() -> Bool {
    guard let body = scan, let exchange = exchanges.last else { return false }
    scan = nil
    guard let (ticket, isHeld) = arrive(exchange, body) else { return false }
    exchanges.lastIsKnown(by: ticket)
    return isHeld
  }

  /// The request's last byte may go out. False where the session has ended.
  private func requestIsWhole(_ run: inout UnsafeMutableRawPointer?, _ end: UnsafeMutableRawPointer?) -> Bool {
    guard exchanges.lastRequestIsComplete() else { return true }
    guard forward(&run, end) else { return false }
    guard let exchange = exchanges.removeLast() else { return true }
    finished(exchange, .noneDue)
    if exchanges.isEmpty { release(because: nil, resuming: false) }
    return true
  }

  /// Sends the run up to `end`. False where the session has ended, or the run must be sent anew on another connection.
  private func forward(_ run: inout UnsafeMutableRawPointer?, _ end: UnsafeMutableRawPointer?) -> Bool {
    guard let start = run, let end, end > start, let upstream else { return true }
    run = end
    switch upstream.send(UnsafeRawBufferPointer(start: start, count: end - start)) {
    case .sent: return true
    case .queued:
      pauseReading()
      return true
    case .overflow:
      fail(.pendingOutput)
      return false
    case .failed:
      // Not a byte of these requests was given to the kernel: once, another connection is as good (G12).
      if !replaced, upstream.bytesWritten == writtenAtLease, let limit = inputLimit, !exchanges.isEmpty {
        sendAnew(UnsafeMutableRawBufferPointer(start: start, count: limit - start))
        return false
      }
      upstreamLost(.upstreamReset)
      return isOpen
    }
  }

  /// Sends requests that never left on a connection that is newly opened. `bytes` begin with the first of them.
  private func sendAnew(_ bytes: UnsafeMutableRawBufferPointer) {
    guard let dead = upstream else { return }
    var rest = bytes
    var walker = Framer(.request, release: proxy.settings.release, limits: proxy.settings.frameLimits)
    var index = 0
    while index < exchanges.count {
      switch walker.next(&rest) {
      case .head(let head):
        head.header.restamp(exchanges.callerReqID(index))
        proxy.accounting.takeBack(exchanges[index].operationClass)
        index += 1
      case .body: continue
      case .needMore, .refused: index = exchanges.count
      }
    }
    heldSince = exchanges.first?.startedAt
    // They arrive anew.
    exchanges.takeAll { if let ticket = $0.ticket { leaveGuard(ticket) } }
    scan = nil
    upstream = nil
    peer.giveBack(dead, inFlight: 0, reason: .upstreamReset)
    framer.rewind()
    replaced = true
    pauseReading()
    held = HeldBytes(copying: bytes)
    resume()
  }

  /// Keeps what cannot go on yet. `rest` is what follows the head.
  private func hold(_ head: Framer.Head, _ rest: UnsafeMutableRawBufferPointer) {
    pauseReading()
    held = HeldBytes(copying: UnsafeMutableRawBufferPointer(start: head.start, count: head.length + rest.count))
    headIsNew = false
    updateTimer()
  }

  /// Goes on with what was held. Not to be called while bytes are being processed.
  func resume() {
    waiting = .nothing
    guard isOpen, let pieces = held.take() else { return }
    let tail = heldTail
    heldTail = 0
    refusal = nil
    process(pieces.bytes, tail: tail)
    guard isOpen, held == nil else { return }
    if upstream.map({ $0.pendingBytes == 0 }) ?? true { resumeReading() }
    updateTimer()
    closeIfIdle()
  }

  /// The upstream's replies of one read were handled: a request that waited for them may go on.
  func repliesHandled() {
    guard isOpen else { return }
    if heldTail > 0, refuses() { return }
    if case .answers = waiting, unanswered == 0 || upstream == nil { resume() }
    updateTimer()
    closeIfIdle()
  }

  /// The upstream has taken all that it was sent.
  func upstreamDrained() {
    if case .nothing = waiting, held == nil, !inputEnded { resumeReading() }
  }
}
