internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension InboundSession {
  /// Frames requests and sends them on as they are.
  func process(_ bytes: UnsafeMutableRawBufferPointer) {
    var rest = bytes
    // Bytes from here to where the framer stands have not gone out.
    var run = rest.baseAddress
    while true {
      switch framer.next(&rest) {
      case .needMore:
        guard forward(&run, rest.baseAddress) else { return }
        carried.keep(rest)
        return
      case .head(let head):
        switch admit(head) {
        case .go:
          begin(head)
          if head.bodyLength == 0 { requestEnds() }
        case .hold:
          framer.rewind()
          guard forward(&run, head.start) else { return }
          return hold(head, rest)
        case .ended:
          return
        }
      case .body(let piece, let part, let last):
        if part == .payload { scanner?.body.take(UnsafeRawBufferPointer(piece)) }
        if last { requestEnds() }
      case .refused(let refusal):
        guard forward(&run, rest.baseAddress) else { return }
        return protocolError(Mismatch(refusal))
      }
    }
  }

  private static let notifyReplicasToRepair: UInt8 = 0x08

  private enum Verdict {
    case go, hold, ended
  }

  private func admit(_ head: Framer.Head) -> Verdict {
    guard head.header.resultCode == .initial else {
      protocolError(Mismatch(.callerProtocol, expected: .result(.initial), observed: .result(head.header.resultCode)))
      return .ended
    }
    switch exchanges.admission(limit: inbound.limits.maxInFlight, betweenReplies: !datanode.isInsidePacket) {
    case .forward: return .go
    case .wait: return .hold
    case .finish:
      if let left = exchanges.finishLast() { finished(left, left.replies > 0 ? .delivered : .noneDue) }
      return .go
    case .dirtyReuse:
      dirtyReuse(head)
      return .ended
    }
  }

  private func begin(_ head: Framer.Head) {
    let exchange = Exchange(head, stamp: proxy.stamps.next(), catalogue: proxy.catalogue, now: reactor.now)
    inbound.accounting.begin(exchange.operationClass)
    if exchange.opcode.rawValue == Self.notifyReplicasToRepair { scanner = (RepairTaskScanner(), exchange.partitionID) }
    exchanges.queue.append(exchange)
  }

  /// The request's last byte is in.
  private func requestEnds() {
    if scanner != nil { taskEnds() }
    guard exchanges.queue.lastRequestIsComplete(), let exchange = exchanges.queue.removeLast() else { return }
    finished(exchange, .noneDue)
  }

  /// The task is known before the datanode has the last byte of it, and so before it can act on it.
  private func taskEnds() {
    guard let (body, partition) = scanner else { return }
    scanner = nil
    switch body.finish() {
    case .none: break
    case .size(0, let leader): proxy.tinyDeleteSizes.forget(partition: partition, leader: leader)
    case .size(let size, let leader): proxy.tinyDeleteSizes.learn(partition: partition, leader: leader, size: size)
    case .unreadable:
      var event = LaneEvent(.taskUnreadable, reason: .taskUnreadable, action: .forwarded)
      event.operation = exchanges.queue.last.map { LaneEvent.Operation($0) }
      record(&event)
    }
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

  /// Keeps what is over the limit. `rest` is what follows the head.
  private func hold(_ head: Framer.Head, _ rest: UnsafeMutableRawBufferPointer) {
    pauseReading()
    held = HeldBytes(copying: UnsafeMutableRawBufferPointer(start: head.start, count: head.length + rest.count))
  }

  /// Goes on with what was held, where there is room again.
  func resumeRequests() {
    guard isOpen, !isLeaving, exchanges.queue.count < inbound.limits.maxInFlight, let pieces = held.take() else { return }
    process(pieces.bytes)
    if isOpen, held == nil, !inputEnded, datanode.pendingBytes == 0, !datanode.refusesRequests { resumeReading() }
  }
}
