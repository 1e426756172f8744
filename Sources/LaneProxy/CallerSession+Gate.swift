internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

/// The end of a reply that the delivery gate keeps back, and what belongs to it.
struct WithheldReply: ~Copyable {
  /// The reply's last bytes: all that the caller lacks.
  var tail: [UInt8] = []
  /// How many of them may be handed over once the caller is known; more than 0 for replies of our own only.
  var front = 0
  /// The whole reply is here, and all but the tail was handed over or is pending.
  var isWhole = false
  /// The operation that our own error reply answers; nil where the reply is the peer's.
  var failed: Exchange?
  /// What was read behind it in the same read.
  var behind: HeldBytes?
  /// What was read behind it while it waited.
  var ahead: ReadAhead?

  /// Something was read behind it.
  var hasMore: Bool {
    if behind != nil { return true }
    return ahead != nil
  }

  /// Forgets the reply; the tail's memory stays for the next one.
  mutating func clear() {
    tail.removeAll(keepingCapacity: true)
    front = 0
    isWhole = false
    failed = nil
    behind = nil
    ahead = nil
  }
}

// The delivery gate (DESIGN.md section 5): the session is its shell. It reports what is written and read, asks the kernel for
// the gate, and does what the gate says. While a tail is withheld, nothing else is written to the caller, and no more than one
// reply is taken from the upstream, unlooked at; the caller is read, and whatever it sends then shows that it has moved on.
extension CallerSession {
  /// All of a reply is here but its tail is kept back, until the caller is seen to read it.
  var isWithholding: Bool { withheld.isWhole }

  /// Replies of repair streams are to be gated.
  var gates: Bool { gate.isGating }

  /// They are, or will be when the caller is known.
  var willGate: Bool { gate.isGating || (gate.isUnseen && proxy.watch != nil) }

  /// The first repair stream on this connection: from now on the caller's socket must be known.
  func pinCaller() {
    guard gate.isUnseen, !isPinning, let watch = proxy.watch else { return }
    if watch.ask(number, about: tuple, pinned: nil) {
      isPinning = true
    } else {
      obey(gate.accepted(.failed, ownCookie: 0))
    }
  }

  /// What the helper found.
  func answered(_ answer: DeliveryGate.Answer, took: Nanoseconds) {
    guard isOpen else { return }
    if isPinning {
      isPinning = false
      let own: UInt64
      do { own = try cookie() } catch { own = 0 }
      obey(gate.accepted(answer, ownCookie: own))
      upstream?.resumeReading()
    } else if let query = outstandingQuery {
      outstandingQuery = nil
      if took > proxy.settings.gate.slowQuery { proxy.gateStatistics.slowQueries &+= 1 }
      let now = Reactor.clock()
      obey(gate.answer(to: query, answer, took: took, own: self, now: now))
    }
    advance()
  }

  // MARK: Withholding

  /// The reply that passed is whole, and its tail is in `withheld`. What the gate says now or later sets it free.
  func withhold() {
    withheld.isWhole = true
    waitBegan = Reactor.clock()
    proxy.gateStatistics.waitBegan()
    advance()
  }

  /// Our own error reply to a repair stream's request is gated like any other.
  func withholdError(_ bytes: UnsafeRawBufferPointer, _ exchange: Exchange, _ reason: Reason) {
    withheld.clear()
    withheld.tail.append(contentsOf: bytes)
    withheld.front =
      bytes.count
      - DeliveryGate.tailLength(packetLength: bytes.count, argLength: 0, size: UInt32(ErrorReply(reason).text.utf8CodeUnitCount))
    withheld.failed = exchange
    pinCaller()
    withhold()
  }

  /// Bytes that were read while a tail is withheld, and that are no whole request yet: the start of a newer one.
  func readWhileWithholding() {
    gate.requestArrived()
    obey(gate.newerRequest())
  }

  /// Whether the lock-step operation that the caller has left can be cancelled: nothing of it or of an older one can lie unread
  /// in the caller's socket.
  func isCleanlyAbandoned(_ front: Exchange) -> Bool {
    guard gate.isGating else { return front.replies == 0 }
    switch gate.newerRequest() {
    case .cancel:
      proxy.gateStatistics.cancellations &+= 1
      return true
    case .reset(let reason): proxy.gateStatistics.reset(reason)
    default: break
    }
    return false
  }

  // MARK: The gate's actions

  /// How many replies of one stream are handed over in one turn of the loop: other sessions want their turn.
  private static let turnLimit = 16

  /// Goes on as far as the gate allows. Replies may be set free at once, one after the other: a loop, and no recursion.
  func advance() {
    guard !isAdvancing else { return }
    isAdvancing = true
    defer { isAdvancing = false }
    var left = Self.turnLimit
    while isOpen, isWithholding, !isPinning {
      if !gates { isReleased = true }
      if isReleased {
        guard left > 0 else {
          gateTimer?.arm(at: reactor.now)
          return
        }
        left -= 1
        deliverTail()
      } else if withheld.front > 0 {
        deliverFront()
      } else if !isGateAsked, pendingBytes == 0 {
        isGateAsked = true
        // The caller needs a while to get to this reply, which is as well spent on the next one.
        upstream?.readAhead()
        obey(gate.withheld(own: self, now: Reactor.clock()))
      } else {
        return
      }
    }
  }

  private func obey(_ first: DeliveryGate.Action) {
    var action = first
    var byLooks = false
    while isOpen {
      switch action {
      case .none, .cancel: return
      case .query(let query, .counters):
        guard proxy.watch?.ask(number, about: tuple, pinned: gate.cookie) ?? false else {
          action = gate.answer(to: query, .failed, took: 0, own: self, now: Reactor.clock())
          continue
        }
        proxy.gateStatistics.asked(.counters)
        outstandingQuery = query
        if let deadline = gate.deadline { armGate(at: deadline) }
        return
      case .query(let query, let question):
        proxy.gateStatistics.asked(question)
        let start = Reactor.clock()
        let answer = proxy.watch?.look(at: tuple, pinned: gate.cookie, twice: question == .twoLooks) ?? .failed
        let now = Reactor.clock()
        action = gate.answer(to: query, answer, took: now &- start, own: self, now: now)
        byLooks = true
      case .wake(let time):
        armGate(at: time)
        return
      case .release:
        // A newer request that can be read was not seen by the gate: its bytes will be read next, and end the session. Looks end
        // with a count of what our socket has received, which tells as much.
        if !byLooks, peek() == .readable { return resumeReading() }
        proxy.gateStatistics.releases &+= 1
        isReleased = true
        return
      case .slowStream(let time):
        reportSlowStream()
        armGate(at: time)
        return
      case .fallBack(let blindness):
        var event = LaneEvent(.callerBlind, reason: Reason(blindness), action: .forwarded)
        event.detail = "\(tuple)"
        record(&event)
        proxy.gateStatistics.blind(blindness)
        isReleased = isWithholding
        return
      case .reset(let reason):
        proxy.gateStatistics.reset(reason)
        return reason == .resourceLimit ? fail(.replyUnread) : dirtyReuse(nil)
      }
    }
  }

  private func armGate(at time: Nanoseconds) {
    if gateTimer == nil {
      gateTimer = ReactorTimer(reactor) { [unowned self] in
        if !isReleased { obey(gate.timer(own: self, now: Reactor.clock())) }
        advance()
      }
    }
    gateTimer?.arm(at: time)
  }

  private func reportSlowStream() {
    proxy.gateStatistics.slowStreams &+= 1
    var event = LaneEvent(.callerSlowStream, reason: .replyUnread)
    event.operation = (withheld.failed ?? exchanges.first).map { LaneEvent.Operation($0) }
    event.duration = proxy.settings.gate.slowStream
    record(&event)
  }

  private func deliverFront() {
    let front = withheld.front
    withheld.front = 0
    let outcome = withheld.tail.withUnsafeBytes { transmit(UnsafeRawBufferPointer(rebasing: $0[..<front]), as: .gated) }
    withheld.tail.removeFirst(front)
    goesOn(after: outcome)
  }

  /// The gate has set the tail free, or can say nothing: the reply is completed, and what follows it goes on.
  private func deliverTail() {
    gateTimer?.disarm()
    isReleased = false
    isGateAsked = false
    waitEnded()
    let behind = withheld.behind.take()
    let ahead = withheld.ahead.take()
    let failed = withheld.failed
    // Where the next reply can be read at once, its first bytes take the tail along: one send, and one awakening of the caller.
    if failed == nil, behind == nil, let upstream, upstream.nextMayFollow, owed.take(withheld.tail) {
      gate.wrote(owed.count, as: .gated)
    } else {
      goesOn(after: withheld.tail.withUnsafeBytes { transmit($0, as: .gated) })
    }
    gate.tailWritten()
    guard isOpen else { return }
    withheld.clear()
    lastProgress = reactor.now
    if let failed {
      finished(failed, .errorReply)
      updateTimer()
      closeIfIdle()
    } else {
      upstream?.replyReleased(behind, ahead)
      // Whatever became of the lease, the caller gets what was set free.
      sendOwed()
    }
  }

  /// The released tail goes out on its own: nothing follows it at once.
  func sendOwed() {
    guard owed.count > 0, isOpen else { return }
    goesOn(after: withUnsafeTemporaryAllocation(byteCount: OwedTail.capacity, alignment: 8) { send(owed.drain(into: $0)) })
  }

  /// Puts the released tail in front of what was read behind it. `start` has `OwedTail.capacity` bytes of memory in front.
  func putOwed(before start: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard owed.count > 0, let start else { return start }
    let room = UnsafeMutableRawBufferPointer(start: start - owed.count, count: owed.count)
    leading = owed.count
    return UnsafeMutableRawPointer(mutating: owed.drain(into: room).baseAddress)
  }

  /// What was withheld has gone out, or never will.
  func waitEnded() {
    guard let waitBegan else { return }
    proxy.gateStatistics.waitEnded(after: Reactor.clock() &- waitBegan)
    self.waitBegan = nil
  }

  /// The caller will send nothing more: no newer operation can read what is left of this one, and there is nothing to wait for.
  func gateNoMore() {
    gate.callerGone()
    outstandingQuery = nil
    isPinning = false
    guard isWithholding else { return }
    isReleased = true
    advance()
  }
}

extension CallerSession: DeliveryGate.OwnSocket {
  var hasUnacknowledgedBytes: Bool { unacknowledgedBytes > 0 }
}

extension Reason {
  init(_ blindness: DeliveryGate.Blindness) {
    switch blindness {
    case .unsupported: self = .gateUnsupported
    case .notFound: self = .callerNotFound
    case .ownSocket: self = .callerOwnSocket
    case .upperLayer: self = .callerUpperLayer
    case .shortInfo: self = .callerShortInfo
    case .sockmap: self = .callerSockmap
    case .queryFailed: self = .callerQueryFailed
    }
  }
}
