internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension CallerSession {
  /// When the operation at the front must have its next reply (G11); nil where it has no deadline.
  private var answerDue: Nanoseconds? {
    // While the caller does not take what it is owed, the clock that runs is its own.
    guard !slowReader.isBehind, !isWithholding, exchanges.unanswered > 0, let upstream, upstream.operationClass != .other else {
      return nil
    }
    let front = exchanges.firstUnanswered
    guard let allowance = exchanges[front].allowance else { return nil }
    // A caller's clock starts when it has read the reply before.
    return max(lastProgress, exchanges[front].startedAt) &+ allowance
  }

  /// When the request that waits must have its connection, and what it is called when it has not.
  private var leaseDue: (time: Nanoseconds, reason: Reason)? {
    let since = heldSince ?? lastProgress
    let limit: (time: Nanoseconds, reason: Reason)
    switch waiting {
    case .dial(let upstream): limit = (upstream.openedAt &+ proxy.settings.dialTimeout, .dialTimeout)
    case .lane(let operationClass): limit = (since &+ peer.limits(operationClass).queueTimeout, .queueTimeout)
    case .answers: limit = (.max, .deadline)
    case .conflict:
      // Told already; what it waits for now has deadlines of its own.
      guard let wait = conflictWait, refusal == nil else { return nil }
      return (wait.due, wait.sighting.conflict.reason)
    case .nothing: return nil
    }
    guard let allowance = heldAllowance, since &+ allowance < limit.time else { return limit }
    return (since &+ allowance, .deadline)
  }

  /// How often it is looked whether a caller whose requests are held is still there: its connection is not being read.
  private static let closeCheckInterval: Nanoseconds = 1_000_000_000

  /// Sets the timer to whatever comes first. A later time is one store; nothing is cheaper to skip.
  func updateTimer() {
    guard isOpen, let timer else { return }
    var next = Nanoseconds.max
    if let answerDue { next = min(next, answerDue) }
    if held != nil {
      if let leaseDue { next = min(next, leaseDue.time) }
      next = min(next, reactor.now &+ Self.closeCheckInterval)
    }
    if let look = slowReader.nextLook(proxy.settings.backPressure) { next = min(next, look) }
    if inputEnded { next = min(next, lastProgress &+ proxy.settings.halfClose) }
    if let unknownDue { next = min(next, unknownDue) }
    if isIdle, proxy.settings.idleCaller > 0 { next = min(next, lastProgress &+ proxy.settings.idleCaller) }
    if next == .max { timer.disarm() } else { timer.arm(at: next) }
  }

  /// Nothing is in flight, held or withheld.
  private var isIdle: Bool { upstream == nil && held == nil && !isWithholding }

  /// How long a known class waits behind unknown operations that may be due nothing.
  private var unknownDue: Nanoseconds? {
    guard isUnknownTraffic, case .answers = waiting, let heldSince else { return nil }
    return heldSince &+ peer.limits(.other).queueTimeout
  }

  func timeIsUp() {
    guard isOpen else { return }
    let now = reactor.now
    if let look = slowReader.nextLook(proxy.settings.backPressure), now >= look {
      let moves = slowReader.moves(
        now: now, owed: unacknowledgedBytes, limit: proxy.settings.backPressure, isChecked: upstream?.plan.checksPayload ?? true)
      // Between two packets the peer loses nothing by waiting.
      if !moves, let upstream, upstream.framer.isInsidePacket { return fail(.backPressure) }
    }
    if let answerDue, now >= answerDue {
      failAll(.deadline)
    } else if let leaseDue, now >= leaseDue.time {
      giveUpLease(leaseDue.reason)
    } else if held != nil, let heldSince = heldSince ?? conflictWait?.since, now >= heldSince &+ proxy.settings.halfClose, peerHasShut {
      callerLost(.callerClosed)
    } else if let unknownDue, now >= unknownDue {
      if upstream?.partlyDelivered ?? false { fail(.queueTimeout) } else { release(because: .singleUse) }
    } else if inputEnded, now >= lastProgress &+ proxy.settings.halfClose {
      callerLost(.callerClosed)
    } else if isIdle, proxy.settings.idleCaller > 0, now >= lastProgress &+ proxy.settings.idleCaller {
      callerLost(.idleTimeout)
    }
    updateTimer()
  }

  private func giveUpLease(_ reason: Reason) {
    switch waiting {
    case .dial(let upstream): peer.dialEnded(upstream, failure: reason == .dialTimeout ? .dialTimeout : nil)
    case .lane(let operationClass): peer.abandonWait(self, operationClass)
    // An error reply now would overtake the answers that it waits behind.
    case .answers: return fail(reason)
    case .conflict: return waitsTooLong(reason)
    case .nothing: return
    }
    failHeld(reason)
  }
}
