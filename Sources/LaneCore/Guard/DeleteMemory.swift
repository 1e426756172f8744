internal import CubeFSWire
internal import DequeModule

/// Deletes that have run, of the last minute: a leader's list of extents may be older than they are.
struct DeleteMemory: ~Copyable {
  /// A delete, in little more than a cache line: there are thousands. Not private: Swift 6.3.1 does not build a noncopyable type for
  /// debugging that another file stores and that keeps a private type in a `UniqueDeque`.
  struct Deleted {
    var place: ConflictGuard.Place
    var extents: ExtentSet.Brief
    var stamp: Int64
    var process: UInt64?
    var operationClass: OperationClass
    var opcode: UInt8
    var since: UInt64
    var until: UInt64

    /// The delete, as far as it is remembered.
    var operation: LaneEvent.Operation {
      var operation = LaneEvent.Operation(
        operationClass, opcode: opcode, stamp: stamp, callerReqID: 0, partitionID: place.partition,
        extentID: ExtentSet(brief: extents)?.first ?? 0, extentOffset: 0)
      operation.process = process
      return operation
    }
  }

  /// How long a delete is remembered, nanoseconds: a leader's list of extents may be that old when its notification comes.
  static let duration: UInt64 = 60_000_000_000
  /// The most deletes that are remembered; a power of two.
  static let mostDeletes = 4096
  /// The most extents of theirs that are kept one by one.
  static let mostExtents = 65_536

  // A ring: the nth delete of all stands at n, modulo the most.
  private var ring = UniqueDeque<Deleted>()
  // By how many deletes were remembered before.
  private var lists: [UInt64: ExtentSet] = [:]
  private var extents = 0
  private var forgotten: UInt64 = 0
  private var remembered: UInt64 = 0
  // When the oldest is forgotten, or before that.
  private var nextEnd = UInt64.max

  private static func place(_ number: UInt64) -> Int { Int(truncatingIfNeeded: number & UInt64(mostDeletes - 1)) }

  /// A delete has run. Where its extents are a list, `keep` was told of them just before.
  /// - Parameter now: nanoseconds of the monotonic clock.
  @inline(__always)
  mutating func append(
    _ operation: LaneEvent.Operation, at place: ConflictGuard.Place, _ extents: ExtentSet.Brief, since: UInt64, now: UInt64
  ) {
    if remembered &- forgotten == UInt64(Self.mostDeletes) { forgetOldest() }
    let until = now &+ Self.duration
    if remembered == forgotten { nextEnd = until }
    let deleted = Deleted(
      place: place, extents: extents, stamp: operation.stamp, process: operation.process, operationClass: operation.operationClass,
      opcode: operation.opcode.rawValue, since: since, until: until)
    let position = Self.place(remembered)
    if position == ring.count { ring.append(deleted) } else { ring[position] = deleted }
    remembered &+= 1
  }

  /// The extents of the delete that is told of next.
  mutating func keep(_ list: ExtentSet) {
    lists[remembered] = list
    extents += list.count ?? 0
    // One list alone is never over the bound (`ExtentSet.mostListed`).
    while extents > Self.mostExtents, remembered != forgotten { forgetOldest() }
  }

  /// Those that are too old.
  mutating func forget(now: UInt64) {
    if now >= nextEnd { forgetEnded(now: now) }
  }

  private mutating func forgetEnded(now: UInt64) {
    while forgotten != remembered, now >= ring[Self.place(forgotten)].until { forgetOldest() }
    nextEnd = forgotten == remembered ? .max : ring[Self.place(forgotten)].until
  }

  private mutating func forgetOldest() {
    if ring[Self.place(forgotten)].extents == .listed { extents -= lists.removeValue(forKey: forgotten)?.count ?? 0 }
    forgotten &+= 1
  }

  /// The last delete of one of those extents, and when it arrived.
  func last(at place: ConflictGuard.Place, of extents: ExtentSet) -> (operation: LaneEvent.Operation, since: UInt64)? {
    var number = remembered
    while number != forgotten {
      number &-= 1
      let index = Self.place(number)
      guard ring[index].place == place else { continue }
      let own = ExtentSet(brief: ring[index].extents) ?? lists[number] ?? .all
      if own.intersects(extents) { return (ring[index].operation, ring[index].since) }
    }
    return nil
  }
}
