internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension InboundSession {
  /// Frames requests and sends them on as they are.
  /// - Parameter tail: so many bytes at the front are the end of a request that was framed, and may go out now.
  func process(_ bytes: UnsafeMutableRawBufferPointer, tail: Int = 0) {
    var rest = bytes
    // Bytes from here to where the framer stands have not gone out.
    var run = rest.baseAddress
    // Where the request begins that is being framed; nil where that was in an earlier read.
    var start: UnsafeMutableRawPointer?
    if tail > 0, let base = bytes.baseAddress {
      rest = UnsafeMutableRawBufferPointer(start: base + tail, count: bytes.count - tail)
      requestIsWhole()
    }
    while true {
      switch framer.next(&rest) {
      case .needMore:
        guard forward(&run, rest.baseAddress) else { return }
        carried.keep(rest)
        return
      case .head(let head):
        switch admit(head) {
        case .go:
          start = head.start
          begin(head, rest.count)
          if head.bodyLength == 0, !requestEnds(&run, rest, from: start) { return }
        case .hold:
          framer.rewind()
          guard forward(&run, head.start) else { return }
          return hold(UnsafeMutableRawBufferPointer(start: head.start, count: head.length + rest.count))
        case .ended:
          return
        }
      case .body(let piece, let part, let last):
        if part == .payload { scan?.take(UnsafeRawBufferPointer(piece)) }
        if last, !requestEnds(&run, rest, from: start) { return }
      case .refused(let refusal):
        guard forward(&run, rest.baseAddress) else { return }
        return protocolError(Mismatch(refusal))
      }
    }
  }

  private enum Verdict {
    case go, hold, ended
  }

  private func admit(_ head: Framer.Head) -> Verdict {
    guard head.header.resultCode == .initial else {
      protocolError(Mismatch(.callerProtocol, expected: .result(.initial), observed: .result(head.header.resultCode)))
      return .ended
    }
    switch exchanges.admission(limit: inbound.limits.maxInFlight, betweenReplies: !datanode.isInsidePacket) {
    case .forward: return isHeld(head) ? .hold : .go
    case .wait: return .hold
    case .finish:
      if let left = exchanges.finishLast() { finished(left, left.replies > 0 ? .delivered : .noneDue) }
      return isHeld(head) ? .hold : .go
    case .dirtyReuse:
      dirtyReuse(head)
      return .ended
    }
  }

  /// A repair's read that would run beside a delete of its extent waits.
  private func isHeld(_ head: Framer.Head) -> Bool {
    guard proxy.conflicts != nil, heldTicket == nil else { return false }
    guard proxy.catalogue[head.header.opcode].conflictRole == .repairRead else { return false }
    let exchange = heldExchange(head)
    heldStamp = exchange.stamp
    let (ticket, isHeld) = arriveWithHead(exchange)
    if !isHeld { heldTicket = ticket }
    return isHeld
  }

  /// The operation of the request at the front, with the stamp and the ticket that it has already.
  private func heldExchange(_ head: Framer.Head) -> Exchange {
    var exchange = Exchange(head, stamp: heldStamp ?? proxy.stamps.next(), catalogue: proxy.catalogue, now: reactor.now)
    exchange.ticket = heldTicket ?? conflictWait?.ticket
    heldTicket = nil
    heldStamp = nil
    return exchange
  }

  func begin(_ head: Framer.Head, _ behind: Int) {
    var exchange = heldExchange(head)
    inbound.accounting.begin(exchange.operationClass)
    // The sizes of tiny deletes' files are wanted without the guard, too.
    if exchange.conflictRole != .none, proxy.conflicts != nil || exchange.conflictRole == .repairTask {
      (exchange.ticket, scan) = begin(exchange, head)
    }
    exchanges.queue.append(exchange)
    noteRequest(head, behind, stamp: exchange.stamp)
  }

  /// The request's last byte is in. False where it must wait, or the session has ended.
  /// - Parameter start: where it begins, in what is being processed.
  private func requestEnds(
    _ run: inout UnsafeMutableRawPointer?, _ rest: UnsafeMutableRawBufferPointer, from start: UnsafeMutableRawPointer?
  ) -> Bool {
    guard scan != nil, bodyIsHeld() else {
      requestIsWhole()
      return true
    }
    // What came before goes out.
    if let start, !forward(&run, start) { return false }
    guard let tail = run, let end = rest.baseAddress else { return false }
    heldTail = end - tail
    hold(UnsafeMutableRawBufferPointer(start: tail, count: heldTail + rest.count))
    return false
  }

  private func bodyIsHeld() -> Bool {
    guard let body = scan, let exchange = exchanges.queue.last else { return false }
    scan = nil
    guard let (ticket, isHeld) = arrive(exchange, body) else { return false }
    exchanges.queue.lastIsKnown(by: ticket)
    return isHeld
  }

  private func requestIsWhole() {
    guard exchanges.queue.lastRequestIsComplete(), let exchange = exchanges.queue.removeLast() else { return }
    finished(exchange, .noneDue)
  }

  /// Sends the run up to `end`. False where the rest must not be sent.
  private func forward(_ run: inout UnsafeMutableRawPointer?, _ end: UnsafeMutableRawPointer?) -> Bool {
    guard let start = run, let end, end > start else { return true }
    run = end
    if datanode.refusesRequests { return false }
    switch datanode.send(UnsafeRawBufferPointer(start: start, count: end - start)) {
    case .sent: return true
    case .queued:
      pauseReading()
      return true
    case .overflow:
      fail(.pendingOutput)
      return false
    case .failed:
      datanodeRefusesRequests()
      return false
    }
  }

  /// Keeps what may not go on yet.
  private func hold(_ bytes: UnsafeMutableRawBufferPointer) {
    pauseReading()
    held = HeldBytes(copying: bytes)
    updateTimer()
  }

  /// Goes on with what was held, where it may.
  func resumeRequests() {
    if let reason = refusal {
      if conflictWait == nil { refusal = nil } else if exchanges.queue.unanswered <= 1 { return refuse(reason) }
    }
    guard isOpen, !isLeaving, conflictWait == nil, heldTail > 0 || exchanges.queue.count < inbound.limits.maxInFlight,
      let pieces = held.take()
    else { return }
    let tail = heldTail
    heldTail = 0
    process(pieces.bytes, tail: tail)
    if isOpen, held == nil, !inputEnded, datanode.pendingBytes == 0, !datanode.refusesRequests { resumeReading() }
  }
}
