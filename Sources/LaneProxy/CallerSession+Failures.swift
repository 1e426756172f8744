internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension CallerSession {
  /// A reply on the upstream was refused: everything in flight on it fails, in order (G6).
  func dropped(_ mismatch: Mismatch, of index: Int) {
    report(mismatch, index < exchanges.count ? exchanges[index] : nil, .replyDropped, mustReset ? .reset : .errorReply)
    failAll(mismatch.reason, replyCame: true)
  }

  /// An error reply cannot tell the caller: it has seen part of a reply, or would take the error for success.
  private var mustReset: Bool {
    upstream?.partlyDelivered ?? false || exchanges.anyMustReset
  }

  /// The upstream is gone, or must be given up.
  func upstreamLost(_ reason: Reason) {
    guard upstream != nil else { return }
    // The reply that is here is whole; the loss is found again when more is wanted.
    if isWithholding { return }
    // An unknown operation that was answered once is over: the connection may go.
    if unanswered == 0 { return release(because: reason) }
    failAll(reason)
  }

  /// Everything in flight ends with `reason`: error replies in order where the callers look at them, else one reset.
  /// - Parameter replyCame: a reply was refused; else nothing came, and it is not even known whether the caller waits for one.
  func failAll(_ reason: Reason, replyCame: Bool = false) {
    guard let upstream else { return }
    settle()
    if let front = exchanges.first, !replyCame, front.mayBeOver {
      // Its end is known to the caller alone. An error reply now might be read as the answer to the next request; a caller that does
      // wait has a deadline of its own.
      if reason == .deadline && !upstream.partlyDelivered { return finishUnended(front) }
      return fail(reason)
    }
    let incomplete = exchanges.last.map { !$0.requestComplete } ?? false
    // The rest of a request would look like a newer one to the gate.
    if mustReset || (incomplete && upstream.operationClass == .repairStream && willGate) { return fail(reason) }
    var failed = ExchangeQueue()
    swap(&failed, &exchanges)
    self.upstream = nil
    replaced = false
    upstream.resumeReading()
    peer.giveBack(upstream, inFlight: failed.count, reason: reason)
    for index in 0..<failed.count {
      if failed[index].isDueNothing {
        finished(failed[index], .noneDue)
        continue
      }
      guard answer(failed[index], reason, detail: nil) else {
        // The session has ended: the others end with it.
        for rest in index + 1..<failed.count { finished(failed[rest], .reset) }
        return
      }
    }
    // The rest of a request that is still arriving belongs to an operation that has had its answer.
    if incomplete {
      if heldTail > 0 { dropsTail = true } else { discarding = true }
    }
    if held != nil {
      resume()
    } else if !inputEnded {
      resumeReading()
    }
    updateTimer()
    closeIfIdle()
  }

  /// An operation without an end marker has had no further reply for as long as its caller would wait.
  private func finishUnended(_ front: Exchange) {
    var event = LaneEvent(.operationFailed, reason: .deadline, action: .cancelled)
    event.operation = LaneEvent.Operation(front)
    event.duration = reactor.now &- front.startedAt
    record(&event)
    finishFront(front.replies > 0 ? .delivered : .noneDue)
    repliesHandled()
  }

  /// Ends one operation with an error reply of ours, or the session with a reset. False where the session has ended.
  func answer(_ exchange: Exchange, _ reason: Reason, detail: String?) -> Bool {
    var event = LaneEvent(.operationFailed, reason: reason, action: exchange.rule.onDrop == .errorReply ? .errorReply : .reset)
    event.operation = LaneEvent.Operation(exchange)
    event.detail = detail
    event.duration = reactor.now &- exchange.startedAt
    record(&event)
    guard exchange.rule.onDrop == .errorReply else {
      finished(exchange, .reset)
      fail(reason)
      return false
    }
    let isGated = exchange.operationClass == .repairStream && willGate
    if !isGated { finished(exchange, .errorReply) }
    lastProgress = reactor.now
    let outcome = withUnsafeTemporaryAllocation(byteCount: ErrorReply.longest, alignment: 8) { buffer in
      let count = ErrorReply(reason).write(exchange, release: proxy.settings.release, to: buffer)
      let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
      noteError(bytes, exchange, reason)
      if isGated {
        withholdError(bytes, exchange, reason)
        return SendOutcome.sent
      }
      let outcome = transmit(bytes, as: exchange.operationClass.handing)
      if exchange.operationClass.handing == .single { gate.singleReplyEnded() }
      return outcome
    }
    return goesOn(after: outcome) && isOpen
  }

  /// The request that waits for a connection will not get one.
  func failHeld(_ reason: Reason) {
    waiting = .nothing
    guard let pieces = held.take() else { return }
    heldFailure = reason
    process(pieces.bytes)
    heldFailure = nil
    guard isOpen, held == nil else { return }
    resumeReading()
    updateTimer()
    closeIfIdle()
  }

  // MARK: The end of the session

  /// Resets the caller: what it was handed can never be taken for a complete reply.
  func fail(_ reason: Reason) {
    guard isOpen else { return }
    let lost = unanswered + (heldBegun ? 1 : 0) + (withheld.failed == nil ? 0 : 1)
    var event = LaneEvent(.callerReset, reason: reason, action: .reset)
    event.operation = (exchanges.first ?? withheld.failed).map { LaneEvent.Operation($0) }
    event.detail = lost > 1 ? "\(lost) operations in flight" : nil
    record(&event)
    reset()
    end(.reset, reason)
  }

  /// The caller is gone.
  func callerLost(_ reason: Reason) {
    guard isOpen else { return }
    if !exchanges.isEmpty || heldBegun || withheld.failed != nil || reason == .callerTruncated {
      var event = LaneEvent(.callerAbandoned, reason: reason, action: .cancelled)
      event.operation = (exchanges.first ?? withheld.failed).map { LaneEvent.Operation($0) }
      record(&event)
    }
    close()
    end(.abandoned, reason)
  }

  /// What the caller sends is not CubeFS.
  func protocolError(_ mismatch: Mismatch) {
    report(mismatch, nil, .callerProtocol, .reset)
    fail(mismatch.reason)
  }

  /// A lock-step caller asks for something else with replies of its last operation handed over and more due: what lies in its
  /// own receive queue would be read as the answer. `head` is nil where the newer request's head is not all here.
  func dirtyReuse(_ head: Framer.Head?) {
    if let head { noteRefused(head, .callerDirtyReuse) }
    var event = LaneEvent(.callerDirtyReuse, reason: .callerDirtyReuse, action: .reset)
    event.operation = (exchanges.first ?? withheld.failed).map { LaneEvent.Operation($0) }
    event.expected = .text("the rest of the replies read first")
    event.observed = .text(
      head.map { "\($0.header.opcode.name) for partition \($0.header.partitionID) extent \($0.header.extentID)" }
        ?? "the start of another request")
    record(&event)
    if let head {
      // The newer request ends here, too.
      let operationClass = proxy.catalogue[head.header.opcode].operationClass
      if !heldBegun { proxy.accounting.begin(operationClass) }
      if let ticket = heldTicket { leaveGuard(ticket) }
      heldTicket = nil
      heldBegun = false
      proxy.accounting.end(operationClass, .reset)
    }
    fail(.callerDirtyReuse)
  }

  /// Nothing is left to do for a caller that has said goodbye, or for a proxy that stops.
  func closeIfIdle() {
    guard isOpen, !isWithholding, inputEnded || proxy.isDraining, held == nil, pendingBytes == 0, carried.count == 0, !framer.isInsidePacket
    else { return }
    guard unanswered == 0 || upstream == nil else { return }
    close()
    end(.abandoned, proxy.isDraining ? .shutdown : .callerClosed)
  }

  /// Ends what is in flight, gives the upstream up, and leaves the proxy. The socket is closed already.
  private func end(_ outcome: Outcome, _ reason: Reason) {
    guard !isEnding else { return }
    isEnding = true
    timer.disarm()
    gate.callerGone()
    waitEnded()
    gateTimer?.disarm()
    if let failed = withheld.failed { finished(failed, outcome) }
    withheld.clear()
    if let upstream, isUnknownTraffic {
      exchanges.takeAll { if !$0.isAnswered { finished($0, outcome) } }
      self.upstream = nil
      peer.giveBack(upstream, inFlight: 0, reason: .singleUse)
    } else {
      let inFlight = exchanges.count
      exchanges.takeAll { finished($0, outcome) }
      if let upstream {
        self.upstream = nil
        peer.giveBack(upstream, inFlight: inFlight, reason: inFlight > 0 ? reason : nil)
      }
    }
    endWaiting(outcome)
    held = nil
    proxy.ended(self)
  }

  private func endWaiting(_ outcome: Outcome) {
    if let ticket = heldTicket ?? conflictWait?.ticket { leaveGuard(ticket) }
    if heldBegun, let pieces = held.take() {
      // The head that waits was framed once; it is whole.
      let opcode = HeaderView(at: pieces.bytes.baseAddress!).opcode
      proxy.accounting.end(proxy.catalogue[opcode].operationClass, outcome)
      heldBegun = false
    }
    switch waiting {
    case .lane(let operationClass): peer.abandonWait(self, operationClass)
    case .dial(let upstream): peer.dialEnded(upstream, failure: nil)
    case .nothing, .answers, .conflict: break
    }
    waiting = .nothing
  }
}
