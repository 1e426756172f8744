internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

// An operation has no deadline here: its caller is not known, and has its own; where it gives up it closes, and the datanode sees it.
extension InboundSession {
  /// How often it is looked whether a caller that goes on after its end has its bytes.
  private static let lookInterval: Nanoseconds = 10_000_000
  /// How often it is looked whether a caller whose request is held is still there.
  private static let closeCheckInterval: Nanoseconds = 1_000_000_000

  private var isIdle: Bool { exchanges.queue.isEmpty && held == nil && !framer.isInsidePacket && !isLeaving }

  /// Sets the timer to whatever comes first.
  func updateTimer() {
    guard isOpen, let timer else { return }
    let settings = proxy.settings
    var next = Nanoseconds.max
    if datanode.isConnecting { next = openedAt &+ inbound.limits.dialTimeout }
    if let look = slowReader.nextLook(settings.backPressure) { next = min(next, look) }
    if inputEnded || isLeaving { next = min(next, lastProgress &+ settings.halfClose) }
    if sentTooMuch { next = min(next, reactor.now &+ Self.lookInterval) }
    // Its connection is not read: whether it is still there must be looked at.
    if let wait = conflictWait { next = min(next, refusal == nil ? wait.due : .max, reactor.now &+ Self.closeCheckInterval) }
    if isIdle, settings.idleCaller > 0 { next = min(next, lastProgress &+ settings.idleCaller) }
    if next == .max { timer.disarm() } else { timer.arm(at: next) }
  }

  func timeIsUp() {
    guard isOpen else { return }
    let now = reactor.now
    let settings = proxy.settings
    if datanode.isConnecting, now >= openedAt &+ inbound.limits.dialTimeout { return dialFailed(.dialTimeout, nil) }
    if let look = slowReader.nextLook(settings.backPressure), now >= look {
      let moves = slowReader.moves(
        now: now, owed: unacknowledgedBytes, limit: settings.backPressure, isChecked: datanode.passing.plan.checksPayload)
      // Between two packets the datanode loses nothing by waiting.
      if !moves, !isLeaving, datanode.framer.isInsidePacket { return fail(.backPressure) }
    }
    if inputEnded || isLeaving, now >= lastProgress &+ settings.halfClose {
      let owed = unacknowledgedBytes
      if isLeaving, owed > 0, owed < leavingOwed {
        leavingOwed = owed
        lastProgress = now
      } else {
        callerLost(.callerClosed)
      }
    } else if isIdle, settings.idleCaller > 0, now >= lastProgress &+ settings.idleCaller {
      callerLost(.idleTimeout)
    } else if sentTooMuch {
      sendsTooMuch()
    } else if let wait = conflictWait, now >= wait.since &+ settings.halfClose, peerHasShut {
      // What it asked for was not passed on, and nobody waits for it.
      callerLost(.callerClosed)
    } else if let wait = conflictWait, refusal == nil, now >= wait.due {
      waitsTooLong()
    }
    updateTimer()
  }
}
