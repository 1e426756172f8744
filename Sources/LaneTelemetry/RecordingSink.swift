public import LaneCore

/// A sink that keeps every event in memory, for tests.
public final class RecordingSink: EventSink {
  /// What was recorded, oldest first.
  public private(set) var events: [LaneEvent] = []
  /// Whether per-operation events are wanted.
  public var wantsDetail: Bool

  /// An empty sink.
  public init(wantsDetail: Bool = true) { self.wantsDetail = wantsDetail }

  /// Keeps the event.
  public func record(_ event: LaneEvent) { events.append(event) }

  /// Those of that name.
  public func events(_ name: LaneEvent.Name) -> [LaneEvent] { events.filter { $0.name == name } }

  /// Forgets everything.
  public func removeAll() { events.removeAll() }
}
