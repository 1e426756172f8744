import Glibc

/// State that several threads of a test share, in memory that never moves.
final class Shared<Value>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var value: Value

  init(_ value: Value) {
    self.value = value
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// One thread at a time.
  func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&value)
  }

  /// A copy of the value.
  var now: Value { withLock { $0 } }
}

/// A thread that may block, which those of Swift's pool must not.
struct BlockingThread: @unchecked Sendable {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: pthread_t

  /// Starts it.
  init(_ run: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let body = Unmanaged.passRetained(Body(run))
    let result = pthread_create(
      &thread, nil,
      { raw in
        if let raw { Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    precondition(result == 0, "a test needs a thread: \(String(cString: strerror(result)))")
    self.thread = thread
  }

  /// Waits for its end.
  func join() { pthread_join(thread, nil) }

  /// Lets it end on its own.
  func detach() { pthread_detach(thread) }

  /// Runs the body on that many threads at once, and waits for all.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let threads = (0..<count).map { index in BlockingThread { body(index) } }
    for thread in threads { thread.join() }
  }
}

/// Polls a condition until it holds; false where it does not in time.
func eventually(within deadline: Duration = .seconds(20), _ condition: () -> Bool) -> Bool {
  let end = ContinuousClock.now + deadline
  while !condition() {
    guard ContinuousClock.now < end else { return false }
    _ = poll(nil, 0, 2)
  }
  return true
}
