public import LaneCore
public import LinuxIO

/// The log: one JSON object per event and line, with the keys of `LogKey`.
///
/// It belongs to one reactor's thread. Nothing in it waits: the writer's queue takes a line or drops it, and what was dropped is
/// told by a `log.lost` line; alerts and the closing lines may use room that is kept from the others (`LogWriter`). Equal events (event, reason, peer, class) beyond 20 in a window of a second are folded into one
/// line, which comes more and more rarely in a storm that goes on (`FoldTable`); at level debug, the lines of that level are not, since their reader asked for each.
public final class EventLog: EventSink {
  /// The least urgent level that gets lines.
  public let level: LogLevel

  /// How long a window of folding is, nanoseconds.
  public static let window: UInt64 = 1_000_000_000

  private let writer: LogWriter
  private let wallClock: () -> UInt64
  private var formatter: LineFormatter
  private var folds = FoldTable()
  /// Every event since the start.
  public private(set) var counts = EventCounts()
  private var windowEnd: UInt64 = 0
  private var told = LogWriter.Counters()

  /// Events that got no line of their own because they were folded.
  public private(set) var folded: UInt64 = 0

  /// - Parameters:
  ///   - writer: where lines go.
  ///   - node: this node's name, as configured.
  ///   - process: random bits that make operation ids unique in the cluster.
  ///   - level: events below it are counted and not formatted.
  ///   - priorities: each line begins with its priority, `<6>`: for a writer whose reader is the journal.
  ///   - wallClock: nanoseconds since 1970; the system's by default.
  public init(
    writer: LogWriter, node: String, process: UInt64, level: LogLevel, priorities: Bool = false,
    wallClock: @escaping () -> UInt64 = Timestamp.now
  ) {
    self.writer = writer
    self.level = level
    self.wallClock = wallClock
    formatter = LineFormatter(node: node, process: process, hasPriority: priorities)
  }

  /// At level debug only.
  public var wantsDetail: Bool { level == .debug }

  /// Counts the event, and writes its line unless its level is too low or it is folded.
  public func record(_ event: LaneEvent) {
    counts.count(event)
    let eventLevel = event.level
    guard eventLevel >= level else { return }
    guard eventLevel == .debug || Self.isLastWord(event) || folds.admit(event) else {
      folded &+= 1
      return
    }
    emit(event, LineFormatter.Extra())
  }

  /// Ends the window of folding where it is over, and tells of lines that the writer lost. To be called about once a second.
  /// - Parameter now: nanoseconds of a clock that does not jump.
  public func tick(now: UInt64) {
    guard now >= windowEnd else { return }
    windowEnd = now &+ Self.window
    folds.roll { emit($0, folded: $1, isOther: $2) }
    tellLost()
  }

  /// Tells everything that was folded, and of lost lines: for the end of the process, before the writer is closed.
  public func finish() {
    folds.close { emit($0, folded: $1, isOther: $2) }
    tellLost()
  }

  private func emit(_ last: LaneEvent, folded: UInt64, isOther: Bool) {
    emit(last, LineFormatter.Extra(folded: folded, foldedKey: isOther ? "other" : nil))
  }

  /// How often that event was recorded since the start, whatever became of its line.
  public func count(_ name: LaneEvent.Name) -> UInt64 {
    counts.total { $0.name == name }
  }

  /// How often that event was recorded for that reason since the start, whatever became of its line.
  public func count(_ name: LaneEvent.Name, _ reason: Reason?) -> UInt64 {
    counts.total { $0.name == name && $0.reason == reason }
  }

  /// Counts are since the start, so that a lost `log.lost` line loses nothing: where it fails itself, the next tick finds one
  /// more failed line and tries again.
  private func tellLost() {
    let counters = writer.counters
    guard counters.dropped != told.dropped || counters.failed != told.failed else { return }
    var event = LaneEvent(.logLost)
    event.detail = writer.lastFailure?.description
    counts.count(event)
    guard event.level >= level else {
      told = counters
      return
    }
    if emit(event, LineFormatter.Extra(lost: counters)) { told = counters }
  }

  /// Said once, at the end of the process: it has a line of its own, however full the table of folds is.
  private static func isLastWord(_ event: LaneEvent) -> Bool { event.name == .accounting || event.name == .stopped }

  @discardableResult
  private func emit(_ event: LaneEvent, _ extra: LineFormatter.Extra) -> Bool {
    formatter.format(event, at: wallClock(), extra: extra)
    // A flood of ordinary lines must leave room for an alert, and for the last words.
    let matters = event.level >= .warning || Self.isLastWord(event)
    return formatter.line.withUnsafeBytes { writer.write($0, mayUseReserve: matters) }
  }
}
