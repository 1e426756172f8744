internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension InboundSession {
  /// Bytes of the caller's that passed and were not handed on yet.
  private struct Run {
    var start: UnsafeMutableRawPointer?
    /// Where the reply that is passing through begins, where that is among these bytes.
    var packet: UnsafeMutableRawPointer?
  }

  /// The datanode has sent something.
  func replied(_ bytes: UnsafeMutableRawBufferPointer) {
    relay(bytes)
    guard isOpen, !isLeaving else { return }
    resumeRequests()
    updateTimer()
    closeIfIdle()
  }

  /// Frames and judges. Bytes that pass are collected into one run and handed on together.
  private func relay(_ bytes: UnsafeMutableRawBufferPointer) {
    var rest = bytes
    var run = Run(start: datanode.framer.isInsidePacket && datanode.passing.fate == .swallowed ? nil : bytes.baseAddress)
    while true {
      switch datanode.framer.next(&rest) {
      case .needMore:
        guard hand(&run, rest.baseAddress) else { return }
        if datanode.framer.isInsidePacket { datanode.passing.partlyDelivered = datanode.passing.fate == .delivered }
        datanode.carried.keep(rest)
        return
      case .head(let head):
        run.packet = head.start
        datanode.passing = PassingReply()
        let mismatch = judge(head)
        noteReply(head, rest.count, mismatch?.reason)
        if let mismatch, !pass(mismatch, head) {
          guard hand(&run, head.start) else { return }
          return dropped(mismatch, exchanges.place(ofUnjudged: head.header))
        }
        if datanode.passing.fate == .swallowed {
          guard hand(&run, head.start) else { return }
          run = Run()
        }
        if head.bodyLength == 0, !replyEnds(&run, &rest) { return }
      case .body(let piece, let part, let last):
        if part == .payload && datanode.passing.plan.checksPayload { datanode.passing.crc.update(UnsafeRawBufferPointer(piece)) }
        if last, !replyEnds(&run, &rest) { return }
      case .refused(let refusal):
        guard hand(&run, rest.baseAddress) else { return }
        let mismatch = Mismatch(refusal)
        noteUnframed(rest, mismatch.reason)
        return dropped(mismatch, exchanges.queue.isAnswered ? nil : exchanges.queue.firstUnanswered)
      }
    }
  }

  /// Hands the run up to `end` to the caller. False where that ended the session.
  private func hand(_ run: inout Run, _ end: UnsafeMutableRawPointer?) -> Bool {
    if let start = run.start, let end, end > start {
      run.start = end
      guard deliver(UnsafeRawBufferPointer(start: start, count: end - start)) else { return false }
    }
    settle()
    return true
  }

  /// Nil where the reply may pass, or is to be swallowed.
  private func judge(_ head: Framer.Head) -> Mismatch? {
    do throws(Mismatch) {
      switch try exchanges.match(head) {
      case .reply(let index, let plan):
        datanode.passing.plan = plan
        datanode.passing.stamp = exchanges.queue[index].stamp
      case .further: break
      case .surplus:
        if proxy.observes(.repairStream) { break }
        datanode.passing.fate = .swallowed
        var event = LaneEvent(.surplusDropped, reason: .replySurplus, action: .none)
        event.operationClass = .repairStream
        event.observed = .signed(head.header.reqID)
        record(&event)
      }
      return nil
    } catch {
      return error
    }
  }

  /// What judges nothing, or only watches, lets a mismatch pass. False where it must be dropped.
  private func pass(_ mismatch: Mismatch, _ head: Framer.Head) -> Bool {
    let place = exchanges.place(ofUnjudged: head.header)
    let exchange = place.map { exchanges.queue[$0] }
    // Where nothing is in flight no class is to blame.
    guard proxy.judgesNothing || proxy.observes(exchange?.operationClass ?? .other), mismatch.reason != .replyBeforeRequest else {
      return false
    }
    ring.correctLastReply(.observed, mismatch.reason)
    if !proxy.judgesNothing { report(mismatch, exchange, .replyObserved, .forwarded) }
    if let place {
      datanode.passing.stamp = exchanges.queue[place].stamp
      datanode.passing.plan = exchanges.queue.follow(place, head)
    }
    return true
  }

  /// A reply's last byte is in. False where the session has ended or is leaving.
  private func replyEnds(_ run: inout Run, _ rest: inout UnsafeMutableRawBufferPointer) -> Bool {
    let passing = datanode.passing
    datanode.passing = PassingReply()
    if passing.fate == .swallowed {
      run.start = rest.baseAddress
      return true
    }
    let index = passing.stamp.flatMap { exchanges.queue.index(ofStamp: $0) }
    if passing.plan.checksPayload && passing.crc.value != passing.plan.expectedCRC {
      let mismatch = Mismatch(
        .payloadCRC, expected: .unsigned(UInt64(passing.plan.expectedCRC)), observed: .unsigned(UInt64(passing.crc.value)))
      let exchange = index.map { exchanges.queue[$0] }
      if proxy.judgesNothing {
        // Passes.
      } else if proxy.observes(exchange?.operationClass ?? .other) {
        ring.correctLastReply(.observed, mismatch.reason)
        report(mismatch, exchange, .replyObserved, .forwarded)
      } else {
        // The whole of it may be here still: then the caller has seen nothing of it.
        if let packet = run.packet {
          ring.correctLastReply(.dropped, mismatch.reason)
          guard hand(&run, packet) else { return false }
        } else {
          ring.correctLastReply(.cutOff, mismatch.reason)
          datanode.passing.partlyDelivered = true
        }
        dropped(mismatch, passing.stamp.flatMap { exchanges.queue.index(ofStamp: $0) })
        return false
      }
    }
    run.packet = nil
    if passing.plan.isError { datanode.carriedError = true }
    lastProgress = reactor.now
    if let index, passing.plan.completes { exchanges.complete(index, inError: passing.plan.isError) }
    return true
  }
}
