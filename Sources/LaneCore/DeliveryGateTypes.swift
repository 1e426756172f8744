/// The delivery gate's times. Nanoseconds all.
public struct GateLimits: Equatable, Sendable {
  /// After how long an unread reply is worth an alert.
  public var slowStream: UInt64 = 60_000_000_000
  /// After how long an unread reply costs its caller the connection. No judgement on the caller: a bound on what we hold.
  public var resourceLimit: UInt64 = 900_000_000_000
  /// A query with counters that takes longer waits for the caller's socket lock: the next one must not follow at once.
  public var slowQuery: UInt64 = 100_000_000
  /// The shortest step between two looks.
  public var pollMinimum: UInt64 = 20_000
  /// The longest step between two looks.
  public var pollMaximum: UInt64 = 25_000_000
  /// For how long bytes that were acknowledged may be missing from the caller's counters, and for how long queries may fail.
  public var sockmapPatience: UInt64 = 1_000_000_000

  /// The defaults.
  public init() {}
}

extension DeliveryGate {
  /// What one look at the caller's socket found.
  public struct Observation: Equatable, Sendable {
    /// `idiag_cookie`: one number per socket for the life of the kernel.
    public var cookie: UInt64
    /// The answer names the four-tuple that was asked for.
    public var tupleMatches: Bool
    /// `idiag_state` is TCP_ESTABLISHED.
    public var isEstablished: Bool
    /// `idiag_rqueue`: bytes in order that the application has not read; those in the socket's backlog are not among them.
    public var receiveQueue: UInt32
    /// `idiag_wqueue`: bytes that the application has written and we have not acknowledged.
    public var sendQueue: UInt32
    /// `INET_DIAG_ULP_INFO` is there: TLS, MPTCP.
    public var hasULP: Bool
    /// The counters; nil where they were not asked for, or `tcp_info` is too short to have them.
    public var counters: Counters?

    /// A look of those values.
    public init(
      cookie: UInt64, tupleMatches: Bool = true, isEstablished: Bool = true, receiveQueue: UInt32, sendQueue: UInt32 = 0,
      hasULP: Bool = false, counters: Counters? = nil
    ) {
      self.cookie = cookie
      self.tupleMatches = tupleMatches
      self.isEstablished = isEstablished
      self.receiveQueue = receiveQueue
      self.sendQueue = sendQueue
      self.hasULP = hasULP
      self.counters = counters
    }
  }

  /// `tcp_info` of the caller's socket, as far as the gate asks. The kernel reads them together, under the socket's lock, after
  /// the queues of the same answer.
  public struct Counters: Equatable, Sendable {
    /// `tcpi_bytes_received`: in-order bytes that arrived; a FIN counts as one.
    public var bytesReceived: UInt64
    /// `tcpi_bytes_sent`: retransmissions included; bytes whose local transmission failed count twice.
    public var bytesSent: UInt64
    /// `tcpi_bytes_retrans`: counted before the retransmission, so also where it fails for want of memory.
    public var bytesRetransmitted: UInt64
    /// `tcpi_bytes_acked`: the SYN counts as one.
    public var bytesAcked: UInt64
    /// `tcpi_notsent_bytes`.
    public var notSent: UInt32

    /// Counters of those values.
    public init(bytesReceived: UInt64, bytesSent: UInt64, bytesRetransmitted: UInt64 = 0, bytesAcked: UInt64, notSent: UInt32 = 0) {
      self.bytesReceived = bytesReceived
      self.bytesSent = bytesSent
      self.bytesRetransmitted = bytesRetransmitted
      self.bytesAcked = bytesAcked
      self.notSent = notSent
    }
  }

  /// What is asked of the kernel about the caller's socket.
  public enum Question: Equatable, Sendable {
    /// State and queues. No lock of the socket is taken: the reactor's own thread may ask.
    case look
    /// The same twice in one system call, the second look after the first: answered by `observedTwice`.
    case twoLooks
    /// `INET_DIAG_INFO` as well. It waits for the socket's lock and so can block: off the reactor's thread.
    case counters
  }

  /// What came of a query.
  public enum Answer: Equatable, Sendable {
    /// The kernel described a socket.
    case observed(Observation)
    /// It did so twice: every number of the second is of a later instant than any of the first.
    case observedTwice(Observation, Observation)
    /// No socket has the caller's tuple.
    case notFound
    /// The query itself failed.
    case failed
  }

  /// Which query an answer belongs to; the gate has one at a time.
  public struct QueryID: Hashable, Sendable {
    let number: UInt64
  }

  /// Why a caller's socket cannot be watched: its replies go out ungated, and a connection reused dirty is reset when that shows.
  public enum Blindness: String, Sendable, CaseIterable {
    /// The self-test at start failed: kernel, seccomp or SELinux do not allow socket diagnostics.
    case unsupported
    /// The caller's socket was never found: another network namespace, or a rewritten source port.
    case notFound = "not-found"
    /// The tuple leads to a socket of our own.
    case ownSocket = "own-socket"
    /// What stands above the socket (TLS, MPTCP) empties it before the application reads.
    case upperLayer = "upper-layer"
    /// The kernel's `tcp_info` lacks counters that the gate needs.
    case shortInfo = "short-info"
    /// Bytes reach the application past the socket's counters: sockmap.
    case sockmap
    /// Queries keep failing.
    case queryFailed = "query-failed"
  }

  /// Why the gate wants the caller's connection reset.
  public enum ResetReason: String, Sendable, CaseIterable {
    /// A newer request, and bytes of an older operation may lie unread in the caller's socket.
    case dirtyReuse = "dirty-reuse"
    /// A reply has been unread for as long as configured.
    case resourceLimit = "resource-limit"
  }

  /// What the shell does next. One action per call.
  public enum Action: Equatable, Sendable {
    /// Nothing.
    case none
    /// Ask the kernel about the caller's socket. The answer goes to `answer(to:_:took:own:now:)`; meanwhile the timer is due at
    /// `deadline` only.
    case query(QueryID, Question)
    /// Call `timer(now:)` at that time; it replaces any earlier timer.
    case wake(at: UInt64)
    /// Write the tail, and report its bytes to `wrote(_:as:)`.
    case release
    /// Forget the unfinished operation, of which the caller has nothing, and serve the newer request on the same connection.
    case cancel
    /// Alert: the reply has been unread for `GateLimits.slowStream`. Once per reply. Then as `wake`.
    case slowStream(wakeAt: UInt64)
    /// Reset the caller's connection. The gate is done.
    case reset(ResetReason)
    /// Say that this caller is not gated, and write the tail if one is withheld. Once per connection.
    case fallBack(Blindness)
  }
}

/// Defects that the simulator puts into the gate, one for each condition, to see that it finds what they break. Empty in
/// production: the only initialiser that takes one is package-internal.
package struct GateMutations: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Q1 is not asked: arrival is taken for granted.
  package static let dropArrival = GateMutations(rawValue: 1 << 0)
  /// One answer serves as Q1 and as Q2.
  package static let mergeQueries = GateMutations(rawValue: 1 << 1)
  /// A is not compared: B of the same answer is enough.
  package static let dropA = GateMutations(rawValue: 1 << 2)
  /// B is not compared: A is enough, in Q3, too.
  package static let dropB = GateMutations(rawValue: 1 << 3)
  /// The counters withhold only where they are over R.
  package static let onlyGreater = GateMutations(rawValue: 1 << 4)
  /// A is believed after retransmissions.
  package static let trustRetransmitted = GateMutations(rawValue: 1 << 5)
  /// An operation's first reply is not gated.
  package static let firstReplyUngated = GateMutations(rawValue: 1 << 6)
  /// A newer request cancels, whatever was handed over.
  package static let cancelUnchecked = GateMutations(rawValue: 1 << 7)
  /// An empty receive queue is all that is asked.
  package static let receiveQueueAlone = GateMutations(rawValue: 1 << 8)
  /// Any socket's answer is evidence.
  package static let ignoreCookie = GateMutations(rawValue: 1 << 9)
  /// A newer request that was read does not end the wait.
  package static let ignoreReadable = GateMutations(rawValue: 1 << 10)
  /// An upper layer is no obstacle.
  package static let ignoreULP = GateMutations(rawValue: 1 << 11)
  /// The tail is the last byte, whatever header the reader has in mind.
  package static let oneByteTail = GateMutations(rawValue: 1 << 12)
  /// L1 is taken for granted: what was written has arrived.
  package static let dropAcknowledged = GateMutations(rawValue: 1 << 13)
  /// L1 is read after the look.
  package static let acknowledgedAfterLook = GateMutations(rawValue: 1 << 14)
  /// One look serves as L2 and as L3.
  package static let mergeLooks = GateMutations(rawValue: 1 << 15)
  /// L3 is not asked.
  package static let dropSendQueue = GateMutations(rawValue: 1 << 16)
  /// L4 is not asked.
  package static let dropReceived = GateMutations(rawValue: 1 << 17)
  /// L4 is read before L3.
  package static let receivedTooEarly = GateMutations(rawValue: 1 << 18)
  /// L4 is an empty queue of ours, and not a count.
  package static let emptyForReceived = GateMutations(rawValue: 1 << 19)
  /// Looks will do for the first reply, too.
  package static let looksUnproved = GateMutations(rawValue: 1 << 20)
  /// L2 asks for what came before the reply only, and for nothing of the reply itself.
  package static let headerUnread = GateMutations(rawValue: 1 << 21)
  /// L2 counts from the end of the last gated reply, whatever was handed over since.
  package static let startAtLastTail = GateMutations(rawValue: 1 << 22)
}
