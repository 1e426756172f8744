internal import Glibc

/// A POSIX thread that runs one closure and can be joined once.
final class LabThread: @unchecked Sendable {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private var handle = pthread_t()
  private var joinable = false

  /// Starts the thread. Where the system refuses one, the closure runs here and now: slower, and nothing is lost.
  init(_ run: @escaping @Sendable () -> Void) {
    let body = Unmanaged.passRetained(Body(run))
    let status = pthread_create(
      &handle, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, body.toOpaque())
    if status == 0 {
      joinable = true
    } else {
      body.takeRetainedValue().run()
    }
  }

  /// Runs the closure on a thread that nobody joins.
  static func detached(_ run: @escaping @Sendable () -> Void) {
    let thread = LabThread(run)
    if thread.joinable { pthread_detach(thread.handle) }
    thread.joinable = false
  }

  /// Waits for the end of the closure.
  func join() {
    guard joinable else { return }
    joinable = false
    pthread_join(handle, nil)
  }
}

/// CLOCK_MONOTONIC.
enum LabClock {
  /// Nanoseconds since some fixed moment.
  static var nanoseconds: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// Does nothing for a while: the pace of a scenario, never a means to wait for an event.
  static func sleep(milliseconds: UInt32) { usleep(milliseconds * 1_000) }

  /// The same in microseconds, below a second.
  static func sleep(microseconds: UInt32) { usleep(microseconds) }

  /// Seconds since 1970.
  static var unixSeconds: Int64 { Int64(time(nil)) }
}
