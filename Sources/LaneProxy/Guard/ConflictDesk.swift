internal import LaneCore
internal import LinuxIO

/// The conflict guard of one reactor, and the sessions that wait for it.
final class ConflictDesk {
  private let reactor: Reactor
  private var machine: ConflictGuard
  private var sessions: [ConflictGuard.Ticket: any GuardedSession] = [:]
  private var released: [ConflictGuard.Ticket] = []
  private var turn: ReactorTimer!
  /// How long operations were held.
  private(set) var waits = WaitHistogram()

  init(_ reactor: Reactor, _ mode: ConflictGuard.Mode) {
    self.reactor = reactor
    machine = ConflictGuard(mode: mode)
    turn = ReactorTimer(reactor) { [unowned self] in self.release() }
  }

  /// Operations that it knows of, repair rounds included.
  var count: Int { machine.count }
  /// Who waits for whom.
  var holds: [ConflictGuard.Hold] { machine.holds }

  /// An operation on one extent arrives; nil where the guard must be asked whether it may go on.
  func enter(_ operation: LaneEvent.Operation, _ claim: ConflictGuard.Claim, extent: UInt64) -> ConflictGuard.Ticket? {
    machine.enter(operation, claim, extent: extent, now: reactor.now)
  }

  /// An operation arrives. The session is told when it may go on, where it is held.
  func arrive(_ request: ConflictGuard.Request, _ session: any GuardedSession) -> ConflictGuard.Arrival {
    let arrival = machine.arrive(request, now: reactor.now)
    if arrival.isHeld { sessions[arrival.ticket] = session }
    goOn(arrival.released)
    return arrival
  }

  /// It is over, or nobody wants it any more.
  func end(_ ticket: ConflictGuard.Ticket, isAnswered: Bool) {
    if !sessions.isEmpty { sessions[ticket] = nil }
    if let released = machine.end(ticket, isAnswered: isAnswered, now: reactor.now) { goOn(released) }
  }

  /// For whom it waits.
  func hold(_ ticket: ConflictGuard.Ticket) -> ConflictGuard.Hold? { machine.hold(ticket) }

  /// It was held for as long as it may be, and goes on.
  func overrule(_ ticket: ConflictGuard.Ticket) {
    sessions[ticket] = nil
    machine.overrule(ticket)
  }

  /// One hold is over, after so many nanoseconds.
  func held(for wait: Nanoseconds) { waits.record(wait) }

  /// Ends repair rounds that no task has followed.
  func sweep() { goOn(machine.expire(now: reactor.now)) }

  /// Not at once: whoever has ended an operation is in the middle of something.
  private func goOn(_ tickets: [ConflictGuard.Ticket]) {
    guard !tickets.isEmpty else { return }
    released += tickets
    turn.arm(at: reactor.now)
  }

  private func release() {
    let tickets = released
    released = []
    for ticket in tickets { sessions.removeValue(forKey: ticket)?.conflictIsOver(ticket) }
  }

  func close() { turn.disarm() }
}
