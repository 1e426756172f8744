internal import CLinux
internal import Glibc

/// Signals as events of a reactor (signalfd(2)).
///
/// They are blocked in the calling thread and in threads that it starts later: make the watcher before any other thread, or one of those may die of the signal.
public final class SignalWatcher: EventHandler {
  private let reactor: Reactor
  private let action: (Int32) -> Void
  private var fd: Int32
  private var registration = Registration.none

  /// Blocks the signals and delivers them to the action, on the reactor's thread.
  public init(_ reactor: Reactor, signals: [Int32], _ action: @escaping (Int32) -> Void) throws(SystemFailure) {
    self.reactor = reactor
    self.action = action
    fd = try check(.signalDescriptor, clinux_signalfd_create(signals, Int32(signals.count)))
    super.init()
    do {
      registration = try reactor.register(fd, .readable, self)
    } catch {
      close()
      throw error
    }
  }

  /// Called by the reactor.
  public override func ready(_ events: ReadyEvents) {
    while fd >= 0 {
      let signal = clinux_signalfd_next(fd)
      if signal <= 0 { return }
      action(signal)
    }
  }

  /// Stops watching. The signals stay blocked.
  public func close() {
    guard fd >= 0 else { return }
    let descriptor = fd
    fd = -1
    reactor.deregister(registration, descriptor)
    _ = clinux_close(descriptor)
  }
}
