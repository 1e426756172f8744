internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension InboundSession {
  /// A reply of the datanode's was refused: nothing that it sends from here on can be trusted.
  func dropped(_ mismatch: Mismatch, _ index: Int?) {
    let exchange = index.map { exchanges.queue[$0] }
    // What a caller left behind is no fault of the datanode's.
    if mismatch.reason == .callerDirtyReuse { return dirtyReuse(mismatch) }
    let resets = mustReset
    let name: LaneEvent.Name = mismatch.reason == .replyUnsolicited ? .replyUnsolicited : .replyDropped
    report(mismatch, exchange, name, resets ? .reset : .errorReply)
    settle()
    if resets { return fail(mismatch.reason) }
    failAll(mismatch.reason)
  }

  /// An error reply cannot tell the caller: it has seen part of a reply, would take the error for success, or may not be there any
  /// more to read it: unlike outbound, nobody sees whether the caller of a repair stream still reads.
  private var mustReset: Bool {
    if datanode.passing.partlyDelivered || exchanges.queue.isAnswered || exchanges.queue.anyMustReset { return true }
    return (0..<exchanges.queue.count).contains { exchanges.queue[$0].operationClass == .repairStream }
  }

  /// Everything in flight ends with an error reply of ours, in order, and then the connection.
  func failAll(_ reason: Reason) {
    let release = proxy.settings.release
    var failed: [Exchange] = []
    exchanges.queue.takeAll { failed.append($0) }
    for (index, exchange) in failed.enumerated() {
      var event = LaneEvent(.operationFailed, reason: reason, action: .errorReply)
      event.operation = LaneEvent.Operation(exchange)
      event.duration = reactor.now &- exchange.startedAt
      record(&event)
      let outcome = withUnsafeTemporaryAllocation(byteCount: ErrorReply.longest, alignment: 8) { buffer in
        let count = ErrorReply(reason).write(exchange, release: release, to: buffer)
        let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
        noteError(bytes, exchange, reason)
        return send(bytes)
      }
      switch outcome {
      case .sent, .queued: finished(exchange, .errorReply)
      case .overflow, .failed:
        for rest in failed[index...] { finished(rest, outcome == .overflow ? .reset : .abandoned) }
        return outcome == .overflow ? fail(.pendingOutput) : callerLost(.callerReset)
      }
    }
    leave()
  }

  // MARK: The datanode

  /// The datanode is not there. `reason` is nil where that is not its fault.
  func dialFailed(_ reason: Reason?, _ detail: String?) {
    if let reason { inbound.datanodeRefuses(reason, detail: detail) }
    var event = LaneEvent(.connectionRefused, reason: reason ?? .dialFailed, action: .refused)
    event.detail = detail
    record(&event)
    reset()
    end(.reset)
  }

  /// Nothing more comes from the datanode.
  func datanodeLost(_ reason: Reason) {
    guard isOpen else { return }
    settle()
    // In the middle of a reply, or by a reset, the caller's connection breaks, too.
    guard reason == .upstreamClosed else { return fail(reason) }
    let inFlight = exchanges.queue.unanswered
    if inFlight > 0 && !inputEnded {
      // After an error reply that is how the server ends the connection (PROTOCOL.md section 2).
      var event = LaneEvent(.datanodeClosed, reason: datanode.carriedError ? .errorReply : .upstreamClosed, action: .retired)
      event.operation = exchanges.queue.first.map { LaneEvent.Operation($0) }
      event.detail = inFlight > 1 ? "\(inFlight) operations in flight" : nil
      record(&event)
    }
    exchanges.queue.takeAll { finished($0, inputEnded ? .abandoned : .reset) }
    leave()
  }

  /// The caller gets what is pending, then an end; what it sends goes nowhere, and is answered with a reset.
  private func leave() {
    datanode.owner = nil
    datanode.close()
    if inputEnded && pendingBytes == 0 {
      close()
      return end(.reset)
    }
    isLeaving = true
    forgetHeld()
    shutdownWrite()
    lastProgress = reactor.now
    if !inputEnded { resumeReading() }
    updateTimer()
  }

  /// It goes on all the same: it must not wait for an answer that will not come, and still get what it was sent before.
  func sendsTooMuch() {
    guard pendingBytes == 0, unacknowledgedBytes == 0 else {
      sentTooMuch = true
      return updateTimer()
    }
    reset()
    end(.reset)
  }

  // MARK: The caller

  /// Resets the caller: what it was handed can never be taken for a complete reply.
  func fail(_ reason: Reason) {
    guard isOpen else { return }
    let lost = exchanges.queue.unanswered
    var event = LaneEvent(.callerReset, reason: reason, action: .reset)
    event.operation = exchanges.queue.first.map { LaneEvent.Operation($0) }
    event.detail = lost > 1 ? "\(lost) operations in flight" : nil
    record(&event)
    reset()
    end(.reset)
  }

  /// The caller is gone.
  func callerLost(_ reason: Reason) {
    guard isOpen else { return }
    if !exchanges.queue.isAnswered || reason == .callerTruncated {
      var event = LaneEvent(.callerAbandoned, reason: reason, action: .cancelled)
      event.operation = exchanges.queue.first.map { LaneEvent.Operation($0) }
      record(&event)
    }
    close()
    end(.abandoned)
  }

  /// What the caller sends is not CubeFS.
  func protocolError(_ mismatch: Mismatch) {
    report(mismatch, nil, .callerProtocol, .reset)
    fail(mismatch.reason)
  }

  /// A lock-step caller asks for something else with replies of its last operation due: it would read them as the answer.
  func dirtyReuse(_ head: Framer.Head) {
    noteRequest(head, 0, stamp: nil)
    let header = head.header
    let operationClass = proxy.catalogue[header.opcode].operationClass
    inbound.accounting.begin(operationClass)
    inbound.accounting.end(operationClass, .reset)
    dirtyReuse(
      Mismatch(
        .callerDirtyReuse, expected: .text("the rest of the replies read first"),
        observed: .text("\(header.opcode.name) for partition \(header.partitionID) extent \(header.extentID)")))
  }

  private func dirtyReuse(_ mismatch: Mismatch) {
    report(mismatch, exchanges.queue.last, .callerDirtyReuse, .reset)
    fail(.callerDirtyReuse)
  }

  // MARK: The end

  /// Nothing is left to do for a caller that has said goodbye, or for a proxy that stops.
  func closeIfIdle() {
    guard isOpen, inputEnded || proxy.isDraining, pendingBytes == 0 else { return }
    guard !isLeaving else {
      // It has its bytes, and an end behind them.
      if inputEnded || unacknowledgedBytes == 0 {
        close()
        end(.reset)
      }
      return
    }
    guard held == nil, carried.count == 0, !framer.isInsidePacket, !datanode.isInsidePacket, exchanges.queue.isAnswered,
      datanode.pendingBytes == 0
    else { return }
    settle()
    close()
    end(.abandoned)
  }

  private func forgetHeld() {
    held = nil
    if let ticket = heldTicket ?? conflictWait?.ticket { leaveGuard(ticket) }
    heldTicket = nil
  }

  /// A request was held for as long as it may be, and all before it is answered: its caller is told, and that is the end of the
  /// connection, as with the datanode's own error replies (PROTOCOL.md section 2).
  func refuse(_ reason: Reason) {
    refusal = nil
    if heldTail == 0, let pieces = held.take() {
      // Its head was framed once; it is whole.
      var bytes = pieces.bytes
      var walker = Framer(.request, release: proxy.settings.release, limits: proxy.settings.frameLimits)
      if case .head(let head) = walker.next(&bytes) { begin(head, bytes.count) }
    }
    failAll(reason)
  }

  /// Ends what is in flight, closes the other side, and leaves the proxy. The socket is closed already.
  private func end(_ outcome: Outcome) {
    guard !isEnding else { return }
    isEnding = true
    timer.disarm()
    settle()
    exchanges.queue.takeAll { finished($0, outcome) }
    forgetHeld()
    datanode.owner = nil
    // A request that is not whole must not look like one whose caller waits.
    if framer.isInsidePacket || datanode.pendingBytes > 0 { datanode.reset() } else { datanode.close() }
    inbound.ended(self)
  }
}
