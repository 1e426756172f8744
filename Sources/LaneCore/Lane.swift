internal import DequeModule

/// The pool of upstream connections for one (peer, class): who may have one, who waits, who dials. It knows connections and
/// waiters by number only; the shell holds the sockets and does what the returned action says.
public struct Lane {
  /// A connection's number, chosen by the shell, unique among the living.
  public typealias ConnectionID = Int
  /// A waiter's number, chosen by the shell, unique among the living.
  public typealias WaiterID = Int

  /// What to do for one who asks for a connection.
  public enum LeaseAction: Equatable, Sendable {
    /// Use that idle connection, after a look at its socket; it counts as leased.
    case reuse(ConnectionID)
    /// Open one; it counts as dialling.
    case dial
    /// Wait to be told.
    case wait
    /// No.
    case refuse(Reason)
  }

  /// What to do after a connection went away or came back.
  public enum NextAction: Equatable, Sendable {
    /// Nothing.
    case none
    /// Give the connection to that waiter; it stays leased.
    case handOver(WaiterID)
    /// Open one for that waiter; it counts as dialling.
    case dial(WaiterID)
  }

  private struct Idle {
    var id: ConnectionID
    var openedAt: UInt64
    var since: UInt64
  }

  /// The lane's bounds.
  public private(set) var limits: LaneLimits
  private var idle: Deque<Idle> = []
  private var waiters: Deque<WaiterID> = []
  /// Connections in use.
  public private(set) var leased = 0
  /// Connections being opened.
  public private(set) var dialling = 0

  /// An empty lane.
  public init(limits: LaneLimits) { self.limits = limits }

  /// Connections that wait for an operation.
  public var idleCount: Int { idle.count }
  /// Callers that wait for a connection.
  public var waiting: Int { waiters.count }
  private var total: Int { idle.count + leased + dialling }

  /// Asks for a connection.
  /// - Parameter fresh: true where only a newly opened one will do.
  public mutating func lease(_ waiter: WaiterID, fresh: Bool = false) -> LeaseAction {
    // The most recently used first: it is warm, and the others may expire.
    if !fresh, let last = idle.popLast() {
      leased += 1
      return .reuse(last.id)
    }
    if total < limits.maxConnections {
      dialling += 1
      return .dial
    }
    // Who asked for a fresh one has just retired another, and may take one that was checked in a moment ago as well.
    guard waiters.count < limits.queueLimit else { return .refuse(.queueFull) }
    waiters.append(waiter)
    return .wait
  }

  /// A dial has ended.
  public mutating func dialEnded(succeeded: Bool) -> NextAction {
    dialling -= 1
    if succeeded {
      leased += 1
      return .none
    }
    return replace()
  }

  /// A leased connection comes back fit for reuse.
  public mutating func checkIn(_ id: ConnectionID, openedAt: UInt64, now: UInt64) -> NextAction {
    if let next = waiters.popFirst() { return .handOver(next) }
    leased -= 1
    idle.append(Idle(id: id, openedAt: openedAt, since: now))
    return .none
  }

  /// A leased connection is gone.
  public mutating func retired() -> NextAction {
    leased -= 1
    return replace()
  }

  /// An idle connection is gone. False where it was not idle.
  public mutating func idleLost(_ id: ConnectionID) -> Bool {
    guard let index = idle.firstIndex(where: { $0.id == id }) else { return false }
    idle.remove(at: index)
    return true
  }

  /// A waiter no longer waits. False where it did not.
  public mutating func abandonWait(_ waiter: WaiterID) -> Bool {
    guard let index = waiters.firstIndex(of: waiter) else { return false }
    waiters.remove(at: index)
    return true
  }

  /// Takes out one idle connection that has had its time, and says why; nil where there is none.
  public mutating func expire(now: UInt64) -> (id: ConnectionID, reason: Reason)? {
    for (index, connection) in idle.enumerated() {
      let reason: Reason
      if now &- connection.since >= limits.idleTimeout {
        reason = .idleTimeout
      } else if now &- connection.openedAt >= limits.maxLifetime {
        reason = .maxLifetime
      } else {
        continue
      }
      idle.remove(at: index)
      return (connection.id, reason)
    }
    return nil
  }

  /// From now on a connection may live that long, nanoseconds.
  public mutating func setMaxLifetime(_ nanoseconds: UInt64) { limits.maxLifetime = nanoseconds }

  /// Takes out every idle connection, for a shutdown or because connections are to be made in another way from now on.
  public mutating func drainIdle() -> [ConnectionID] {
    defer { idle.removeAll() }
    return idle.map(\.id)
  }

  private mutating func replace() -> NextAction {
    guard total < limits.maxConnections, let next = waiters.popFirst() else { return .none }
    dialling += 1
    return .dial(next)
  }
}

/// Whether a peer may be dialled: after a failure, not for a while, and longer each time.
public struct PeerHealth: Sendable {
  /// First pause, nanoseconds; at least 1, because a pause of 0 would count as up.
  public let initial: UInt64
  /// Longest pause, nanoseconds.
  public let maximum: UInt64
  private var pause: UInt64 = 0
  private var notBefore: UInt64 = 0

  /// A peer that has not failed.
  public init(initial: UInt64 = 100_000_000, maximum: UInt64 = 5_000_000_000) {
    self.initial = max(1, initial)
    self.maximum = max(self.initial, maximum)
  }

  /// The last dial failed, and none has succeeded since.
  public var isDown: Bool { pause > 0 }

  /// Whether a dial may be tried.
  public func mayDial(now: UInt64) -> Bool { now >= notBefore }

  /// A dial failed. Returns true where the peer was up before.
  public mutating func failed(now: UInt64) -> Bool {
    let wasUp = pause == 0
    // Dials that were under way together fail together: one step only.
    if now >= notBefore { pause = wasUp ? initial : pause > maximum / 2 ? maximum : pause * 2 }
    notBefore = now &+ pause
    return wasUp
  }

  /// A dial succeeded. Returns true where the peer was down before.
  public mutating func succeeded() -> Bool {
    let wasDown = pause > 0
    pause = 0
    notBefore = 0
    return wasDown
  }
}
