internal import Glibc

/// A thread that nobody joins.
enum DetachedThread {
  /// What a thread runs, and keeps alive until it is over.
  private final class Body {
    let run: () -> Void

    init(_ run: @escaping () -> Void) { self.run = run }
  }

  /// Starts one. It holds what `run` holds, so that what the kernel keeps in a call costs the thread and not the process.
  static func start(_ run: @escaping @Sendable () -> Void) throws(SystemFailure) {
    let argument = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, argument.toOpaque())
    guard status == 0 else {
      argument.release()
      throw SystemFailure(.thread, status)
    }
    pthread_detach(thread)
  }
}
