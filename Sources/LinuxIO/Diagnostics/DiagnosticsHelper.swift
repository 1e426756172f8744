internal import CLinux
internal import Synchronization

/// The answer to one request of a `DiagnosticsHelper`.
public struct DiagnosticsAnswer: Sendable {
  /// The request's token.
  public let token: UInt64
  /// The numbers, or why there are none.
  public let result: Result<CallerSocket, DiagnosticsFailure>
  /// How long the kernel took for it: as long as the socket's owner held the socket's lock.
  public let took: Nanoseconds
  /// How long it waited for the helper's thread before.
  public let waited: Nanoseconds
}

/// Looks sockets up with their counters on a thread of its own, because such a query blocks while the socket's owner holds the socket's lock.
/// For one reactor, on its thread. No allocation per request.
///
/// A query that keeps the thread for `stuckAfter` costs only its own connection: the thread is left to it and another one goes on, up to
/// `stuckThreadsMax` at a time. The late answer arrives all the same.
public final class DiagnosticsHelper: EventHandler {
  /// What became of a request.
  public enum Acceptance: Equatable, Sendable {
    /// Its answer will come.
    case accepted
    /// The answer to this token's last request is still due.
    case outstanding
    /// `capacity` answers are due.
    case full
    /// The helper is closed.
    case closed
  }

  /// How long a query may keep the thread before another one is started.
  public static let stuckAfter: Nanoseconds = 100_000_000
  /// How often that is looked at while answers are due.
  static let checkEvery: Nanoseconds = 25_000_000
  /// The most threads that are left in the kernel at a time. Beyond it requests wait for the last one.
  public static let stuckThreadsMax = 8

  /// The most answers that may be due.
  public let capacity: Int
  /// Answers due.
  public var outstandingCount: Int { outstanding.count }
  /// Threads ever left to a query that kept them.
  public private(set) var threadsRelieved: UInt64 = 0
  /// Why a successor could not be started, nil where all could.
  public private(set) var newestTrouble: SystemFailure?

  private unowned let reactor: Reactor
  private let channel: DiagnosticsChannel
  private let answer: (DiagnosticsAnswer) -> Void
  private let makeLookUp: () throws(SystemFailure) -> DiagnosticsWorker.LookUp
  private let late: LateAnswers
  private var worker: DiagnosticsWorker
  /// The last worker was relieved, and there is no successor yet.
  private var lacksWorker = false
  private var stuck: [DiagnosticsWorker] = []
  /// Never grows beyond the room that it starts with.
  private var outstanding: Set<UInt64>
  private var registration = Registration.none
  private var check: ReactorTimer?
  private var isClosed = false

  /// Opens a netlink socket and starts the thread. `answer` runs on the reactor's thread, once per accepted request, never from within `ask`.
  public convenience init(
    reactor: Reactor, capacity: Int = 4096, answer: @escaping (DiagnosticsAnswer) -> Void
  ) throws(DiagnosticsFailure) {
    // Tried here, so that a prohibition is told at once; the first worker takes it over.
    var first: SocketDiagnostics? = try SocketDiagnostics()
    do throws(SystemFailure) {
      try self.init(reactor: reactor, capacity: capacity, answer: answer) { () throws(SystemFailure) in
        let diagnostics: SocketDiagnostics
        if let opened = first { diagnostics = opened } else { diagnostics = try DiagnosticsHelper.open() }
        first = nil
        return { request in
          do throws(DiagnosticsFailure) {
            return .success(try diagnostics.counters(of: request.tuple, pinned: request.pinned))
          } catch {
            return .failure(error)
          }
        }
      }
    } catch {
      throw .system(error)
    }
  }

  /// With another way to look up, for tests. It is called on the helper's threads, one closure for each.
  package init(
    reactor: Reactor, capacity: Int, answer: @escaping (DiagnosticsAnswer) -> Void,
    makeLookUp: @escaping () throws(SystemFailure) -> (DiagnosticsRequest) -> Result<CallerSocket, DiagnosticsFailure>
  ) throws(SystemFailure) {
    self.reactor = reactor
    self.capacity = max(1, capacity)
    self.answer = answer
    self.makeLookUp = makeLookUp
    channel = try DiagnosticsChannel(capacity: self.capacity)
    late = LateAnswers()
    outstanding = Set(minimumCapacity: self.capacity)
    worker = DiagnosticsWorker(channel, lookUp: try makeLookUp(), late: DiagnosticsHelper.poster(reactor.mailbox, late))
    super.init()
    late.helper = self
    registration = try reactor.register(channel.wakeReactor, .readable, self)
    do { try worker.start() } catch {
      close()
      throw error
    }
    check = ReactorTimer(reactor) { [unowned self] in relieveStuckWorker() }
  }

  deinit {
    channel.isClosed.store(true, ordering: .sequentiallyConsistent)
    channel.callWorker()
  }

  /// Asks for all numbers of a socket. `token` comes back with the answer; one request per token at a time. `pinned` is the cookie that the
  /// socket must have, nil where any will do.
  public func ask(_ token: UInt64, _ tuple: SocketTuple, pinned: UInt64? = nil) -> Acceptance {
    guard !isClosed else { return .closed }
    guard outstanding.count < capacity else { return outstanding.contains(token) ? .outstanding : .full }
    guard outstanding.insert(token).inserted else { return .outstanding }
    let now = clinux_monotonic()
    // There is room: no more requests wait than answers are due.
    guard channel.requests.push(DiagnosticsRequest(token: token, tuple: tuple, pinned: pinned, askedAt: now)) else {
      outstanding.remove(token)
      return .full
    }
    channel.callWorker()
    if let check, check.deadline == nil { check.arm(at: now &+ DiagnosticsHelper.checkEvery) }
    return .accepted
  }

  /// Called by the reactor.
  public override func ready(_ events: ReadyEvents) {
    guard !isClosed else { return }
    _ = clinux_eventfd_drain(channel.wakeReactor)
    channel.reactorIsCalled.store(false, ordering: .sequentiallyConsistent)
    // A bound, so that answers to requests made from within `answer` do not keep the reactor from everything else.
    for _ in 0..<capacity {
      guard let next = channel.answers.pop() else { return }
      deliver(next)
      if isClosed { return }
    }
    channel.callReactor()
  }

  /// Ends the helper: no answer comes any more. Waits at most this long for the threads. False where one is still in the kernel: it ends
  /// with its query, touches nothing of this reactor, and a process that exits meanwhile is held until the socket's owner lets go of the lock.
  @discardableResult
  public func close(timeout: Nanoseconds = 100_000_000) -> Bool {
    if !isClosed {
      isClosed = true
      late.helper = nil
      check?.disarm()
      reactor.deregister(registration, channel.wakeReactor)
      channel.isClosed.store(true, ordering: .sequentiallyConsistent)
      channel.callWorker()
      outstanding = []
    }
    let end = clinux_monotonic() &+ timeout
    while !(worker.ended && stuck.allSatisfy(\.ended)) {
      if clinux_monotonic() >= end { return false }
      _ = clinux_wait_readable(-1, 1)
    }
    return true
  }

  private func deliver(_ next: DiagnosticsAnswer) {
    outstanding.remove(next.token)
    if outstanding.isEmpty { check?.disarm() }
    answer(next)
  }

  /// An answer of a relieved worker.
  fileprivate func deliverLate(_ next: DiagnosticsAnswer) {
    guard !isClosed else { return }
    deliver(next)
  }

  private func relieveStuckWorker() {
    guard !isClosed, !outstanding.isEmpty else { return }
    defer { check?.arm(at: clinux_monotonic() &+ DiagnosticsHelper.checkEvery) }
    stuck.removeAll(where: \.ended)
    if !lacksWorker {
      guard stuck.count < DiagnosticsHelper.stuckThreadsMax else { return }
      guard worker.relieve(askingSinceBefore: clinux_monotonic() &- DiagnosticsHelper.stuckAfter) else { return }
      stuck.append(worker)
      lacksWorker = true
      threadsRelieved &+= 1
    }
    do throws(SystemFailure) {
      let successor = DiagnosticsWorker(channel, lookUp: try makeLookUp(), late: DiagnosticsHelper.poster(reactor.mailbox, late))
      try successor.start()
      worker = successor
      lacksWorker = false
    } catch {
      // No descriptor or no memory for a thread: tried again at the next look.
      newestTrouble = error
    }
  }

  /// A relieved worker must not touch the rings: its answer takes the way that is open to any thread.
  private static func poster(_ mailbox: ReactorMailbox, _ late: LateAnswers) -> @Sendable (DiagnosticsAnswer) -> Void {
    { answer in _ = mailbox.post { _ in late.helper?.deliverLate(answer) } }
  }

  private static func open() throws(SystemFailure) -> SocketDiagnostics {
    do throws(DiagnosticsFailure) { return try SocketDiagnostics() } catch {
      switch error {
      case .refused(let failure), .system(let failure): throw failure
      default: throw SystemFailure(.diagnosticsSocket, 0)
      }
    }
  }
}

/// The way from a relieved worker back to its helper, followed on the reactor's thread only.
private final class LateAnswers: @unchecked Sendable {
  weak var helper: DiagnosticsHelper?
}
