internal import LaneCore
internal import LaneProxy
internal import LaneTelemetry
internal import LinuxIO

/// Everything that metrics and readiness are made of, as it was at one moment on the reactor's thread.
struct ServiceSnapshot: Sendable {
  var status: ProxyStatus
  var accounting: Accounting
  /// Of the inbound direction; nil without one.
  var inboundAccounting: Accounting?
  var gate: GateStatistics
  var events: EventCounts
  var folded: UInt64
  var log: LogWriter.Counters
  var stalls: StallHistogram
  /// Nil without a recorder.
  var evidence: RecorderFigures?
  /// Reasons not to be ready that other parts have.
  var unreadiness: [String] = []
}

/// Makes snapshots. Its parts belong to the reactor's thread, hence `@unchecked`: other threads hold it, and only a message to
/// the reactor calls it.
final class SnapshotSource: @unchecked Sendable {
  let reactor: Reactor
  let log: EventLog
  private let proxy: Proxy
  private let writer: LogWriter
  private let recorder: Recorder?
  /// Asked each time, on the reactor's thread: nil, or why the service is not ready.
  var conditions: [() -> String?] = []

  init(reactor: Reactor, proxy: Proxy, log: EventLog, writer: LogWriter, recorder: Recorder? = nil) {
    self.reactor = reactor
    self.proxy = proxy
    self.log = log
    self.writer = writer
    self.recorder = recorder
  }

  /// On the reactor's thread.
  func snapshot() -> ServiceSnapshot {
    ServiceSnapshot(
      status: proxy.status, accounting: proxy.accounting, inboundAccounting: proxy.inboundAccounting, gate: proxy.gateStatistics,
      events: log.counts, folded: log.folded,
      log: writer.counters, stalls: reactor.stalls, evidence: recorder?.figures, unreadiness: conditions.compactMap { $0() })
  }
}
