internal import DequeModule
public import NetEndpoint

/// Which peers `OutboundTLSMode.prefer` speaks plain to, and until when: those that were found not to speak TLS. Bounded; the one
/// found first is forgotten first. Times are nanoseconds of a clock that never goes back.
public struct DowngradeMemory: Sendable {
  private struct Entry {
    var until: UInt64
    var turn: UInt64
  }

  /// The most peers that are remembered, unless told otherwise.
  public static let standardCapacity = 4096

  private let duration: UInt64
  private let capacity: Int
  private var entries: [Endpoint: Entry] = [:]
  /// Oldest first; a peer found anew since is here more than once, and counts at its last place.
  private var order: Deque<(peer: Endpoint, turn: UInt64)> = []
  private var turn: UInt64 = 0

  /// Knows nothing.
  /// - Parameters:
  ///   - duration: how long a peer is spoken to in plain, nanoseconds; 0: TLS is tried each time.
  ///   - capacity: most peers that are remembered.
  public init(duration: UInt64, capacity: Int = standardCapacity) {
    self.duration = duration
    self.capacity = max(1, capacity)
  }

  /// How many peers are remembered, those whose time is over included.
  public var count: Int { entries.count }

  /// Whether the next connection to the peer begins with TLS.
  public func shouldTryTLS(_ peer: Endpoint, now: UInt64) -> Bool { entries[peer].map { $0.until <= now } ?? true }

  /// The peers that are spoken to in plain, by address and port.
  public func plainPeers(now: UInt64) -> [Endpoint] { entries.filter { $0.value.until > now }.map(\.key).sorted() }

  /// A handshake showed that the peer does not speak TLS: it closed or reset the connection, or answered in something that is no
  /// TLS, before a TLS record came from it. A certificate that was refused, by either side, an alert and a time-out never count:
  /// whoever can cause those could otherwise have the next connection in plain.
  public mutating func failed(_ peer: Endpoint, now: UInt64) {
    guard duration > 0 else { return }
    let (until, overflow) = now.addingReportingOverflow(duration)
    turn &+= 1
    entries[peer] = Entry(until: overflow ? .max : until, turn: turn)
    order.append((peer, turn))
    while entries.count > capacity { dropOldest() }
    if order.count > 2 * capacity { order.removeAll { entries[$0.peer]?.turn != $0.turn } }
  }

  /// A handshake with the peer was finished: it speaks TLS.
  public mutating func succeeded(_ peer: Endpoint) { entries[peer] = nil }

  private mutating func dropOldest() {
    guard let oldest = order.popFirst() else { return }
    if entries[oldest.peer]?.turn == oldest.turn { entries[oldest.peer] = nil }
  }
}
