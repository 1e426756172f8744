public import NetEndpoint

extension ConflictGuard {
  /// What is done about conflicts.
  public enum Mode: String, Sendable, CaseIterable {
    /// Nothing.
    case off
    /// They are told of.
    case detect
    /// They do not run at the same time.
    case serialize
  }

  /// What becomes of an operation that was held for as long as it may be.
  public enum AtLimit: String, Sendable, CaseIterable {
    /// It goes on all the same.
    case forward
    /// Its caller is told to try again.
    case refuse
  }

  /// An operation that the guard knows of.
  public struct Ticket: Hashable, Sendable {
    /// Not 0, and not used twice.
    let number: UInt64
    var slot: Int { Int(truncatingIfNeeded: number & 0xFFFF_FFFF) }
  }

  /// Who owns the extents that an operation touches, and what is done to them.
  public struct Claim: Sendable {
    /// The datanode; nil for the local one.
    public var owner: Endpoint?
    /// The partition.
    public var partition: UInt64
    /// What is done to the extents there.
    public var role: ConflictRole
    /// Another datanode whose extents of the same ids it touches; nil for the local one.
    public var otherOwner: Endpoint?
    /// What is done to those; none for most.
    public var otherRole = ConflictRole.none
    /// It is answered only when followers have done it, too.
    public var hasFollowers = false

    /// A claim at one datanode.
    public init(owner: Endpoint?, partition: UInt64, role: ConflictRole, hasFollowers: Bool = false) {
      self.owner = owner
      self.partition = partition
      self.role = role
      self.hasFollowers = hasFollowers
    }
  }

  /// An operation as it arrives.
  public struct Request: Sendable {
    /// For who is told of it.
    public var operation: LaneEvent.Operation
    /// Where, and what it does.
    public var claim: Claim
    /// To which extents.
    public var extents: ExtentSet
    /// Those of them that are created.
    public var created: ExtentSet?

    /// An operation.
    public init(_ operation: LaneEvent.Operation, _ claim: Claim, _ extents: ExtentSet, created: ExtentSet? = nil) {
      self.operation = operation
      self.claim = claim
      self.extents = extents
      self.created = created
    }
  }

  /// A conflict that was seen when an operation arrived.
  public struct Sighting: Equatable, Sendable {
    /// What the two do to each other, and whether the later one waits.
    public var conflict: ConflictTable.Conflict
    /// The earlier one.
    public var earlier: LaneEvent.Operation
    /// When that arrived, nanoseconds of the monotonic clock.
    public var since: UInt64
    /// It is over.
    public var isOver: Bool
  }

  /// What becomes of an operation.
  public struct Arrival: Sendable {
    /// It, from now on.
    public var ticket: Ticket
    /// The first conflict, one that holds before one that does not; nil where there is none.
    public var sighting: Sighting?
    /// It must not go on yet.
    public var isHeld: Bool
    /// Others that may go on, now that it has arrived.
    public var released: [Ticket] = []

    /// Of one that conflicts with nothing.
    package init(entered ticket: Ticket) { self.init(ticket: ticket, isHeld: false) }

    init(ticket: Ticket, sighting: Sighting? = nil, isHeld: Bool, released: [Ticket] = []) {
      self.ticket = ticket
      self.sighting = sighting
      self.isHeld = isHeld
      self.released = released
    }
  }

  /// One operation that waits for another.
  public struct Hold: Sendable {
    /// Who waits.
    public var waiting: LaneEvent.Operation
    /// For whom.
    public var blocker: LaneEvent.Operation
    /// When that arrived, nanoseconds of the monotonic clock.
    public var blockerSince: UInt64
    /// Since when, nanoseconds of the monotonic clock.
    public var since: UInt64
    /// Why.
    public var reason: Reason
  }
}
