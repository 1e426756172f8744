internal import Glibc
internal import LaneCore
public import LaneProxy
internal import LaneTelemetry
internal import LinuxIO
internal import NetEndpoint

/// The sidecar as a process: log, signals, listeners, and an orderly end.
public enum Service {
  /// Why the process cannot start.
  public struct Failure: Error, CustomStringConvertible {
    /// What failed, where, and what would be right.
    public let description: String
  }

  /// How long a slow reader of the log may hold the end of the process, twice.
  private static let lastFlush: Nanoseconds = 5_000_000_000
  /// The share of the log's queue that is kept for alerts and the closing lines: one in so many.
  private static let logReserve = 8
  private static let tickInterval: Nanoseconds = 1_000_000_000

  /// Runs until SIGTERM or SIGINT, and until operations have finished then. SIGUSR1 reopens the log file, SIGHUP reads the
  /// configuration and the certificates again: `tls` is in force at once, for connections from then on, and all else needs a restart.
  /// - Parameters:
  ///   - version: the program's, for metrics.
  ///   - reread: reads the configuration again.
  ///   - sabotage: the lab's defect, never set by an operator.
  /// - Returns: the exit status: 0, or 1 where operations are left without an outcome.
  /// - Throws: `Failure` where the log, the metrics' port or a listener cannot be opened, or the certificates cannot be used.
  public static func run(
    _ configuration: Configuration, version: String, reread: @escaping () throws(ConfigurationFailure) -> Configuration,
    sabotage: ProxySettings.Sabotage? = nil
  ) throws(Failure) -> Int32 {
    do {
      return try start(
        configuration, ProcessFigures(version: version, node: configuration.node, cubefsRelease: configuration.cubefsRelease), reread,
        sabotage)
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(description: "\(error)")
    }
  }

  private static func start(
    _ configuration: Configuration, _ process: ProcessFigures, _ reread: @escaping () throws(ConfigurationFailure) -> Configuration,
    _ sabotage: ProxySettings.Sabotage?
  ) throws -> Int32 {
    try ProcessControls.ignoreSIGPIPE()
    _ = try ProcessControls.raiseDescriptorLimit()
    let reactor = try Reactor()
    // Before the log's thread starts, so that it does not take the signals.
    var onSignal: (Int32) -> Void = { _ in }
    let signals = try SignalWatcher(reactor, signals: [SIGTERM, SIGINT, SIGUSR1, SIGHUP]) { onSignal($0) }
    defer { signals.close() }

    let path = configuration.log.path
    let writer: LogWriter
    do {
      writer = try LogWriter(
        path == "-" ? .descriptor(STDOUT_FILENO) : .file(path), capacity: configuration.log.queue,
        reserve: configuration.log.queue / logReserve)
    } catch {
      throw Failure(description: "log.path \(path): \(error)")
    }
    var random = SystemRandomNumberGenerator()
    let operationProcess = random.next()
    let log = EventLog(
      writer: writer, node: configuration.node, process: operationProcess,
      level: LogLevel(rawValue: configuration.log.level.rawValue) ?? .info,
      priorities: path == "-" && JournalStream.leads(from: STDOUT_FILENO))
    let identity: Identity
    do {
      identity = try Identity(configuration, sink: log, now: reactor.now)
    } catch {
      _ = writer.close()
      throw error
    }
    let recorder: Recorder?
    do {
      recorder = try Recorder(configuration, process: operationProcess)
    } catch {
      _ = writer.close()
      throw error
    }
    let ticks = Ticker(reactor, every: tickInterval) {
      log.tick(now: $0)
      recorder?.recorder.tick(log)
      identity.keeper?.tick(now: $0)
    }
    defer { ticks.stop() }

    var settings = identity.settings
    settings.sabotage = sabotage
    settings.process = operationProcess
    do {
      try settings.upstream.tryOut()
    } catch {
      _ = writer.close()
      throw Failure(description: "outbound.mark or timeouts: \(error)")
    }
    let proxy = Proxy(
      reactor: reactor, settings: settings, sink: log, evidence: recorder?.recorder, random: { UInt64.random(in: 0...UInt64.max) })
    log.record(LaneEvent(.started))
    identity.keeper?.announce()
    let source = SnapshotSource(reactor: reactor, proxy: proxy, log: log, writer: writer, recorder: recorder)
    let metrics: MetricsPort?
    do {
      metrics = try MetricsPort.open(configuration.metrics, source, process)
    } catch {
      _ = writer.close()
      throw error
    }
    defer { metrics?.close() }
    proxy.startGate(configuration.gate.mode == .auto ? SocketDiagnostics.selfTest() : nil)
    do throws(Failure) {
      try listen(configuration, proxy)
    } catch {
      _ = writer.close()
      throw error
    }
    onSignal = { signal in
      if signal == SIGUSR1 { return writer.reopen() }
      if signal == SIGHUP {
        if identity.reread(now: reactor.now, reread) { proxy.apply(identity.settings) }
        return
      }
      guard !proxy.isDraining else { return }
      log.record(LaneEvent(.draining))
      proxy.drain { reactor.stop() }
    }
    try reactor.run()
    // Before the closing lines: what a last scrape was told and what they say are the same.
    metrics?.close()

    // Where lines waited for a slow reader, the last ones must not be those that find no room.
    _ = writer.flush(timeout: lastFlush)
    var event = LaneEvent(.accounting)
    let inbound = proxy.inboundAccounting
    event.accounting = inbound.map { proxy.accounting + $0 } ?? proxy.accounting
    event.inboundAccounting = inbound
    log.record(event)
    event = LaneEvent(.stopped)
    event.detail = "longest pause of the loop \(reactor.stalls.longest / 1_000) microseconds"
    log.record(event)
    recorder?.finish(log, timeout: lastFlush)
    log.finish()
    _ = writer.close(timeout: lastFlush)
    return proxy.accounting.unfinished == 0 && inbound?.unfinished ?? 0 == 0 ? 0 : 1
  }

  /// Opens every port of the data path.
  private static func listen(_ configuration: Configuration, _ proxy: Proxy) throws(Failure) {
    func open(_ key: String, _ endpoint: Endpoint, _ body: () throws(SystemFailure) -> Endpoint) throws(Failure) {
      do throws(SystemFailure) {
        _ = try body()
      } catch {
        throw Failure(description: "\(key): listen \(endpoint): \(error)")
      }
    }
    for listener in configuration.outbound.listeners {
      let route: Proxy.Route =
        switch listener.destination {
        case .original: .originalDestination
        case .peer(let endpoint): .peer(endpoint)
        }
      try open("outbound.listeners", listener.listen) { () throws(SystemFailure) in try proxy.listen(on: listener.listen, route: route) }
    }
    if let listen = configuration.inbound.listen, let datanode = configuration.inbound.datanode {
      let limits = InboundLimits(configuration.inbound)
      try open("inbound", listen) { () throws(SystemFailure) in
        try proxy.listenInbound(on: listen, datanode: datanode, limits: limits)
      }
    }
    for tunnel in configuration.tunnels {
      try open("tunnels", tunnel.listen) { () throws(SystemFailure) in
        try proxy.openTunnel(on: tunnel.listen, to: tunnel.peer, tls: tunnel.tls)
      }
    }
  }
}

/// Calls something again and again on a reactor's thread.
private final class Ticker {
  private var timer: ReactorTimer?

  init(_ reactor: Reactor, every interval: Nanoseconds, _ action: @escaping (Nanoseconds) -> Void) {
    timer = ReactorTimer(reactor) { [unowned self] in
      action(reactor.now)
      self.timer?.arm(at: reactor.now + interval)
    }
    timer?.arm(at: reactor.now + interval)
  }

  func stop() { timer?.disarm() }
}
