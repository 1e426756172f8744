/// What the delivery gates of one proxy did, since the start. Plain memory: the shell counts, and whoever scrapes takes a copy.
public struct GateStatistics: Sendable {
  /// Queries with `INET_DIAG_INFO`, which take the caller's socket lock.
  public var queriesWithCounters: UInt64 = 0
  /// Queries of the queues alone, which take no lock.
  public var queriesWithoutCounters: UInt64 = 0
  /// Queries with counters that took longer than `GateLimits.slowQuery`.
  public var slowQueries: UInt64 = 0
  /// Tails written after the caller was seen to read for them.
  public var releases: UInt64 = 0
  /// Operations given up for a newer request of which the caller had nothing.
  public var cancellations: UInt64 = 0
  /// Replies unread for `GateLimits.slowStream`.
  public var slowStreams: UInt64 = 0
  /// Callers' connections reset, by reason.
  public private(set) var resets: [DeliveryGate.ResetReason: UInt64] = [:]
  /// Callers whose replies are not gated, by reason.
  public private(set) var blindCallers: [DeliveryGate.Blindness: UInt64] = [:]
  /// Tails withheld now.
  public private(set) var waiting = 0
  /// How long tails were withheld, however the wait ended.
  public private(set) var waits = WaitHistogram()

  /// Nothing counted.
  public init() {}

  /// A query was sent; two looks are two queries.
  public mutating func asked(_ question: DeliveryGate.Question) {
    switch question {
    case .look: queriesWithoutCounters &+= 1
    case .twoLooks: queriesWithoutCounters &+= 2
    case .counters: queriesWithCounters &+= 1
    }
  }

  /// A caller's connection is reset.
  public mutating func reset(_ reason: DeliveryGate.ResetReason) { resets[reason, default: 0] &+= 1 }

  /// A caller is not gated.
  public mutating func blind(_ reason: DeliveryGate.Blindness) { blindCallers[reason, default: 0] &+= 1 }

  /// A tail is withheld from now on. Followed by one `waitEnded`.
  public mutating func waitBegan() { waiting += 1 }

  /// A withheld tail was released, or its caller reset, lost or found blind.
  /// - Parameter nanoseconds: since `waitBegan`.
  public mutating func waitEnded(after nanoseconds: UInt64) {
    waiting = max(0, waiting - 1)
    waits.record(nanoseconds)
  }
}
