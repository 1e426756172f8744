internal import Glibc

/// A mutual exclusion lock over a heap `pthread_mutex_t`, and a condition to wait on with it.
///
/// The lab may not depend on the reactor's modules, so it has its own.
final class LabLock: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // Deadlines are those of `LabClock`.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  func withLock<Value>(_ body: () throws -> Value) rethrows -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Waits, the lock held, until `ready` says true; `change` must be called after whatever makes it so.
  func wait<Value>(until ready: () -> Bool, then body: () -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !ready() { pthread_cond_wait(condition, mutex) }
    return body()
  }

  /// Waits likewise, but not beyond `deadline`, nanoseconds of `LabClock`.
  /// - Returns: what `ready` said last.
  func wait(until ready: () -> Bool, deadline: Int64) -> Bool {
    var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !ready() {
      if pthread_cond_timedwait(condition, mutex, &time) != 0 { return ready() }
    }
    return true
  }

  /// As `withLock`, and wakes all who wait.
  func change<Value>(_ body: () throws -> Value) rethrows -> Value {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(condition)
      pthread_mutex_unlock(mutex)
    }
    return try body()
  }
}
