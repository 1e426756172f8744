/// Decides when a reply may be completed (DESIGN.md section 5): the last bytes of a reply are withheld until the caller is seen
/// to be reading that reply for the operation it belongs to.
///
/// One per caller connection. It holds no socket and no clock: what the kernel told comes in, what to do goes out, and times are
/// nanoseconds of any monotonic clock. The shell, per gated reply: reports each write to `wrote(_:as:)`, calls `withheld(now:)`
/// when all but the tail has been *taken by the kernel*, and obeys the actions. Two facts about the callers carry the proofs
/// (PROTOCOL.md): they read with exact lengths straight from the socket, and they close on any read error.
/// Never shut down the sending side towards a caller while a reply is withheld: a FIN counts as one byte in the counters.
public struct DeliveryGate: Sendable {
  /// Legal successors stand with each case.
  enum State: Sendable {
    /// The first look-up is not answered. → open, blind, ended
    case unseen
    /// Nothing is withheld. → waiting, blind, ended
    case open
    /// A tail is withheld. → open (released), blind, ended
    case waiting(Wait)
    /// The caller cannot be watched. → ended
    case blind
    /// Reset, or gone.
    case ended
  }

  /// One withheld tail.
  struct Wait: Sendable {
    let written: UInt64
    var read: UInt64
    let since: UInt64
    // Answers to queries before this one say nothing about this reply.
    let firstQuery: UInt64
    // How much of W the caller's TCP is known to have received in order, as of before the last question.
    var acknowledged: UInt64 = 0
    // The counters have shown that all of W has arrived.
    var arrived = false
    // An earlier answer showed the caller inside the read of this reply.
    var begun = false
    // It had read all that there was by then.
    var starved = false
    var alerted = false
    var nextLook: UInt64
    var nextHasCounters = false
    // No question was asked about this reply yet.
    var isUnasked = true
    // Looks that came before the caller had begun.
    var misses = 0
    // A mutant's only.
    var receivedEarly: UInt64?
    // Since when acknowledged bytes have been missing; since when queries have failed.
    var missingSince: UInt64?
    var failingSince: UInt64?
  }

  let limits: GateLimits
  let mutations: GateMutations
  var state = State.unseen
  /// The caller's socket, as the first look-up found it: later queries ask for this one only.
  public internal(set) var cookie: UInt64 = 0
  // At most one query is outstanding: a second would wait for the same lock.
  var outstanding: (number: UInt64, question: Question)?
  private var queries: UInt64 = 0
  // No query with counters before this time; 0 where the last one was quick.
  private var countersNotBefore: UInt64 = 0
  private var ledger = GateLedger()
  // A reply was proved by the counters, and our own socket's numbers agreed: looks will do for the next ones.
  private(set) var looksSuffice: Bool
  private var pace = LookPace()
  // The last reply was read before it was acknowledged.
  private var acknowledgesLate = false
  // W where the reply that is withheld, or is being handed over, begins.
  private(set) var replyStart: UInt64 = 0

  /// A gate for a connection just accepted.
  public init(limits: GateLimits = GateLimits()) { self.init(limits: limits, mutations: []) }

  package init(limits: GateLimits, mutations: GateMutations) {
    self.limits = limits
    self.mutations = mutations
    looksSuffice = mutations.contains(.looksUnproved)
  }

  // MARK: What the shell asks

  /// Whether replies can be gated: the caller's socket is visible.
  public var isGating: Bool {
    switch state {
    case .open, .waiting: true
    case .unseen, .blind, .ended: false
    }
  }

  /// The first look-up is yet to be made.
  public var isUnseen: Bool {
    if case .unseen = state { true } else { false }
  }

  /// A tail is withheld.
  public var isWaiting: Bool {
    if case .waiting = state { true } else { false }
  }

  /// When `timer(now:)` is due at the latest, even while a query is outstanding: the alert or the limit. Nil where nothing waits.
  public var deadline: UInt64? {
    guard case .waiting(let wait) = state else { return nil }
    return wait.since &+ (wait.alerted ? limits.resourceLimit : min(limits.slowStream, limits.resourceLimit))
  }

  /// The last query with counters was slow, and its pause is not over: for metrics.
  public var isMarkedSlow: Bool { countersNotBefore > 0 }

  /// What was handed over.
  public var handedOver: GateLedger { ledger }

  /// Whether the reply of that number (0: the operation's first) must be gated. Each, while the caller is visible: callers
  /// leave between the request's write and the first read, too; gating from the second reply on let 1 stale reply in 10 through.
  public func gatesReply(_ number: Int) -> Bool {
    isGating && !(mutations.contains(.firstReplyUngated) && number == 0)
  }

  /// How many of a reply's last bytes are withheld. The tail begins at byte 56 + ArgLen + Size: a reader that expects the fixed
  /// 57-byte header is done one byte later, whatever extension the packet has. At least one byte.
  /// - Parameters:
  ///   - packetLength: of the whole packet, extension included; bytes.
  ///   - argLength: the header's ArgLen, bytes.
  ///   - size: the payload that follows, bytes.
  public static func tailLength(packetLength: Int, argLength: UInt32, size: UInt32) -> Int {
    let head = 56 + Int(argLength) + Int(size)
    return max(1, packetLength - min(head, packetLength))
  }

  // MARK: What the shell reports

  /// The first look-up, made at accept. The cookie it finds is pinned.
  /// - Parameter ownCookie: the accepted socket's `SO_COOKIE`; a look-up that ends there found the wrong end.
  public mutating func accepted(_ answer: Answer, ownCookie: UInt64) -> Action {
    guard case .unseen = state else { return .none }
    switch answer {
    case .observed(let look), .observedTwice(_, let look):
      guard look.tupleMatches else { return goBlind(.notFound) }
      guard look.cookie != ownCookie else { return goBlind(.ownSocket) }
      if look.hasULP, !mutations.contains(.ignoreULP) { return goBlind(.upperLayer) }
      cookie = look.cookie
      state = .open
      return .none
    case .notFound: return goBlind(.notFound)
    case .failed: return goBlind(.queryFailed)
    }
  }

  /// The self-test at start failed: no look-up is worth its while.
  public mutating func unsupported() -> Action {
    guard case .unseen = state else { return .none }
    return goBlind(.unsupported)
  }

  /// Bytes were given to the kernel for the caller.
  public mutating func wrote(_ count: Int, as handing: GateLedger.Handing) {
    if handing == .gated, !ledger.isGatedOpen, !mutations.contains(.startAtLastTail) { replyStart = ledger.written }
    ledger.wrote(count, as: handing == .gated && !isGating ? .ungated : handing)
  }

  /// The last byte of a gated reply was written, after `release`.
  public mutating func tailWritten() {
    ledger.released()
    if mutations.contains(.startAtLastTail) { replyStart = ledger.written }
  }

  /// The last byte of a single, ungated reply was written.
  public mutating func singleReplyEnded() { ledger.singleReplyEnded() }

  /// Bytes were read from the caller.
  public mutating func read(_ count: Int) { ledger.read(count) }

  /// A request has begun to arrive; called for each, and before `newerRequest()`.
  public mutating func requestArrived() { ledger.requestArrived() }

  /// Request bytes are readable, or were read, while an operation of a lock-step caller is unfinished: it has abandoned that one.
  /// - Returns: `cancel`, or `reset`.
  public mutating func newerRequest() -> Action {
    if case .waiting(var wait) = state, mutations.contains(.ignoreReadable) {
      wait.read = ledger.read
      state = .waiting(wait)
      return .none
    }
    if case .ended = state { return .none }
    // A withheld tail means a reply partly handed over: the caller would take its bytes for the answer to the newer request.
    // The ledger says so, too; it also knows of replies that went out ungated and that nothing proves consumed.
    if mutations.contains(.cancelUnchecked) || (!isWaiting && ledger.mayCancel) {
      if case .waiting = state { state = .open }
      return .cancel
    }
    state = .ended
    return .reset(.dirtyReuse)
  }

  /// The caller's connection has ended.
  public mutating func callerGone() {
    state = .ended
    outstanding = nil
  }

  /// All of a gated reply but its tail was taken by the kernel.
  /// - Parameter own: our socket; without it each reply is proved by the counters.
  /// - Returns: a query, or `wake` where it is too early for one; `release` where the caller is not visible.
  public mutating func withheld(own: some OwnSocket = UnknownSocket(), now: UInt64) -> Action {
    switch state {
    case .unseen: return goBlind(.notFound)
    case .blind: return .release
    case .waiting, .ended: return .none
    case .open: break
    }
    let wait = Wait(
      written: ledger.written, read: ledger.read, since: now, firstQuery: queries, arrived: mutations.contains(.dropArrival), nextLook: now)
    state = .waiting(wait)
    return outstanding == nil ? begin(wait, own: own, now: now) : .none
  }

  /// A query was answered.
  /// - Parameters:
  ///   - took: from the query to its answer, nanoseconds.
  ///   - own: our socket, asked after the answer.
  public mutating func answer(
    to query: QueryID, _ answer: Answer, took: UInt64, own: some OwnSocket, now: UInt64
  ) -> Action {
    guard let asked = outstanding, asked.number == query.number else { return .none }
    outstanding = nil
    if asked.question == .counters {
      // As long a pause as makes the wait for the lock the exception, up to a second.
      let pause = min(1_000_000_000, max(limits.pollMaximum, took > .max / 10 ? .max : took * 10))
      countersNotBefore = took > limits.slowQuery ? now &+ pause : 0
    }
    guard case .waiting(var wait) = state else { return .none }
    guard query.number >= wait.firstQuery else { return begin(wait, own: own, now: now) }
    let (hadArrived, hadBegun) = (wait.arrived, wait.begun)
    let verdict = weigh(answer, asked.question, &wait, own: own, now: now)
    if looksSuffice, !hadArrived, !hadBegun, wait.arrived || wait.begun { acknowledgesLate = asked.question == .counters }
    if !hadBegun, wait.begun { pace.begun(after: now &- wait.since, missed: wait.misses > 0, starved: wait.starved) }
    switch verdict {
    case .release:
      if asked.question == .counters, !looksSuffice { looksSuffice = agrees(wait, own) }
      state = .open
      return .release
    case .blind(let reason):
      return goBlind(reason)
    case .askAtOnce:
      state = .waiting(wait)
      return askForCounters(wait, now: now)
    case .lookAtOnce:
      return look(wait, own: own, now: now)
    case .lookAgain:
      wait.misses += 1
      // To look again costs less than to sleep and to be woken for it, and a caller that is about to begin need not wait for that.
      if looksSuffice, asked.question != .counters, wait.misses < LookPace.looksAtOnce { return look(wait, own: own, now: now) }
      return lookAgain(wait, step: step(wait, now), now: now)
    case .noEvidence:
      // The socket's own events tell what became of the caller; these looks only keep the limits.
      return lookAgain(wait, step: limits.pollMaximum, now: now)
    }
  }

  /// The time of `wake`, or later; a call without need is harmless.
  /// - Parameter own: our socket, as for `withheld`.
  public mutating func timer(own: some OwnSocket = UnknownSocket(), now: UInt64) -> Action {
    guard case .waiting(var wait) = state else { return .none }
    let elapsed = now &- wait.since
    // The caller's own pool closes what it has abandoned after 30 s, so an unread reply is in somebody's hands: age is no
    // reason for a reset, only what we can hold is.
    if elapsed >= limits.resourceLimit {
      state = .ended
      outstanding = nil
      return .reset(.resourceLimit)
    }
    if elapsed >= limits.slowStream, !wait.alerted {
      wait.alerted = true
      state = .waiting(wait)
      return .slowStream(wakeAt: wakeTime(wait, now: now))
    }
    if outstanding != nil || now < wait.nextLook { return .wake(at: wakeTime(wait, now: now)) }
    guard wait.nextHasCounters else { return look(wait, own: own, now: now) }
    wait.nextHasCounters = false
    state = .waiting(wait)
    return ask(.counters)
  }

  // MARK: Steps

  /// The first question about a reply.
  private mutating func begin(_ wait: Wait, own: some OwnSocket, now: UInt64) -> Action {
    // Q1, at once. Where the last query waited for the caller's lock, the one that takes no lock comes first.
    if !looksSuffice { return ask(countersNotBefore == 0 && !mutations.contains(.receiveQueueAlone) ? .counters : .look) }
    let pause = pace.firstLook
    return pause < limits.pollMinimum ? look(wait, own: own, now: now) : lookAgain(wait, step: pause, now: now)
  }

  /// A look, with what our own socket knows before it.
  private mutating func look(_ wait: Wait, own: some OwnSocket, now: UInt64) -> Action {
    var wait = wait
    if looksSuffice, !wait.begun { wait.acknowledged = arrivedBytes(wait, own) }
    // A caller that acknowledges late is asked for its counters first, as a look would only lead there.
    let first = wait.isUnasked
    wait.isUnasked = false
    state = .waiting(wait)
    guard looksSuffice else { return ask(.look) }
    if first, acknowledgesLate, wait.acknowledged < begunMark(wait), countersNotBefore == 0 { return ask(.counters) }
    // A second look is of use only where the first one finds what it looks for: not when it follows a miss at once, and hardly
    // where the caller has been away for long.
    let isHopeful = !wait.begun && (wait.misses == 0 || wait.misses >= LookPace.looksAtOnce) && now &- wait.since < LookPace.longest
    return ask(isHopeful ? .twoLooks : .look)
  }

  private mutating func ask(_ question: Question) -> Action {
    let number = queries
    queries &+= 1
    outstanding = (number, question)
    return .query(QueryID(number: number), question)
  }

  private mutating func askForCounters(_ wait: Wait, now: UInt64) -> Action {
    guard now < countersNotBefore else { return ask(.counters) }
    // Until then looks may do.
    if looksSuffice { return lookAgain(wait, step: min(countersNotBefore - now, step(wait, now)), now: now) }
    var wait = wait
    wait.nextHasCounters = true
    return lookAgain(wait, step: countersNotBefore - now, now: now)
  }

  private mutating func lookAgain(_ wait: Wait, step: UInt64, now: UInt64) -> Action {
    var wait = wait
    wait.nextLook = now &+ step
    state = .waiting(wait)
    return .wake(at: wakeTime(wait, now: now))
  }

  /// A quarter of the time that has passed: at most so much is added to what the caller takes, less what it needs to copy the reply.
  private func step(_ wait: Wait, _ now: UInt64) -> UInt64 {
    min(limits.pollMaximum, max(limits.pollMinimum, (now &- wait.since) / 4))
  }

  private func wakeTime(_ wait: Wait, now: UInt64) -> UInt64 {
    let limit = wait.since &+ limits.resourceLimit
    let next = wait.alerted ? limit : min(limit, wait.since &+ limits.slowStream)
    return outstanding == nil ? min(next, max(now, wait.nextLook)) : next
  }

  private mutating func goBlind(_ reason: Blindness) -> Action {
    state = .blind
    ledger.giveUpProof()
    return .fallBack(reason)
  }
}
