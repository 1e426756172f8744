public import CubeFSWire

/// The operations in flight on one upstream, in the order of their requests, each until its replies have been handed on.
///
/// Replies come in order, so the first open exchange is almost always the one looked for; an error reply may overtake
/// (PROTOCOL.md section 6, number 1). A ring in memory of its own: it is touched for each packet, and a standard
/// collection's accessors allocate for an element of this size. It grows to the deepest pipeline seen.
public struct ExchangeQueue: ~Copyable {
  private var ring: UnsafeMutablePointer<Exchange>?
  /// A power of two, or 0.
  private var capacity = 0
  private var head = 0
  /// How many, the complete ones included.
  public private(set) var count = 0
  /// The first that is not complete; `count` where all are.
  private(set) var firstOpen = 0
  /// How many are complete.
  private var complete = 0
  /// How many unknown operations have had a whole reply.
  private var answered = 0

  /// None.
  public init() {}

  deinit { ring?.deallocate() }

  /// None at all.
  public var isEmpty: Bool { count == 0 }
  /// Nothing is due any more.
  public var isAnswered: Bool { complete == count }
  /// How many have replies due.
  public var unanswered: Int { count - complete }
  /// How many have had no whole reply: what counts for unknown operations.
  public var silent: Int { count - answered }
  /// The oldest.
  public var first: Exchange? { count > 0 ? slot(0).pointee : nil }
  /// The newest.
  public var last: Exchange? { count > 0 ? slot(count - 1).pointee : nil }
  /// Where the first with replies due stands; 0 where there is none.
  public var firstUnanswered: Int { min(firstOpen, max(0, count - 1)) }
  /// Whether an open exchange's caller must be reset where its reply is dropped.
  public var anyMustReset: Bool { (0..<count).contains { !slot($0).pointee.isComplete && slot($0).pointee.row.pointee.onDrop == .reset } }

  /// The exchange at that place, 0 to `count` - 1.
  public subscript(index: Int) -> Exchange { slot(index).pointee }

  /// What the caller's ReqID was in the request at that place.
  public func callerReqID(_ index: Int) -> Int64 { slot(index).pointee.callerReqID }

  /// The catalogue's row of the exchange at that place.
  public func completion(_ index: Int) -> CompletionRule { slot(index).pointee.row.pointee.completion }

  /// Whether the exchange at that place has had all its replies.
  public func isComplete(_ index: Int) -> Bool { slot(index).pointee.isComplete }

  /// Where the exchange with that stamp stands.
  public func index(ofStamp stamp: Int64) -> Int? {
    var index = firstOpen
    while index < count {
      if slot(index).pointee.stamp == stamp { return index }
      index += 1
    }
    index = 0
    while index < min(firstOpen, count) {
      if slot(index).pointee.stamp == stamp { return index }
      index += 1
    }
    return nil
  }

  /// One more request.
  public mutating func append(_ exchange: consuming Exchange) {
    if count == capacity { grow() }
    slot(count).initialize(to: exchange)
    count += 1
  }

  /// Judges a reply's header for the exchange at that place.
  public mutating func judge(_ index: Int, _ head: Framer.Head) throws(Mismatch) -> ReplyPlan {
    try slot(index).pointee.judge(head)
  }

  /// Follows a reply that is passed on unjudged, for the exchange at that place.
  public mutating func follow(_ index: Int, _ head: Framer.Head) -> ReplyPlan { slot(index).pointee.follow(head) }

  /// The newest request's last byte was handed to the upstream. True where nothing is due for it.
  public mutating func lastRequestIsComplete() -> Bool {
    guard count > 0 else { return false }
    slot(count - 1).pointee.requestComplete = true
    return slot(count - 1).pointee.isDueNothing
  }

  /// The conflict guard knows the newest by that ticket.
  public mutating func lastIsKnown(by ticket: ConflictGuard.Ticket?) {
    if count > 0 { slot(count - 1).pointee.ticket = ticket }
  }

  /// All replies of the exchange at that place were accepted.
  public mutating func markComplete(_ index: Int, inError: Bool) {
    guard (0..<count).contains(index), !slot(index).pointee.isComplete else { return }
    slot(index).pointee.isComplete = true
    slot(index).pointee.endedInError = inError
    complete += 1
    while firstOpen < count, slot(firstOpen).pointee.isComplete { firstOpen += 1 }
  }

  /// An unknown operation at that place had a whole reply. True where it was the first.
  public mutating func markAnswered(_ index: Int) -> Bool {
    guard (0..<count).contains(index), !slot(index).pointee.isAnswered else { return false }
    slot(index).pointee.isAnswered = true
    answered += 1
    return true
  }

  /// Takes out a complete exchange, oldest first; nil where there is none.
  public mutating func popComplete() -> Exchange? {
    guard complete > 0 else { return nil }
    complete -= 1
    if firstOpen > 0 {
      firstOpen -= 1
      return removeFirst()
    }
    guard let index = (0..<count).first(where: { slot($0).pointee.isComplete }) else { return nil }
    return remove(index)
  }

  /// Of unknown operations, forgets those that were answered and are older than the one at `index`, and more where there are too many.
  public mutating func forgetAnswered(before index: Int, bound: Int) {
    var index = index
    while index > 0, count > 0, slot(0).pointee.isAnswered {
      _ = removeFirst()
      answered -= 1
      index -= 1
    }
    // Behind one that is never answered, too.
    while answered > bound, let oldest = (0..<count).first(where: { slot($0).pointee.isAnswered }) {
      _ = remove(oldest)
      answered -= 1
    }
  }

  /// Takes out the newest.
  public mutating func removeLast() -> Exchange? {
    guard count > 0 else { return nil }
    let last = slot(count - 1).pointee
    count -= 1
    if last.isComplete { complete -= 1 }
    if last.isAnswered { answered -= 1 }
    firstOpen = min(firstOpen, count)
    return last
  }

  /// Takes out all, oldest first.
  public mutating func takeAll(_ body: (Exchange) -> Void) {
    for index in 0..<count { body(slot(index).pointee) }
    removeAll()
  }

  /// Forgets all; the memory stays.
  public mutating func removeAll() {
    count = 0
    firstOpen = 0
    complete = 0
    answered = 0
  }

  @inline(__always)
  func slot(_ index: Int) -> UnsafeMutablePointer<Exchange> {
    guard let ring, index >= 0, index < capacity else { preconditionFailure("an exchange that is not there") }
    return ring + ((head &+ index) & (capacity &- 1))
  }

  private mutating func removeFirst() -> Exchange {
    let first = slot(0).pointee
    head = (head &+ 1) & (capacity &- 1)
    count -= 1
    return first
  }

  private mutating func remove(_ index: Int) -> Exchange {
    let removed = slot(index).pointee
    for later in index..<count - 1 { slot(later).pointee = slot(later + 1).pointee }
    count -= 1
    return removed
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Exchange>.allocate(capacity: max(4, capacity * 2))
    for index in 0..<count { (larger + index).initialize(to: slot(index).pointee) }
    ring?.deallocate()
    ring = larger
    capacity = max(4, capacity * 2)
    head = 0
  }
}
