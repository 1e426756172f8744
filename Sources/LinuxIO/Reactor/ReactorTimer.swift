/// A deadline with an action. Arming it later than before is one store: the heap finds the entry at its old time and puts it back.
/// Disarming is one store, too. No allocation per arm once the heap has grown to the number of timers.
///
/// The reactor does not keep a timer alive: it lives as long as its owner holds it, and is disarmed when released.
/// The action must not hold the owner strongly.
public final class ReactorTimer {
  static let never = Nanoseconds.max
  static let notQueued = -1

  private let heap: TimerHeap
  let action: () -> Void
  @exclusivity(unchecked) var due: Nanoseconds = ReactorTimer.never
  @exclusivity(unchecked) var position = ReactorTimer.notQueued

  /// A disarmed timer. The action runs on the reactor's thread, after the batch in which the deadline passed.
  public init(_ reactor: Reactor, _ action: @escaping () -> Void) {
    heap = reactor.timers
    self.action = action
  }

  deinit { heap.remove(self) }

  /// The time of the next run, nil where disarmed.
  public var deadline: Nanoseconds? { due == ReactorTimer.never ? nil : due }

  /// Sets the one deadline, in place of an earlier one. A time that has passed runs the action in the next turn of the loop.
  @inline(__always)
  public func arm(at time: Nanoseconds) {
    let time = min(time, ReactorTimer.never - 1)
    due = time
    if position == ReactorTimer.notQueued {
      heap.insert(self)
    } else if heap.key(at: position) > time {
      heap.advance(self)
    }
  }

  /// Forgets the deadline.
  @inline(__always)
  public func disarm() { due = ReactorTimer.never }
}
