internal import LaneCore
internal import NetEndpoint

/// Keeps a storm of identical events from filling the disk: the first few of each kind in a window get a line each, the rest
/// are counted and told in one line with the last of them. Where it goes on, that line comes after 1, 2, 4 windows and so on up to
/// 60, and nothing beside it, until a whole such time was quiet.
struct FoldTable {
  /// Lines that each kind may have in a window.
  static let burst: UInt64 = 20
  /// Most kinds that are told apart; the rest share one.
  static let capacity = 256
  /// Most windows between two lines of a storm.
  static let longestPause = 60

  private struct Kind: Hashable {
    var event: EventCounts.Kind
    var peer: Endpoint?

    func hash(into hasher: inout Hasher) {
      event.hash(into: &hasher)
      hasher.combine(peer.map { UInt64($0.address) << 16 | UInt64($0.port) } ?? .max)
    }
  }

  private struct Entry {
    /// Lines of its own, in this window.
    var lines: UInt64 = 0
    /// Events without a line since it was last told of them.
    var folded: UInt64 = 0
    /// The last event; of those without a line, where there are any.
    private(set) var last: LaneEvent
    /// Windows between two lines of a storm; 0 where there is none.
    var pause = 0
    /// Windows until the next.
    var windowsLeft = 0

    init(_ first: LaneEvent) { last = first }

    /// Counts the event; true where it gets a line of its own.
    mutating func admit(_ event: LaneEvent) -> Bool {
      if pause == 0 && lines < burst {
        lines += 1
        return true
      }
      folded &+= 1
      last = event
      return false
    }

    /// Ends a window. What is to be told now, and whether the kind may be forgotten.
    mutating func roll() -> (told: (last: LaneEvent, folded: UInt64)?, isOver: Bool) {
      windowsLeft -= 1
      guard windowsLeft <= 0 else { return (nil, false) }
      guard folded > 0 else { return (nil, true) }
      let told = (last: last, folded: folded)
      folded = 0
      pause = min(max(pause * 2, 2), longestPause)
      windowsLeft = pause
      return (told, false)
    }
  }

  /// Where in `entries` each kind is.
  private var places: [Kind: Int] = [:]
  /// The kinds, in the order of their first event.
  private var kinds: [Kind] = []
  /// What is known of each of them, which is long: a storm must not have it moved.
  private var entries: [Entry] = []
  private var other: Entry?

  init() {
    places.reserveCapacity(Self.capacity)
    kinds.reserveCapacity(Self.capacity)
  }

  /// Counts the event; true where it gets a line of its own.
  mutating func admit(_ event: LaneEvent) -> Bool {
    let kind = Kind(event: EventCounts.Kind(event), peer: event.peer)
    if let place = place(of: kind) { return entries[place].admit(event) }
    guard entries.count < Self.capacity else {
      if other == nil { other = Entry(event) }
      return other?.admit(event) ?? true
    }
    places[kind] = entries.count
    kinds.append(kind)
    entries.append(Entry(event))
    return entries[entries.count - 1].admit(event)
  }

  /// Where a kind is; nil for a new one. A storm is of few kinds: the first ones are compared, which takes less than to hash.
  private func place(of kind: Kind) -> Int? {
    for place in 0..<min(kinds.count, 4) where kinds[place] == kind { return place }
    return places[kind]
  }

  /// Ends the window: what was folded and is to be told now, in the order of each kind's first event.
  mutating func roll(_ body: (_ last: LaneEvent, _ folded: UInt64, _ isOther: Bool) -> Void) {
    var kept = 0
    for index in entries.indices {
      let (told, isOver) = entries[index].roll()
      if let told { body(told.last, told.folded, false) }
      if isOver {
        places[kinds[index]] = nil
        continue
      }
      if kept < index {
        places[kinds[index]] = kept
        kinds[kept] = kinds[index]
        entries.swapAt(kept, index)
      }
      kept += 1
    }
    kinds.removeSubrange(kept...)
    entries.removeSubrange(kept...)
    guard let (told, isOver) = other?.roll() else { return }
    if let told { body(told.last, told.folded, true) }
    if isOver { other = nil }
  }

  /// Tells everything that was folded, and begins anew.
  mutating func close(_ body: (_ last: LaneEvent, _ folded: UInt64, _ isOther: Bool) -> Void) {
    for entry in entries where entry.folded > 0 { body(entry.last, entry.folded, false) }
    if let other, other.folded > 0 { body(other.last, other.folded, true) }
    places.removeAll(keepingCapacity: true)
    kinds.removeAll(keepingCapacity: true)
    entries.removeAll()
    other = nil
  }
}
