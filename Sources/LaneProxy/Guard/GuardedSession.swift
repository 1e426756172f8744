internal import CubeFSWire
internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// An operation that waits for others on its extents.
struct ConflictWait {
  let ticket: ConflictGuard.Ticket
  let operation: LaneEvent.Operation
  let sighting: ConflictGuard.Sighting
  let since: Nanoseconds
  /// The longest that it may wait.
  let due: Nanoseconds
}

/// The extents that a request names, its body read as it passes by. They are known before its last byte goes out, and so before
/// anybody can act on it.
final class BodyScan {
  enum Source {
    case task(RepairTaskScanner)
    case deletes(ExtentKeyScanner)
    /// There is no body: the extent is the header's.
    case header
  }

  private(set) var source: Source
  /// One for all requests without a body.
  nonisolated(unsafe) private static let header = BodyScan(.header)

  private init(_ source: Source) { self.source = source }

  /// Nil where the header says all there is to know.
  static func of(_ exchange: Exchange, _ head: Framer.Head) -> BodyScan? {
    switch exchange.conflictRole {
    case .delete: head.payloadLength > 0 ? BodyScan(.deletes(ExtentKeyScanner())) : header
    case .repairTask: BodyScan(.task(RepairTaskScanner()))
    case .none, .repair, .repairRead, .repairRound, .removal: nil
    }
  }

  func take(_ bytes: UnsafeRawBufferPointer) {
    switch source {
    case .task(var scanner):
      // Not held twice: its lists would be copied.
      source = .header
      scanner.take(bytes)
      source = .task(scanner)
    case .deletes(var scanner):
      source = .header
      scanner.take(bytes)
      source = .deletes(scanner)
    case .header: break
    }
  }
}

extension Exchange {
  /// What an operation touches that is never held and has no body that says so; nil for others.
  var extentsOfHead: ExtentSet? {
    switch conflictRole {
    // The answer for tiny extents has nothing created.
    case .repairRound: extentType & ExtentTypeBits.normal != 0 ? .normal : nil
    case .removal: .all
    case .none, .delete, .repair, .repairRead, .repairTask: nil
    }
  }
}

/// A caller's connection whose requests the conflict guard may hold.
protocol GuardedSession: ReplySink {
  /// The request that waits; at most one, as what comes behind it is not read.
  var conflictWait: ConflictWait? { get set }
  /// How much of what is held is the end of a request that was framed; 0 where it begins with a head.
  var heldTail: Int { get }
  /// What the guard knows the request by whose head is at the front of what is held, once it may go on.
  var heldTicket: ConflictGuard.Ticket? { get set }
  /// What a request does to extents, at whose datanode; nil where it cannot conflict in this direction.
  func claim(_ exchange: Exchange) -> ConflictGuard.Claim?
  /// A request as events name it.
  func operation(_ exchange: Exchange) -> LaneEvent.Operation
  /// Where a task's readers of tiny deletes stop is known.
  func learn(_ task: RepairTaskScanner.Outcome, _ exchange: Exchange)
  /// Goes on with what is held.
  func resumeHeld()
}

extension GuardedSession {
  /// A delete or a repair of the extent that its head names goes on, and the guard knows it, where nothing conflicts. Nil otherwise:
  /// it must arrive.
  @inline(__always)
  private func enter(_ exchange: Exchange) -> ConflictGuard.Ticket? {
    guard let claim = claim(exchange) else { return nil }
    return proxy.conflicts?.enter(operation(exchange), claim, extent: exchange.extentID)
  }

  /// A repair of the extent that its head names: as `arrive`.
  func arriveWithHead(_ exchange: Exchange) -> (ticket: ConflictGuard.Ticket?, isHeld: Bool) {
    if let ticket = enter(exchange) { return (ticket, false) }
    return arrive(exchange, ExtentSet(exchange.extentID))
  }

  /// What the guard must know of a request before its body is seen, or instead of it. Returns what it knows it by from now on.
  @inline(__always)
  func begin(_ exchange: Exchange, _ head: Framer.Head) -> (ticket: ConflictGuard.Ticket?, scan: BodyScan?) {
    if exchange.conflictRole == .delete, head.payloadLength == 0, let ticket = enter(exchange) { return (ticket, nil) }
    if let extents = exchange.extentsOfHead { return (arrive(exchange, extents).ticket, nil) }
    return (exchange.ticket, BodyScan.of(exchange, head))
  }

  /// An operation arrives at the guard. Returns what it is known by, and whether it must wait.
  func arrive(
    _ exchange: Exchange, _ extents: ExtentSet, creating: ExtentSet? = nil
  ) -> (ticket: ConflictGuard.Ticket?, isHeld: Bool) {
    guard let desk = proxy.conflicts, let claim = claim(exchange) else { return (nil, false) }
    let request = ConflictGuard.Request(operation(exchange), claim, extents, created: creating)
    let arrival = desk.arrive(request, self)
    if let sighting = arrival.sighting {
      if arrival.isHeld {
        let longest = Nanoseconds(exchange.rule.longestHoldSeconds) * 1_000_000_000
        conflictWait = ConflictWait(
          ticket: arrival.ticket, operation: request.operation, sighting: sighting, since: reactor.now,
          due: min(reactor.now &+ longest, exchange.startedAt &+ (exchange.allowance ?? .max / 2)))
      } else {
        report(.conflictDetected, sighting, request.operation, .forwarded)
      }
    }
    return (claim.role == .repairRound ? nil : arrival.ticket, arrival.isHeld)
  }

  /// Likewise, of an operation whose body is all here. Nil where the body does not tell.
  func arrive(_ exchange: Exchange, _ body: BodyScan) -> (ticket: ConflictGuard.Ticket?, isHeld: Bool)? {
    switch body.source {
    case .header: return arrive(exchange, ExtentSet(exchange.extentID))
    case .deletes(let scanner):
      guard let extents = scanner.finish() else {
        isUnreadable(exchange, .deleteUnreadable, .deleteUnreadable)
        return nil
      }
      return arrive(exchange, extents)
    case .task(let scanner):
      let (task, extents) = (scanner.finish(), scanner.extents())
      if task == .unreadable || extents == nil { isUnreadable(exchange, .taskUnreadable, .taskUnreadable) }
      learn(task, exchange)
      guard let extents else { return nil }
      return arrive(exchange, extents.named, creating: extents.created)
    }
  }

  /// A body is passed on that does not say what it should.
  private func isUnreadable(_ exchange: Exchange, _ name: LaneEvent.Name, _ reason: Reason) {
    var event = LaneEvent(name, reason: reason, action: .forwarded)
    event.operation = LaneEvent.Operation(exchange)
    record(&event)
  }

  /// Nobody waits for it any more, and it for nobody.
  func leaveGuard(_ ticket: ConflictGuard.Ticket, isAnswered: Bool = false) {
    if let wait = conflictWait, wait.ticket == ticket { endWait(wait) }
    proxy.conflicts?.end(ticket, isAnswered: isAnswered)
  }

  private func endWait(_ wait: ConflictWait) {
    conflictWait = nil
    proxy.conflicts?.held(for: reactor.now &- wait.since)
  }

  /// Nobody is in the way any more of the request that waits.
  func conflictIsOver(_ ticket: ConflictGuard.Ticket) {
    // It may have been given up meanwhile.
    guard isOpen, let wait = conflictWait, wait.ticket == ticket else { return }
    endWait(wait)
    report(.conflictHeld, wait.sighting, wait.operation, .forwarded, held: reactor.now &- wait.since)
    goOn(wait)
  }

  /// It may not wait any longer. Tells of it; false where it must be refused.
  func overstays(_ wait: ConflictWait) -> Bool {
    let goesOn = proxy.settings.atConflictLimit == .forward
    var sighting = wait.sighting
    if let hold = proxy.conflicts?.hold(wait.ticket) {
      sighting.conflict.reason = hold.reason
      sighting.earlier = hold.blocker
      sighting.since = hold.blockerSince
    }
    report(.conflictLimit, sighting, wait.operation, goesOn ? .forwarded : .errorReply, held: reactor.now &- wait.since)
    guard goesOn else { return false }
    endWait(wait)
    proxy.conflicts?.overrule(wait.ticket)
    goOn(wait)
    return true
  }

  private func goOn(_ wait: ConflictWait) {
    // The operation of a tail has its ticket already.
    if heldTail == 0 { heldTicket = wait.ticket }
    resumeHeld()
  }

  private func report(
    _ name: LaneEvent.Name, _ sighting: ConflictGuard.Sighting, _ operation: LaneEvent.Operation, _ action: LaneEvent.Action,
    held: Nanoseconds? = nil
  ) {
    var event = LaneEvent(name, reason: sighting.conflict.reason, action: action)
    event.operation = operation
    event.conflictsWith = sighting.earlier
    event.expected = .text(sighting.isOver ? "no delete of its extents just before" : "nothing running that conflicts")
    event.observed = .text(
      "\(sighting.earlier.opcode.name), \(sighting.isOver ? "begun" : "running for") \(seconds(reactor.now &- sighting.since))"
        + (sighting.isOver ? " ago" : ""))
    event.duration = held
    record(&event)
  }
}

/// Seconds to the millisecond.
private func seconds(_ nanoseconds: Nanoseconds) -> String {
  let milliseconds = nanoseconds / 1_000_000
  let fraction = String(milliseconds % 1000)
  return "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - fraction.utf8.count))\(fraction) s"
}
