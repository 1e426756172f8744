/// What becomes of a caller's next request, given what the caller has in flight (G2, G6, DESIGN.md section 5).
public enum Admission: Equatable, Sendable {
  /// It goes out on the connection that the caller holds.
  case forward
  /// It needs a connection; the caller holds none.
  case lease
  /// It waits until what is in flight is answered.
  case wait
  /// The connection that the caller holds is of another kind: give it up, then lease.
  case release
  /// The operation in flight has run its course without an end marker: finish it, then lease.
  case finish
  /// The caller has given up the operation in flight before any of its reply: cancel it, then lease.
  case cancel
  /// The caller has given up an operation of which it was handed some: nothing on this connection can be trusted.
  case dirtyReuse

  /// What the decision rests on.
  public struct Facts: Equatable, Sendable {
    /// The next request's class.
    public var next: OperationClass
    /// Its caller kind.
    public var nextKind: CallerKind
    /// Operations in flight; for unknown opcodes, those without any reply.
    public var inFlight = 0
    /// Operations that are kept in mind: those in flight, and unknown ones that may have more replies to come.
    public var known = 0
    /// The class of what is in flight, or of the connection that is held.
    public var current: OperationClass?
    /// The caller kind of what is in flight.
    public var currentKind = CallerKind.lockStep
    /// The completion rule of the operation in flight.
    public var completion = CompletionRule.single
    /// Replies of it that were accepted.
    public var replies: UInt32 = 0
    /// Nothing that was ever handed to the caller can lie unread in its socket: no byte was, or the delivery gate has seen it
    /// read all of it.
    public var isClean = true
    /// The delivery gate watches the caller: what it has not proved clean is not.
    public var isGated = false
    /// Its reply stream stands between two packets.
    public var betweenReplies = true
    /// The connection that is held will serve no further request.
    public var doomed = false
    /// Most operations in flight.
    public var limit = Int.max

    /// A caller with nothing in flight and no connection.
    public init(next: OperationClass, nextKind: CallerKind) {
      self.next = next
      self.nextKind = nextKind
    }
  }

  /// Decides.
  public static func decide(_ facts: Facts) -> Admission {
    guard let current = facts.current else { return .lease }
    if facts.inFlight == 0 {
      return current == facts.next && facts.nextKind == .pipelining && !facts.doomed ? .forward : .release
    }
    if facts.currentKind == .pipelining {
      let fits = current == facts.next && facts.nextKind == .pipelining && !facts.doomed && facts.known < facts.limit
      return fits ? .forward : .wait
    }
    // A lock-step caller asks again: it has finished with the last operation, one way or the other.
    // How many chunks an open-ended stream has only its sender knows; between two of them the caller may well have had enough.
    if facts.completion == .openEnded && facts.replies > 0 && facts.betweenReplies && (facts.isClean || !facts.isGated) { return .finish }
    return facts.isClean ? .cancel : .dirtyReuse
  }
}
