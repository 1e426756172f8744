public import LaneCore

/// How often each kind of event happened since the start, whatever became of its line. Bounded by the closed sets that a kind is
/// made of.
public struct EventCounts: Sendable {
  /// What events are told apart by.
  public struct Kind: Hashable, Sendable {
    /// What happened.
    public var name: LaneEvent.Name
    /// Why.
    public var reason: Reason?
    /// The operation's class, or the one known without an operation.
    public var operationClass: OperationClass?
    /// Which way.
    public var direction = LaneEvent.Direction.outbound

    /// What the event is, whichever way.
    init(_ event: LaneEvent) {
      name = event.name
      reason = event.reason
      operationClass = event.operation?.operationClass ?? event.operationClass
    }

    /// All four, one byte each, as one number: a storm has each of its events looked up, and texts take long to hash.
    private var number: UInt32 { unsafeBitCast(self, to: UInt32.self) }

    /// Whether all four are the same.
    public static func == (one: Kind, other: Kind) -> Bool { one.number == other.number }
    /// Feeds all four.
    public func hash(into hasher: inout Hasher) { hasher.combine(number) }
  }

  /// Counts of what has happened; a kind that has not is absent.
  public private(set) var counts: [Kind: UInt64] = [:]

  /// Nothing counted.
  public init() {}

  /// One more.
  public mutating func count(_ event: LaneEvent) {
    var kind = Kind(event)
    kind.direction = event.direction
    counts[kind, default: 0] &+= 1
  }

  /// How often, over all kinds that match.
  func total(where matches: (Kind) -> Bool) -> UInt64 { counts.reduce(0) { matches($1.key) ? $0 &+ $1.value : $0 } }
}
