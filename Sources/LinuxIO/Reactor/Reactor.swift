internal import CLinux
internal import Glibc

/// An epoll loop. A plain class: created and used in one thread; only its `mailbox` may be touched by others.
///
/// Level-triggered: a handler reads once per wake, at most `readBufferSize` bytes, which is the byte budget that keeps connections fair.
public final class Reactor {
  /// The bytes a handler can read in one call.
  public static let readBufferSize = 256 * 1024
  /// The bytes in front of `readBuffer` that belong to it as well: a handler may put bytes there that it carried over from an earlier read.
  public static let readHeadroom = 128
  /// Room for the records of `TLSSession.encryptLimit` bytes: 17 of 16 KiB at most, with 22 bytes around each under TLS 1.3 and 29
  /// under 1.2; an alert or a key update may stand beside them.
  static let recordBufferSize = TLSSession.encryptLimit + 4096
  /// The most events taken from the kernel in one wake.
  static let batchSize = 256

  /// The time of the last wake, `CLOCK_MONOTONIC`.
  @exclusivity(unchecked) public internal(set) var now: Nanoseconds
  /// The one read buffer, shared by all handlers of this reactor, valid until the handler returns. `readHeadroom` bytes before its base are valid memory, too.
  public let readBuffer: UnsafeMutableRawBufferPointer
  /// The way in for other threads.
  public let mailbox: ReactorMailbox

  let epoll: Int32
  let timers = TimerHeap()
  let outputPool = OutputChunkPool()
  /// Where TLS gathers records before they are sent; there once a connection uses TLS.
  private var recordMemory: UnsafeMutableRawBufferPointer?
  /// Connections that wait for the other end's close, after our own.
  var lingering = 0
  private let stallRecord = StallRecord()
  @exclusivity(unchecked) private var table = HandlerTable()
  private let events: UnsafeMutablePointer<epoll_event>
  private let readMemory: UnsafeMutableRawPointer
  @exclusivity(unchecked) private var stopping = false
  @exclusivity(unchecked) private var dispatching = false
  /// Handlers that left during a batch: released at its end, so that dispatching needs no reference counting of its own.
  @exclusivity(unchecked) private var departed: [Unmanaged<EventHandler>] = []

  /// Makes the epoll instance, the mailbox and the read buffer.
  public init() throws(SystemFailure) {
    let epoll = try check(.epollCreate, clinux_epoll_create())
    let wake = clinux_eventfd_create()
    if wake < 0 {
      _ = clinux_close(epoll)
      throw SystemFailure(.eventDescriptor, -wake)
    }
    self.epoll = epoll
    mailbox = ReactorMailbox(descriptor: wake)
    // The kernel lets a timer be 50 µs late unless told otherwise, which is more than the shortest waits here. Where this fails it stays so.
    _ = clinux_timer_slack(1_000)
    now = clinux_monotonic()
    let page = 4096
    readMemory = .allocate(byteCount: page + Reactor.readBufferSize, alignment: page)
    readBuffer = UnsafeMutableRawBufferPointer(start: readMemory + page, count: Reactor.readBufferSize)
    events = .allocate(capacity: Reactor.batchSize)
    departed.reserveCapacity(64)
    _ = try register(wake, .readable, MailboxReader(self, mailbox))
  }

  deinit {
    mailbox.close()
    _ = clinux_close(epoll)
    table.destroy()
    events.deallocate()
    readMemory.deallocate()
    recordMemory?.deallocate()
  }

  var recordBuffer: UnsafeMutableRawBufferPointer {
    if let recordMemory { return recordMemory }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Reactor.recordBufferSize, alignment: 64)
    recordMemory = memory
    return memory
  }

  /// The clock that `now` is read from.
  public static func clock() -> Nanoseconds { clinux_monotonic() }

  /// How many descriptors are registered, the mailbox's own included.
  public var registrations: Int { table.used }

  /// How long the batches of this reactor took, from the wake to the end of its last handler.
  public var stalls: StallHistogram { stallRecord.snapshot }

  /// Watches a descriptor. The handler is kept alive until `deregister`.
  public func register(_ fd: Int32, _ interest: ReadyEvents, _ handler: EventHandler) throws(SystemFailure) -> Registration {
    let registration = table.insert(Unmanaged.passRetained(handler), interest)
    let status = clinux_epoll_control(epoll, EPOLL_CTL_ADD, fd, interest.rawValue, registration.token)
    if status < 0 {
      table.remove(registration)?.release()
      throw SystemFailure(.epollControl, -status)
    }
    return registration
  }

  /// Sets what is reported of a descriptor. No system call where nothing differs.
  public func change(_ registration: Registration, _ fd: Int32, _ interest: ReadyEvents) throws(SystemFailure) {
    guard let slot = table[registration] else { return }
    let suspended = slot.pointee.suspended
    if slot.pointee.interest == interest && !suspended { return }
    try check(
      .epollControl,
      clinux_epoll_control(epoll, suspended ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, interest.rawValue, registration.token))
    slot.pointee.interest = interest
    slot.pointee.suspended = false
  }

  /// Takes the descriptor out of the kernel's set until the next `change`: the only way to silence `EPOLLHUP`, which is reported unasked.
  public func suspend(_ registration: Registration, _ fd: Int32) {
    guard let slot = table[registration], !slot.pointee.suspended else { return }
    _ = clinux_epoll_control(epoll, EPOLL_CTL_DEL, fd, 0, 0)
    slot.pointee.suspended = true
  }

  /// Stops watching a descriptor, which must still be open. No event reaches the handler any more, not even one of the batch being handed out.
  public func deregister(_ registration: Registration, _ fd: Int32) {
    guard let slot = table[registration] else { return }
    if !slot.pointee.suspended { _ = clinux_epoll_control(epoll, EPOLL_CTL_DEL, fd, 0, 0) }
    guard let handler = table.remove(registration) else { return }
    if dispatching { departed.append(handler) } else { handler.release() }
  }

  /// Runs until `stop`.
  public func run() throws(SystemFailure) {
    stopping = false
    while !stopping { try turn(maximumWait: .max) }
  }

  /// One wait, of at most this long, and one batch.
  public func runOnce(maximumWait: Nanoseconds) throws(SystemFailure) {
    try turn(maximumWait: maximumWait)
  }

  /// Ends `run` after the present batch. From another thread: `mailbox.post { $0.stop() }`.
  public func stop() { stopping = true }

  private func turn(maximumWait: Nanoseconds) throws(SystemFailure) {
    let wait = timers.wait(from: clinux_monotonic(), atMost: maximumWait)
    let answer = clinux_epoll_wait(epoll, events, Int32(Reactor.batchSize), wait)
    now = clinux_monotonic()
    if answer < 0 && answer != -EINTR { throw SystemFailure(.epollWait, -answer) }

    dispatching = true
    var index = 0
    while index < Int(answer) {
      let event = events + index
      let token = clinux_event_token(event)
      let registration = Registration(slot: UInt32(truncatingIfNeeded: token), generation: UInt32(truncatingIfNeeded: token >> 32))
      if let slot = table[registration], let handler = slot.pointee.handler {
        let bits = ReadyEvents(rawValue: clinux_event_bits(event))
        handler._withUnsafeGuaranteedRef { $0.ready(bits) }
      }
      index &+= 1
    }
    let fired = timers.fire(upTo: now)
    dispatching = false
    if !departed.isEmpty { releaseDeparted() }
    if answer > 0 || fired { stallRecord.add(clinux_monotonic() &- now) }
  }

  /// Releasing a handler can run code that deregisters another one: the list is taken before it is walked.
  private func releaseDeparted() {
    var batch: [Unmanaged<EventHandler>] = []
    swap(&batch, &departed)
    for handler in batch { handler.release() }
    batch.removeAll(keepingCapacity: true)
    if departed.isEmpty { swap(&batch, &departed) }
  }
}
