internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension Upstream {
  /// Reads once, judges what came, and hands on what passes.
  func receive() {
    if let outcome = endedAhead { return ended(outcome) }
    let buffer = UnsafeMutableRawBufferPointer(rebasing: reactor.readBuffer[..<min(readLimit, gatedReadLimit)])
    switch read(into: buffer) {
    case .bytes(let count):
      lastReadWasFull = count == buffer.count || mayHoldBytes
      let bytes = carried.prepend(to: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
      guard let session = owner else { return unsolicited(bytes) }
      relay(bytes)
      session.repliesHandled()
    case .wouldBlock: owner?.sendOwed()
    case .end: ended(.end)
    case .failed: ended(.failed)
    }
  }

  /// How reading can end.
  enum ReadEnd {
    case end, failed
  }

  private func ended(_ outcome: ReadEnd) {
    owner?.sendOwed()
    switch outcome {
    case .end: lost(framer.isInsidePacket || carried.count > 0 ? .upstreamTruncated : .upstreamClosed)
    case .failed: lost(.upstreamReset)
    }
  }

  /// Reads up to one reply while the tail of the one before it is withheld. It is judged when that one is released.
  func readAhead() {
    guard let owner, owner.withheld.failed == nil, !owner.withheld.hasMore, nextMayFollow, endedAhead == nil,
      var ahead = peer.proxy.readAheadPool.take()
    else { return }
    let room = UnsafeMutableRawBufferPointer(rebasing: ahead.room[..<min(ahead.room.count, readLimit, gatedReadLimit)])
    switch read(into: room) {
    case .bytes(let count):
      lastReadWasFull = count == room.count || mayHoldBytes
      ahead.count = count
      if plan.checksPayload { ahead.takeSum(framer) }
      owner.withheld.ahead = consume ahead
    case .wouldBlock: break
    case .end: endedAhead = .end
    case .failed: endedAhead = .failed
    }
  }

  /// Under the gate, replies are handed over one at a time: what is read beyond the one would have to be copied aside.
  private var gatedReadLimit: Int {
    guard operationClass == .repairStream, let owner, owner.gates else { return .max }
    return framer.isInsidePacket ? framer.bytesLeft : max(HeaderView.fixedLength, expectedLength - carried.count)
  }

  private func unsolicited(_ bytes: UnsafeMutableRawBufferPointer) {
    report(.replyUnsolicited, .replyUnsolicited, stray: bytes)
    peer.idleFailed(self, .unreadBytes)
  }

  /// Frames and judges. Bytes that pass are collected into one run and handed on together; a run ends where a reply fails,
  /// where the last operation is answered, and with the bytes.
  /// - Parameter sum: of a payload's first piece among the bytes, where it is known.
  private func relay(_ bytes: UnsafeMutableRawBufferPointer, sum: PayloadSum = PayloadSum()) {
    guard let session = owner else { return }
    var rest = bytes
    var run = Run(start: session.putOwed(before: bytes.baseAddress))
    while true {
      switch framer.next(&rest) {
      case .needMore:
        guard hand(&run, rest.baseAddress.map { keepTail(before: $0, session) }, to: session) else { return }
        if framer.isInsidePacket { partlyDelivered = true }
        carried.keep(rest)
        return
      case .head(let head):
        run.packet = UnsafeRawPointer(head.start)
        partlyDelivered = false
        noteReply(head, rest.count)
        let mismatch = judge(head, session)
        if let mismatch, !pass(mismatch, head, session) {
          ring.correctLastReply(.dropped, mismatch.reason)
          guard hand(&run, run.packet.map { UnsafeMutableRawPointer(mutating: $0) }, to: session) else { return }
          return session.dropped(mismatch, of: session.exchanges.index(ofStamp: head.header.reqID) ?? session.exchanges.firstUnanswered)
        }
        session.noteReply(head, rest.count, stamp: current, observed: mismatch?.reason)
        crc = PayloadCRC()
        prepareGate(head, session)
        if head.bodyLength == 0, !finishReply(&run, &rest, session) { return }
      case .body(let piece, let part, let last):
        if part == .payload && plan.checksPayload {
          if let known = sum.of(piece) { crc = known } else { crc.update(UnsafeRawBufferPointer(piece)) }
        }
        if last, !finishReply(&run, &rest, session) { return }
      case .refused(let refusal):
        guard hand(&run, rest.baseAddress, to: session) else { return }
        let mismatch = Mismatch(refusal)
        noteUnframed(rest, mismatch.reason)
        return session.dropped(mismatch, of: session.exchanges.firstUnanswered)
      }
    }
  }

  /// Bytes that passed and were not handed on yet.
  private struct Run {
    var start: UnsafeMutableRawPointer?
    /// Where the reply that is passing through begins, where that is among these bytes.
    var packet: UnsafeRawPointer?
  }

  /// Hands the run up to `end` to the caller. False where that ended the lease.
  private func hand(_ run: inout Run, _ end: UnsafeMutableRawPointer?, to session: CallerSession) -> Bool {
    guard let start = run.start, let end, end > start else { return true }
    run.start = end
    guard session.deliver(UnsafeRawBufferPointer(start: start, count: end - start), from: self) else { return false }
    session.settle()
    return true
  }

  /// Nil where the reply may pass; its ReqID is then the caller's again.
  private func judge(_ head: Framer.Head, _ session: CallerSession) -> Mismatch? {
    let stamp = head.header.reqID
    guard let index = session.exchanges.index(ofStamp: stamp) else {
      return Mismatch(.stampUnknown, expected: session.stampsInFlight, observed: .signed(stamp))
    }
    if session.exchanges.isComplete(index) {
      return Mismatch(.replySurplus, expected: session.stampsInFlight, observed: .signed(stamp))
    }
    // Only an error may overtake (PROTOCOL.md section 6, number 1), and unknown operations have no known order.
    if index != session.exchanges.firstUnanswered, head.header.resultCode == .ok, session.exchanges.completion(index) != .anyNumber {
      return Mismatch(
        .replyOutOfOrder, expected: .signed(session.exchanges[session.exchanges.firstUnanswered].stamp), observed: .signed(stamp))
    }
    do throws(Mismatch) {
      plan = try session.exchanges.judge(index, head)
    } catch {
      return error
    }
    current = stamp
    session.restore(head.header, index)
    return nil
  }

  /// What judges nothing, or only watches, lets a mismatch pass. False where it must be dropped.
  private func pass(_ mismatch: Mismatch, _ head: Framer.Head, _ session: CallerSession) -> Bool {
    let isSabotaged = peer.proxy.judgesNothing
    // To take a half-sent request for answered would let the rest of it go missing on a connection that is used again.
    guard isSabotaged || peer.proxy.observes(operationClass), !session.exchanges.isEmpty, mismatch.reason != .replyBeforeRequest else {
      return false
    }
    let known = session.exchanges.index(ofStamp: head.header.reqID)
    let index = known ?? session.exchanges.firstUnanswered
    current = session.exchanges[index].stamp
    ring.correctLastReply(.observed, mismatch.reason)
    if !isSabotaged { session.report(mismatch, session.exchanges[index], .replyObserved, .forwarded) }
    // Under a stamp that is not in flight the caller sees what came, not its own ReqID: to make a stray look right would be worse
    // than no sidecar at all.
    if known != nil || isSabotaged { session.restore(head.header, index) }
    plan = session.exchanges.follow(index, head)
    return true
  }

  /// A reply's last byte is in. False where the lease has ended and these bytes must not be touched any more.
  private func finishReply(_ run: inout Run, _ rest: inout UnsafeMutableRawBufferPointer, _ session: CallerSession) -> Bool {
    guard let index = session.exchanges.index(ofStamp: current) else {
      // Every way out of the queue ends the lease as well.
      return false
    }
    if plan.checksPayload && crc.value != plan.expectedCRC {
      let mismatch = Mismatch(
        .payloadCRC, expected: .unsigned(UInt64(plan.expectedCRC)), observed: .unsigned(UInt64(crc.value)))
      if peer.proxy.judgesNothing {
        // Passes.
      } else if peer.proxy.observes(operationClass) {
        correctLastReply(.observed, mismatch.reason, session)
        session.report(mismatch, session.exchanges[index], .replyObserved, .forwarded)
      } else {
        // The whole of it may be here still: then the caller has seen nothing, and gets an error reply.
        if let packet = run.packet {
          correctLastReply(.withheld, mismatch.reason, session)
          guard hand(&run, UnsafeMutableRawPointer(mutating: packet), to: session) else { return false }
        } else {
          correctLastReply(.cutOff, mismatch.reason, session)
          partlyDelivered = true
        }
        session.dropped(mismatch, of: session.exchanges.index(ofStamp: current) ?? 0)
        return false
      }
    }
    if plan.isError { carriedError = true }
    if tailLength > 0 {
      guard let end = rest.baseAddress, hand(&run, keepTail(before: end, session), to: session) else { return false }
      if rest.count > 0 { session.withheld.behind = HeldBytes(copying: rest) }
      session.withhold()
      return false
    }
    run.packet = nil
    partlyDelivered = false
    session.replyComplete(index, plan, now: reactor.now)
    guard session.exchanges.isAnswered, !session.isUnknownTraffic else { return true }
    // The last operation is answered: hand everything on before the lease ends.
    let exchange = session.exchanges[index]
    guard hand(&run, rest.baseAddress, to: session) else { return false }
    session.lastReplyHanded(from: self)
    conclude(exchange, rest, session)
    return false
  }

  /// The lease's last reply was handed over; `rest` is what came behind it.
  private func conclude(_ exchange: Exchange, _ rest: UnsafeMutableRawBufferPointer, _ session: CallerSession) {
    let trails = isTrailing(rest, exchange)
    if !rest.isEmpty && !trails {
      report(.replyUnsolicited, .replySurplus, stray: rest)
      session.release(because: .unreadBytes)
    } else {
      session.release(because: nil)
    }
  }

  // MARK: The delivery gate

  private func prepareGate(_ head: Framer.Head, _ session: CallerSession) {
    guard operationClass == .repairStream else { return }
    session.withheld.clear()
    tailLength = 0
    guard session.gates else { return }
    tailLength = DeliveryGate.tailLength(
      packetLength: head.packetLength, argLength: head.header.argLength, size: UInt32(truncatingIfNeeded: head.payloadLength))
    expectedLength = head.packetLength
  }

  /// Puts what is here of the reply's tail aside. `end` is where the reply's bytes end that have come; returns where those end
  /// that may be handed over.
  private func keepTail(before end: UnsafeMutableRawPointer, _ session: CallerSession) -> UnsafeMutableRawPointer {
    guard tailLength > 0, operationClass == .repairStream else { return end }
    let here = tailLength - framer.bytesLeft - session.withheld.tail.count
    guard here > 0 else { return end }
    session.withheld.tail.append(contentsOf: UnsafeRawBufferPointer(start: end - here, count: here))
    return end - here
  }

  /// The reply that passes through is not the last one of its operation: what is read next is most often the next one.
  var nextMayFollow: Bool { isOpen && !plan.completes }

  /// The gate has let the caller complete the reply; `behind` and `ahead` are what was read after it, one of them at most.
  func replyReleased(_ behind: consuming HeldBytes?, _ ahead: consuming ReadAhead?) {
    guard let session = owner, let index = session.exchanges.index(ofStamp: current) else { return }
    tailLength = 0
    partlyDelivered = false
    session.replyComplete(index, plan, now: reactor.now)
    let exchange = session.exchanges[index]
    let isAnswered = session.exchanges.isAnswered
    session.settle()
    let pieces = behind.take()
    if isAnswered {
      if let pieces { conclude(exchange, pieces.bytes, session) } else { session.release(because: nil) }
    } else if let pieces {
      relay(pieces.bytes)
    } else if var ahead = consume ahead {
      relay(ahead.bytes, sum: ahead.sum)
      // Used to here: its memory goes back no sooner.
      ahead.count = 0
    } else {
      // Most often the next reply is there by now: to ask the kernel is cheaper than to be told by it.
      receive()
    }
    if isOpen, let owner, !owner.isWithholding, owner.pendingBytes == 0 { resumeReading() }
    session.repliesHandled()
  }

  /// Whether what follows the last reply is the surplus that such an operation's peer is known to send.
  private func isTrailing(_ rest: UnsafeMutableRawBufferPointer, _ exchange: Exchange) -> Bool {
    guard exchange.mayTrail, !rest.isEmpty, let base = rest.baseAddress else { return false }
    // The start of a head says no more than that it is one.
    guard rest.count >= HeaderView.fixedLength else { return rest[0] == HeaderView.magic }
    let header = HeaderView(at: base)
    return header.reqID == exchange.stamp && (header.opcode == exchange.opcode || header.opcode == exchange.rule.replyOpcode)
  }

  private func report(_ name: LaneEvent.Name, _ reason: Reason, stray: UnsafeMutableRawBufferPointer) {
    var event = LaneEvent(name, reason: reason, action: .retired)
    event.peer = peer.endpoint
    event.operationClass = operationClass
    event.connection = owner.map { UInt64($0.number) }
    event.observed = .text("\(stray.count) bytes")
    if stray.count >= HeaderView.fixedLength, let base = stray.baseAddress {
      let header = HeaderView(at: base)
      if header.magic == HeaderView.magic {
        event.observed = .text(
          "\(header.opcode.name) \(header.resultCode.name) ReqID \(header.reqID) partition \(header.partitionID) extent \(header.extentID), \(stray.count) bytes"
        )
      }
    }
    noteStray(stray, reason)
    addEvidence(to: &event)
    peer.proxy.sink.record(event)
  }
}

extension Mismatch {
  /// A stream that cannot be framed.
  init(_ refusal: FrameRefusal) {
    let reason: Reason = if case .badMagic = refusal { .badMagic } else { .limitExceeded }
    self.init(reason, expected: .text("a CubeFS packet within the limits"), observed: .text("\(refusal)"))
  }
}
