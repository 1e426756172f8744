internal import CLinux
internal import Glibc

/// A condition variable on the heap, for use with a `Lock`; its times are the monotonic clock's.
final class Condition: @unchecked Sendable {
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    condition = .allocate(capacity: 1)
    condition.initialize(to: pthread_cond_t())
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deallocate()
  }

  func signal() { pthread_cond_signal(condition) }
  func broadcast() { pthread_cond_broadcast(condition) }

  /// Waits for a signal. The caller holds the lock, and looks again at what it waits for.
  func wait(_ lock: Lock) { pthread_cond_wait(condition, lock.mutex) }

  /// Likewise, but not beyond that time. False where it has come.
  func wait(_ lock: Lock, until deadline: Deadline) -> Bool {
    var time = deadline.time
    return pthread_cond_timedwait(condition, lock.mutex, &time) == 0
  }

  /// A moment of the monotonic clock.
  struct Deadline {
    fileprivate let time: timespec

    /// So many nanoseconds from now; as far off as can be told where that is too far.
    init(in span: Nanoseconds) {
      let (sum, overflow) = clinux_monotonic().addingReportingOverflow(span)
      let end = overflow ? Nanoseconds(Int64.max) : min(sum, Nanoseconds(Int64.max))
      time = timespec(tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
    }
  }
}
