internal import LaneCore
internal import NetEndpoint

/// Keeps a storm of identical events from filling the disk: the first few of each kind in a window get a line each, the rest
/// are counted and told in one line with the last of them.
struct FoldTable {
  /// Lines that each kind may have in a window.
  static let burst: UInt64 = 20
  /// Most kinds that are told apart in a window; the rest share one.
  static let capacity = 256

  private struct Kind: Hashable {
    var name: LaneEvent.Name
    var reason: Reason?
    var peer: Endpoint?
    var operationClass: OperationClass?
  }

  private struct Entry {
    var seen: UInt64 = 0
    var last: LaneEvent?
  }

  private var entries: [Kind: Entry] = [:]
  private var order: [Kind] = []
  private var other = Entry()

  init() {
    entries.reserveCapacity(Self.capacity)
    order.reserveCapacity(Self.capacity)
  }

  /// Counts the event; true where it gets a line of its own.
  mutating func admit(_ event: LaneEvent) -> Bool {
    let kind = Kind(
      name: event.name, reason: event.reason, peer: event.peer, operationClass: event.operation?.operationClass ?? event.operationClass)
    if entries.count >= Self.capacity && entries[kind] == nil { return Self.count(event, in: &other) }
    let index = entries.count
    defer { if entries.count > index { order.append(kind) } }
    return Self.count(event, in: &entries[kind, default: Entry()])
  }

  private static func count(_ event: LaneEvent, in entry: inout Entry) -> Bool {
    entry.seen &+= 1
    guard entry.seen > burst else { return true }
    entry.last = event
    return false
  }

  /// Ends the window: what was folded in it, in the order of each kind's first event, and begins the next.
  mutating func roll(_ body: (_ last: LaneEvent, _ folded: UInt64, _ isOther: Bool) -> Void) {
    for kind in order {
      guard let entry = entries[kind], let last = entry.last else { continue }
      body(last, entry.seen &- Self.burst, false)
    }
    if let last = other.last { body(last, other.seen &- Self.burst, true) }
    entries.removeAll(keepingCapacity: true)
    order.removeAll(keepingCapacity: true)
    other = Entry()
  }
}
