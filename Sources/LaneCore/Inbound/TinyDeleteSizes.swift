internal import DequeModule
public import NetEndpoint

/// Where the readers of tiny-delete records will stop, as their leaders told them: learnt from the NotifyReplicasToRepair that the
/// local datanode was sent, asked by its ReadTinyDeleteRecord requests. Bounded; what was told last is kept longest.
public struct TinyDeleteSizes {
  private struct Key: Hashable {
    var partition: UInt64
    var leader: Endpoint
  }

  private struct Entry {
    var size: UInt64
    var turn: UInt64
  }

  /// The most partitions and leaders that are remembered, unless told otherwise.
  public static let standardCapacity = 4096

  private let capacity: Int
  private var entries: [Key: Entry] = [:]
  /// Oldest first; an entry that was told anew since is here more than once, and counts at its last place.
  private var order: Deque<(key: Key, turn: UInt64)> = []
  private var turn: UInt64 = 0

  /// Knows nothing.
  public init(capacity: Int = standardCapacity) { self.capacity = max(1, capacity) }

  /// How many are remembered.
  public var count: Int { entries.count }

  /// A leader has told the local datanode the size of its file, bytes.
  public mutating func learn(partition: UInt64, leader: Endpoint, size: UInt64) {
    let key = Key(partition: partition, leader: leader)
    turn &+= 1
    entries[key] = Entry(size: size, turn: turn)
    order.append((key, turn))
    while entries.count > capacity { dropOldest() }
    if order.count > 2 * capacity { order.removeAll { entries[$0.key]?.turn != $0.turn } }
  }

  /// A leader's newest task names no size: what an older one said does not hold any more.
  public mutating func forget(partition: UInt64, leader: Endpoint) { entries[Key(partition: partition, leader: leader)] = nil }

  /// Where a reader of that leader's file stops, bytes; nil where no task has told.
  public func size(partition: UInt64, leader: Endpoint) -> UInt64? { entries[Key(partition: partition, leader: leader)]?.size }

  private mutating func dropOldest() {
    guard let oldest = order.popFirst() else { return }
    if entries[oldest.key]?.turn == oldest.turn { entries[oldest.key] = nil }
  }
}
