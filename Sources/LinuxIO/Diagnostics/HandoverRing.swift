internal import Synchronization

/// A bounded queue from one thread to one other, without locks and without an allocation per element.
final class HandoverRing<Element>: @unchecked Sendable {
  let capacity: Int
  private let slots: UnsafeMutablePointer<Element>
  /// Elements ever taken: written by the consumer. Both counts wrap together, 64 bits wide.
  private let taken = Atomic<UInt64>(0)
  /// Elements ever put in: written by the producer.
  private let filled = Atomic<UInt64>(0)

  init(capacity: Int) {
    self.capacity = max(1, capacity)
    slots = .allocate(capacity: self.capacity)
  }

  deinit {
    while pop() != nil {}
    slots.deallocate()
  }

  /// Producer only. False where it is full.
  func push(_ element: Element) -> Bool {
    let position = filled.load(ordering: .relaxed)
    guard position &- taken.load(ordering: .acquiring) < UInt64(capacity) else { return false }
    (slots + Int(position % UInt64(capacity))).initialize(to: element)
    filled.store(position &+ 1, ordering: .sequentiallyConsistent)
    return true
  }

  /// Consumer only.
  var isEmpty: Bool { taken.load(ordering: .relaxed) == filled.load(ordering: .sequentiallyConsistent) }

  /// Consumer only. Nil where it is empty.
  func pop() -> Element? {
    let position = taken.load(ordering: .relaxed)
    guard position != filled.load(ordering: .sequentiallyConsistent) else { return nil }
    let element = (slots + Int(position % UInt64(capacity))).move()
    taken.store(position &+ 1, ordering: .releasing)
    return element
  }
}
