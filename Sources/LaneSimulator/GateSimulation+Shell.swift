internal import LaneCore

extension GateSimulation {
  // MARK: Requests

  mutating func requestStep() {
    let count = socket.readableUpTo &- shell.read
    guard count > 0 else {
      // The caller's end of stream.
      shell.gate.callerGone()
      shell.isOver = true
      return
    }
    shell.read &+= count
    shell.gate.read(Int(truncatingIfNeeded: count))
    while shell.begunRequests < shell.requests.count, shell.requests[shell.begunRequests].start < shell.read {
      finishRequest()
      shell.begunRequests += 1
      shell.gate.requestArrived()
      guard shell.operation != nil || !shell.queued.isEmpty else { continue }
      obey(shell.gate.newerRequest())
      if shell.isOver { return }
    }
    finishRequest()
  }

  /// A request that is there to its last byte is served, or waits where a mutant lets two be unfinished.
  private mutating func finishRequest() {
    while shell.nextRequest < shell.begunRequests {
      let request = shell.requests[shell.nextRequest]
      guard request.start &+ request.length <= shell.read else { return }
      shell.nextRequest += 1
      if shell.operation == nil { begin(request.operation) } else { shell.queued.append(request.operation) }
    }
  }

  private mutating func begin(_ operation: Int) {
    shell.operation = operation
    shell.reply = 0
    shell.replyWritten = 0
  }

  // MARK: Replies

  /// The peer's replies come when they come; each goes out in up to two pieces, then its tail.
  mutating func replyStep() {
    guard let index = shell.operation else { return }
    let operation = script.operations[index]
    let shape = operation.replies[shell.reply]
    let gated = operation.isGated && shell.gate.gatesReply(shell.reply)
    let tail =
      mutations.contains(.oneByteTail)
      ? 1
      : UInt64(
        DeliveryGate.tailLength(
          packetLength: Int(shape.length), argLength: UInt32(truncatingIfNeeded: shape.argument),
          size: UInt32(truncatingIfNeeded: shape.payload)))
    let end = shape.length &- (gated ? tail : 0)
    let rest = end &- min(end, shell.replyWritten)
    let count = rest > 1 && shell.replyWritten == 0 && random.once(in: 3) ? 1 &+ random.next() % rest : rest
    write(count, as: gated ? .gated : operation.isGated ? .ungated : .single)
    guard shell.replyWritten >= end else { return }
    if gated {
      // The shell has something else to do first: the next reply is read meanwhile.
      guard random.once(in: 2) else { return }
      obey(shell.gate.withheld(own: ownSocket, now: clock))
    } else if shell.replyWritten >= shape.length {
      if !operation.isGated { shell.gate.singleReplyEnded() }
      replyEnded()
    }
  }

  private mutating func write(_ count: UInt64, as handing: GateLedger.Handing) {
    guard count > 0, let operation = shell.operation else { return }
    if shell.replyWritten == 0 {
      packets.append(
        ModelCaller.Packet(start: downstreamEnd, operation: operation, shape: script.operations[operation].replies[shell.reply]))
    }
    shell.replyWritten &+= count
    downstreamEnd &+= count
    socket.launch(count)
    shell.gate.wrote(Int(truncatingIfNeeded: count), as: handing)
  }

  private mutating func writeTail() {
    guard let index = shell.operation else { return }
    let shape = script.operations[index].replies[shell.reply]
    write(shape.length &- shell.replyWritten, as: .gated)
    shell.gate.tailWritten()
    replyEnded()
  }

  private mutating func replyEnded() {
    guard let index = shell.operation else { return }
    shell.reply += 1
    shell.replyWritten = 0
    guard shell.reply >= script.operations[index].replies.count else { return }
    shell.operation = nil
    if !shell.queued.isEmpty { begin(shell.queued.removeFirst()) }
  }

  // MARK: The gate's actions

  mutating func obey(_ action: DeliveryGate.Action) {
    switch action {
    case .none: break
    case .query(let id, let question):
      precondition(query == nil, "two queries outstanding for one connection")
      query = ModelQuery(id: id, question: question, startedAt: clock, sendQueueFirst: random.once(in: 2))
      shell.wakeAt = shell.gate.deadline
    case .wake(let at): shell.wakeAt = at
    case .release:
      shell.wakeAt = nil
      shell.releases += 1
      writeTail()
    case .cancel:
      shell.cancellations += 1
      shell.operation = nil
      shell.replyWritten = 0
    case .slowStream(let wakeAt): shell.wakeAt = wakeAt
    case .reset:
      if !script.everLeaves { violation = .groundlessReset(operation: shell.operation) }
      shell.isOver = true
      socket.isReset = true
    case .fallBack:
      let hazards = script.hazards
      if !hazards.invisible, !hazards.upperLayer, !hazards.sockmap, !hazards.failingQueries { violation = .groundlessFallBack }
      shell.declaredBlind = true
      shell.wakeAt = nil
      // Only a withheld tail is left over; the rest of a reply that is being written follows by itself.
      if let index = shell.operation, shell.replyWritten > 0, isWithheld(index) { writeTail() }
    }
  }

  private func isWithheld(_ index: Int) -> Bool {
    let shape = script.operations[index].replies[shell.reply]
    return shell.replyWritten >= 56 &+ shape.argument &+ shape.payload
  }

  mutating func timerStep() {
    shell.wakeAt = nil
    obey(shell.gate.timer(own: ownSocket, now: clock))
  }

  // MARK: Queries

  mutating func sampleStep() {
    guard var asked = query else { return }
    if case .counters = asked.step, script.hazards.slowQueries, random.once(in: 6) {
      clock &+= 150_000_000 &+ UInt64(random.below(250_000_000))
    }
    asked.sample(socket, script.hazards, upperLayer: script.hazards.upperLayer)
    query = asked
    // The thread that asks is preempted between its two readings, at the very moment at which the caller goes on.
    if script.hazards.preemptedQueries, asked.isUnderWay, !random.once(in: 4) {
      let pause = 4 + random.below(16)
      queryStallsUntil = step + pause
      if !random.once(in: 3) {
        callerRestsUntil = step
        favour(.caller, for: pause)
      }
    }
  }

  mutating func answerStep() {
    guard let asked = query else { return }
    query = nil
    guard !shell.isOver else { return }
    let took = clock &- asked.startedAt
    let action = shell.gate.answer(to: asked.id, result(of: asked), took: took, own: ownSocket, now: clock)
    if case .release = action, asked.question != .counters { shell.releasesByLooks += 1 }
    obey(action)
  }

  private var ownSocket: ModelOwnSocket {
    ModelOwnSocket(socket, written: downstreamEnd, read: shell.read, script.hazards, mutations)
  }

  private mutating func result(of asked: ModelQuery) -> DeliveryGate.Answer {
    if script.hazards.failingQueries, random.once(in: 8) { return .failed }
    if script.hazards.twin, random.once(in: 4) {
      guard let first = asked.first, random.once(in: 2) else { return .observed(twin(asked)) }
      return .observedTwice(observation(first.receiveQueue, first.sendQueue, asked), twin(asked))
    }
    if socket.isClosed, random.once(in: 2) { return .notFound }
    let look = observation(asked.receiveQueue, asked.sendQueue, asked)
    guard let first = asked.first else { return .observed(look) }
    return .observedTwice(observation(first.receiveQueue, first.sendQueue, asked), look)
  }

  private func observation(_ receiveQueue: UInt64, _ sendQueue: UInt64, _ asked: ModelQuery) -> DeliveryGate.Observation {
    DeliveryGate.Observation(
      cookie: 7, isEstablished: !socket.isClosed && !socket.isReset, receiveQueue: UInt32(truncatingIfNeeded: receiveQueue),
      sendQueue: UInt32(truncatingIfNeeded: sendQueue), hasULP: asked.question == .counters && script.hazards.upperLayer,
      counters: asked.counters)
  }

  /// Another socket at the same tuple (a port that was reused, a source port that was rewritten), with the counters of a caller
  /// in the same operation that has read everything.
  private func twin(_ asked: ModelQuery) -> DeliveryGate.Observation {
    let counters = DeliveryGate.Counters(bytesReceived: downstreamEnd, bytesSent: shell.read, bytesAcked: shell.read &+ 1)
    return DeliveryGate.Observation(cookie: 8, receiveQueue: 0, counters: asked.question == .counters ? counters : nil)
  }
}
