/// Which operations meet which fault, and what was done to whom. An operation is known by its PartitionID, which no other
/// operation of the run has.
final class FaultScript: @unchecked Sendable {
  /// One injection.
  struct Injection: Sendable {
    let kind: FaultKind
    /// The operation it was done to; nil for a greeting that no request followed.
    var operation: UInt64?
    /// Every PartitionID on the wire that belongs to it.
    var partitions: Set<UInt64>
  }

  private let lock = LabLock()
  private var planned: [UInt64: FaultKind] = [:]
  private var heldBack: Set<UInt64> = []
  private var done: [Injection] = []
  private var greetings = 0
  private var accepts = 0

  /// Plans a fault for an operation.
  func plan(_ kind: FaultKind, for key: UInt64) { lock.withLock { planned[key] = kind } }

  /// The fault planned for an operation.
  func planned(for key: UInt64) -> FaultKind? { lock.withLock { planned[key] } }

  /// Plans to answer an operation only after an error that overtakes it.
  func holdBack(_ key: UInt64) { _ = lock.withLock { heldBack.insert(key) } }

  /// True where the operation's answer waits for an overtaking error.
  func isHeldBack(_ key: UInt64) -> Bool { lock.withLock { heldBack.contains(key) } }

  /// Plans that many replies to connections just accepted, at one in eight of them.
  func planGreetings(_ count: Int) { lock.withLock { greetings += count } }

  /// The PartitionID to greet a new connection with, where it is its turn.
  func takeGreeting() -> UInt64? {
    lock.withLock {
      accepts += 1
      guard greetings > 0, accepts % 8 == 3 else { return nil }
      greetings -= 1
      let bogus = Self.bogus(UInt64(accepts))
      done.append(Injection(kind: .replyBeforeRequest, operation: nil, partitions: [bogus]))
      return bogus
    }
  }

  /// A PartitionID that no operation has.
  static func bogus(_ key: UInt64) -> UInt64 { 1 << 44 | key }

  /// Ties the first request of a greeted connection to its greeting.
  func relate(greeting: UInt64, to key: UInt64) {
    lock.withLock {
      guard let index = done.firstIndex(where: { $0.partitions.contains(greeting) }) else { return }
      done[index].operation = key
      done[index].partitions.insert(key)
    }
  }

  /// Notes that a fault was really injected.
  func injected(_ kind: FaultKind, operation: UInt64, also partitions: UInt64...) {
    lock.withLock {
      done.append(Injection(kind: kind, operation: operation, partitions: Set(partitions + [operation, Self.bogus(operation)])))
    }
  }

  /// Everything injected so far.
  var injections: [Injection] { lock.withLock { done } }
}
