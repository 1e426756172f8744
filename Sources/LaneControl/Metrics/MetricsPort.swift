internal import LaneAdmin
internal import LaneCore
internal import LaneTelemetry
internal import LinuxIO
internal import NetEndpoint

/// The HTTP port for Prometheus and for whoever watches the process.
///
/// Snapshots are made when somebody asks, by a message to the reactor: nothing is spent on figures that nobody reads, and an
/// answer proves that the reactor's loop turns, which a figure kept up to date elsewhere would not.
struct MetricsPort {
  private let server: AdminServer<ServiceSnapshot>

  /// Listens from now on, and says so in the log; pages are answered once the reactor runs.
  /// - Returns: nil where no port is configured.
  static func open(
    _ configuration: Configuration.Metrics, _ source: SnapshotSource, _ process: ProcessFigures
  ) throws(Service.Failure) -> MetricsPort? {
    guard let listen = configuration.listen else { return nil }
    let needed = AdminServer<ServiceSnapshot>.descriptorsAtStart
    do throws(SystemFailure) {
      try ProcessControls.probeDescriptors(needed)
    } catch {
      throw Service.Failure(description: "metrics.listen \(listen): needs \(needed) descriptors more: \(error)")
    }
    do throws(SystemFailure) {
      let port = try MetricsPort(on: listen, source, process)
      var event = LaneEvent(.metricsOpened)
      event.detail = "\(port.server.endpoint)"
      source.log.record(event)
      return port
    } catch {
      throw Service.Failure(description: "metrics.listen \(listen): \(error)")
    }
  }

  private init(on endpoint: Endpoint, _ source: SnapshotSource, _ process: ProcessFigures) throws(SystemFailure) {
    let mailbox = source.reactor.mailbox
    let pages = [
      AdminPage<ServiceSnapshot>(path: "/metrics", contentType: PrometheusText.contentType) { snapshot in
        guard let snapshot else { return .init(isAvailable: false, body: Self.lines(Readiness.reasons(nil))) }
        return .init(body: MetricsText.make(snapshot, process))
      },
      AdminPage<ServiceSnapshot>(path: "/readyz", contentType: "text/plain; charset=utf-8") { snapshot in
        let reasons = Readiness.reasons(snapshot)
        return .init(isAvailable: reasons.isEmpty, body: Self.lines((reasons.isEmpty ? ["ok"] : reasons) + Readiness.remarks(snapshot)))
      },
      AdminPage<ServiceSnapshot>(path: "/holds", contentType: "application/x-ndjson") { snapshot in
        guard let snapshot else { return .init(isAvailable: false, body: Self.lines(Readiness.reasons(nil))) }
        return .init(body: HoldsText.make(snapshot.status))
      },
    ]
    do {
      server = try AdminServer(on: endpoint, pages: pages) { answer in mailbox.post { _ in answer(source.snapshot()) } }
    } catch {
      throw SystemFailure(.bind, error.errno)
    }
  }

  /// Closes the listener and every connection.
  func close() { server.close() }

  private static func lines(_ lines: [String]) -> [UInt8] { lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] } }
}
