internal import CLinux
internal import Glibc
internal import Synchronization

/// What a `DiagnosticsHelper` asks of its thread.
package struct DiagnosticsRequest: Sendable {
  let token: UInt64
  package let tuple: SocketTuple
  let pinned: UInt64?
  let askedAt: Nanoseconds
}

/// What both threads of a `DiagnosticsHelper` share. It lives until the last of them has let go of it: a thread that the kernel holds in a
/// query outlives its helper, and its reactor.
final class DiagnosticsChannel: @unchecked Sendable {
  let requests: HandoverRing<DiagnosticsRequest>
  let answers: HandoverRing<DiagnosticsAnswer>
  /// The worker sleeps in it: a blocking read through poll().
  let wakeWorker: Int32
  /// Registered with the reactor.
  let wakeReactor: Int32
  let isClosed = Atomic<Bool>(false)
  /// The worker is asleep, or about to be: the next request has to wake it.
  let workerSleeps = Atomic<Bool>(false)
  /// The reactor has a wake-up on its way that it has not taken yet.
  let reactorIsCalled = Atomic<Bool>(false)

  init(capacity: Int) throws(SystemFailure) {
    wakeWorker = try check(.eventDescriptor, clinux_eventfd_create())
    let other = clinux_eventfd_create()
    if other < 0 {
      _ = clinux_close(wakeWorker)
      throw SystemFailure(.eventDescriptor, -other)
    }
    wakeReactor = other
    requests = HandoverRing(capacity: capacity)
    answers = HandoverRing(capacity: capacity)
  }

  deinit {
    _ = clinux_close(wakeWorker)
    _ = clinux_close(wakeReactor)
  }

  /// Reactor's side, after a push or a close.
  func callWorker() {
    if workerSleeps.exchange(false, ordering: .sequentiallyConsistent) { _ = clinux_eventfd_signal(wakeWorker) }
  }

  /// Worker's side, after a push.
  func callReactor() {
    if !reactorIsCalled.exchange(true, ordering: .sequentiallyConsistent) { _ = clinux_eventfd_signal(wakeReactor) }
  }
}

/// The loop of one helper thread. It is relieved where a query keeps it: another worker then goes on with the requests, and this one's
/// last answer goes back through the reactor's mailbox.
final class DiagnosticsWorker: @unchecked Sendable {
  typealias LookUp = (DiagnosticsRequest) -> Result<CallerSocket, DiagnosticsFailure>

  private enum Duty {
    static let free: UInt8 = 0
    static let asking: UInt8 = 1
    static let relieved: UInt8 = 2
  }

  let channel: DiagnosticsChannel
  private let lookUp: LookUp
  private let late: @Sendable (DiagnosticsAnswer) -> Void
  private let duty = Atomic<UInt8>(Duty.free)
  /// When the query that is under way began, 0 where none is.
  private let askingSince = Atomic<Nanoseconds>(0)
  private let hasEnded = Atomic<Bool>(false)

  init(_ channel: DiagnosticsChannel, lookUp: @escaping LookUp, late: @escaping @Sendable (DiagnosticsAnswer) -> Void) {
    self.channel = channel
    self.lookUp = lookUp
    self.late = late
  }

  func start() throws(SystemFailure) {
    try DetachedThread.start { self.run() }
  }

  /// The thread runs no more of this program's code.
  var ended: Bool { hasEnded.load(ordering: .acquiring) }

  /// Reactor's thread. True where the worker has been in one query since before `time`: it touches the rings no more, and needs a successor.
  func relieve(askingSinceBefore time: Nanoseconds) -> Bool {
    let since = askingSince.load(ordering: .acquiring)
    guard since != 0, since < time else { return false }
    return duty.compareExchange(expected: Duty.asking, desired: Duty.relieved, ordering: .sequentiallyConsistent).exchanged
  }

  private func run() {
    while !channel.isClosed.load(ordering: .sequentiallyConsistent) {
      guard let request = channel.requests.pop() else {
        sleep()
        continue
      }
      let start = clinux_monotonic()
      askingSince.store(start, ordering: .releasing)
      duty.store(Duty.asking, ordering: .sequentiallyConsistent)
      let result = lookUp(request)
      let answer = DiagnosticsAnswer(
        token: request.token, result: result, took: clinux_monotonic() &- start, waited: start &- request.askedAt)
      let onDuty = duty.compareExchange(expected: Duty.asking, desired: Duty.free, ordering: .sequentiallyConsistent).exchanged
      guard onDuty else {
        late(answer)
        break
      }
      askingSince.store(0, ordering: .releasing)
      // There is room: the helper lets no more requests in than the ring has places.
      if channel.answers.push(answer) { channel.callReactor() }
    }
    hasEnded.store(true, ordering: .releasing)
  }

  private func sleep() {
    channel.workerSleeps.store(true, ordering: .sequentiallyConsistent)
    // A request that came before the store did not signal: look once more before sleeping.
    if channel.requests.isEmpty && !channel.isClosed.load(ordering: .sequentiallyConsistent) {
      _ = clinux_wait_readable(channel.wakeWorker, -1)
    }
    channel.workerSleeps.store(false, ordering: .sequentiallyConsistent)
    _ = clinux_eventfd_drain(channel.wakeWorker)
  }
}
