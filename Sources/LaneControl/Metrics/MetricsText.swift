internal import LaneCore
internal import LaneProxy
internal import LaneTelemetry
internal import LinuxIO

/// `/metrics`: every figure, with what it means. Labels come from closed sets of the program's, so that their number is bounded.
enum MetricsText {
  static func make(_ snapshot: ServiceSnapshot, _ process: ProcessFigures) -> [UInt8] {
    var text = PrometheusText()
    writeProcess(process, &text)
    writeEvents(snapshot.events, &text)
    writeOperations([("outbound", snapshot.accounting)] + (snapshot.inboundAccounting.map { [("inbound", $0)] } ?? []), &text)
    writeConnections(snapshot, &text)
    writeTunnels(snapshot.status.tunnels, &text)
    if let tls = snapshot.status.tls { writeTLS(tls, &text) }
    writeGate(snapshot.gate, &text)
    if let conflicts = snapshot.status.conflicts { writeConflicts(conflicts, &text) }
    writeLog(snapshot, &text)
    if let evidence = snapshot.evidence { writeEvidence(evidence, &text) }
    writeReactor(snapshot.stalls, &text)
    return text.text
  }

  private static func writeProcess(_ process: ProcessFigures, _ text: inout PrometheusText) {
    text.family(
      "lanekeeper_build_info", .gauge, "Always 1: the program's version, the node's name, and the cubefsRelease it is configured for.")
    text.sample(("version", process.version), ("node", process.node), ("cubefs_release", process.cubefsRelease), value: 1 as UInt64)
    text.family("process_start_time_seconds", .gauge, "When the process started, seconds since 1970.")
    text.sample(value: Double(process.startedAt) / 1e9)
    if let seconds = process.cpuSeconds {
      text.family("process_cpu_seconds_total", .counter, "User and system time of the process.")
      text.sample(value: seconds)
    }
    if let bytes = process.residentBytes {
      text.family("process_resident_memory_bytes", .gauge, "Resident memory of the process, shared pages included.")
      text.sample(value: bytes)
    }
  }

  private static func writeEvents(_ events: EventCounts, _ text: inout PrometheusText) {
    text.family(
      "lanekeeper_events_total", .counter,
      "Events as in the log, whether they got a line or not; operation.finished is in lanekeeper_operations_ended_total instead.")
    let counted = events.counts.filter { $0.key.name != .operationFinished }
    for (kind, count) in counted.sorted(by: { $0.key < $1.key }) {
      text.sample(
        ("event", kind.name.rawValue), ("reason", kind.reason?.rawValue ?? ""), ("class", kind.operationClass?.name ?? ""),
        ("direction", kind.direction.rawValue), value: count)
    }
    text.family("lanekeeper_alerts_total", .counter, "Events that an operator should look at: warning by day, critical at once.")
    for (alert, count) in alerts(counted) {
      text.sample(("event", alert.name.rawValue), ("severity", alert.severity.rawValue), value: count)
    }
  }

  private struct Alert: Hashable {
    var name: LaneEvent.Name
    var severity: LaneEvent.Severity
  }

  /// Each alert there is, also those that have not happened: a rate needs the zero before the first.
  private static func alerts(_ counts: [EventCounts.Kind: UInt64]) -> [(Alert, UInt64)] {
    var order: [Alert] = []
    for name in LaneEvent.Name.allCases {
      for reason in [nil] + Reason.allCases {
        guard let severity = LaneEvent(name, reason: reason).severity else { continue }
        let alert = Alert(name: name, severity: severity)
        if !order.contains(alert) { order.append(alert) }
      }
    }
    var sums: [Alert: UInt64] = [:]
    for (kind, count) in counts {
      guard let severity = LaneEvent(kind.name, reason: kind.reason).severity else { continue }
      sums[Alert(name: kind.name, severity: severity), default: 0] &+= count
    }
    return order.map { ($0, sums[$0] ?? 0) }
  }

  private static func writeOperations(_ directions: [(String, Accounting)], _ text: inout PrometheusText) {
    text.family("lanekeeper_operations_started_total", .counter, "Operations begun.")
    for (direction, accounting) in directions {
      for operationClass in OperationClass.allCases {
        text.sample(("class", operationClass.name), ("direction", direction), value: accounting.started(operationClass))
      }
    }
    text.family(
      "lanekeeper_operations_ended_total", .counter, "Operations ended, each with one outcome; those begun and not ended are in flight.")
    for (direction, accounting) in directions {
      for operationClass in OperationClass.allCases {
        for outcome in Outcome.allCases {
          text.sample(
            ("class", operationClass.name), ("outcome", outcome.name), ("direction", direction),
            value: accounting.ended(operationClass, outcome))
        }
      }
    }
  }

  private static func writeConnections(_ snapshot: ServiceSnapshot, _ text: inout PrometheusText) {
    let status = snapshot.status
    text.family("lanekeeper_caller_connections", .gauge, "Connections of callers.")
    text.sample(value: count(status.callers))
    if let inbound = status.inbound {
      text.family(
        "lanekeeper_inbound_connections", .gauge, "Connections of peers and clients, each paired with one to the local datanode.")
      text.sample(value: count(inbound))
    }
    text.family("lanekeeper_peers", .gauge, "Peers asked for within the last minute, or with connections.")
    text.sample(value: count(status.peers))
    text.family("lanekeeper_upstream_connections", .gauge, "Connections to peers.")
    for operationClass in OperationClass.allCases {
      guard let lanes = status.lanes[operationClass] else { continue }
      for (state, number) in [("leased", lanes.leased), ("dialling", lanes.dialling), ("idle", lanes.idle)] {
        text.sample(("class", operationClass.name), ("state", state), value: count(number))
      }
    }
    text.family("lanekeeper_lane_waiting_callers", .gauge, "Callers that wait for a connection to a peer.")
    for operationClass in OperationClass.allCases {
      text.sample(("class", operationClass.name), value: count(status.lanes[operationClass]?.waiting ?? 0))
    }
  }

  private static func writeTunnels(_ tunnels: [ProxyStatus.Tunnel], _ text: inout PrometheusText) {
    guard !tunnels.isEmpty else { return }
    text.family("lanekeeper_tunnel_connections", .gauge, "Connections through a tunnel.")
    for tunnel in tunnels { text.sample(("listen", "\(tunnel.listen)"), ("peer", "\(tunnel.peer)"), value: count(tunnel.connections)) }
    text.family("lanekeeper_tunnel_connections_opened_total", .counter, "Connections through a tunnel since the start.")
    for tunnel in tunnels { text.sample(("listen", "\(tunnel.listen)"), ("peer", "\(tunnel.peer)"), value: tunnel.opened) }
    text.family("lanekeeper_tunnel_bytes_total", .counter, "Bytes passed on through a tunnel.")
    for tunnel in tunnels {
      for (toward, bytes) in [("peer", tunnel.bytesToPeer), ("caller", tunnel.bytesFromPeer)] {
        text.sample(("listen", "\(tunnel.listen)"), ("peer", "\(tunnel.peer)"), ("toward", toward), value: bytes)
      }
    }
  }

  private static func writeTLS(_ tls: ProxyStatus.TLS, _ text: inout PrometheusText) {
    let directions = [
      ("outbound", tls.statistics.outbound), ("inbound", tls.statistics.inbound), ("tunnel", tls.statistics.tunnel),
    ]
    text.family("lanekeeper_tls_connections_total", .counter, "Connections opened, by whether they speak TLS.")
    for (direction, counts) in directions {
      text.sample(("direction", direction), ("protocol", "tls"), value: counts.secured)
      text.sample(("direction", direction), ("protocol", "plain"), value: counts.plain)
    }
    text.family(
      "lanekeeper_tls_refused_total", .counter, "Handshakes refused by either end, and connections that should have spoken TLS.")
    for (direction, counts) in directions { text.sample(("direction", direction), value: counts.refused) }
    text.family("lanekeeper_tls_handshakes", .gauge, "Handshakes of accepted connections now.")
    text.sample(value: count(tls.handshakes))
    text.family(
      "lanekeeper_tls_plain_addresses", .gauge, "Hosts that speak plain where TLS may be spoken; /readyz names them.")
    text.sample(("direction", "outbound"), value: count(tls.plainPeers.count))
    text.sample(("direction", "inbound"), value: count(tls.plainSources.count))
    text.family(
      "lanekeeper_tls_certificate_expiry_seconds", .gauge, "When the certificate in force ends, seconds since 1970.")
    text.sample(value: Double(tls.certificate.notAfter))
    text.family(
      "lanekeeper_tls_first_expiry_seconds", .gauge, "When the first of the certificate, its chain and the CAs ends, seconds since 1970.")
    text.sample(value: Double(tls.firstExpiry))
  }

  private static func writeGate(_ gate: GateStatistics, _ text: inout PrometheusText) {
    text.family("lanekeeper_gate_queries_total", .counter, "Looks at callers' sockets; those with counters take the socket's lock.")
    text.sample(("counters", "with"), value: gate.queriesWithCounters)
    text.sample(("counters", "without"), value: gate.queriesWithoutCounters)
    text.family("lanekeeper_gate_slow_queries_total", .counter, "Looks that waited for a caller's socket lock.")
    text.sample(value: gate.slowQueries)
    text.family("lanekeeper_gate_releases_total", .counter, "Replies completed after their caller was seen to read them.")
    text.sample(value: gate.releases)
    text.family("lanekeeper_gate_cancellations_total", .counter, "Operations given up for a newer request; the caller had nothing of them.")
    text.sample(value: gate.cancellations)
    text.family("lanekeeper_gate_resets_total", .counter, "Callers' connections reset by the delivery gate.")
    for reason in DeliveryGate.ResetReason.allCases { text.sample(("reason", reason.rawValue), value: gate.resets[reason] ?? 0) }
    text.family(
      "lanekeeper_gate_blind_callers_total", .counter, "Callers' connections whose replies are not gated: the socket cannot be watched.")
    for reason in DeliveryGate.Blindness.allCases { text.sample(("reason", reason.rawValue), value: gate.blindCallers[reason] ?? 0) }
    text.family("lanekeeper_gate_slow_streams_total", .counter, "Replies that their caller has left unread for a long time.")
    text.sample(value: gate.slowStreams)
    text.family("lanekeeper_gate_waiting_replies", .gauge, "Replies withheld now.")
    text.sample(value: count(gate.waiting))
    text.family("lanekeeper_gate_wait_seconds", .histogram, "How long a reply's last bytes were withheld.")
    text.histogram(bounds: WaitHistogram.bounds, counts: gate.waits.buckets, sum: gate.waits.sum)
  }

  private static func writeConflicts(_ conflicts: ProxyStatus.Conflicts, _ text: inout PrometheusText) {
    text.family("lanekeeper_guard_operations", .gauge, "Operations that the conflict guard keeps in mind.")
    text.sample(value: count(conflicts.operations))
    text.family("lanekeeper_guard_held_operations", .gauge, "Operations held for others on their extents; /holds names them.")
    text.sample(value: count(conflicts.holds.count))
    text.family("lanekeeper_guard_hold_seconds", .histogram, "How long operations were held, until they went on or were given up.")
    text.histogram(bounds: WaitHistogram.bounds, counts: conflicts.waits.buckets, sum: conflicts.waits.sum)
  }

  private static func writeLog(_ snapshot: ServiceSnapshot, _ text: inout PrometheusText) {
    text.family(
      "lanekeeper_log_lines_total", .counter, "Lines for the log: taken into its queue, dropped because it was full, failed to be written.")
    text.sample(("result", "taken"), value: snapshot.log.taken)
    text.sample(("result", "dropped"), value: snapshot.log.dropped)
    text.sample(("result", "failed"), value: snapshot.log.failed)
    text.family("lanekeeper_log_events_folded_total", .counter, "Events that share a line with others like them.")
    text.sample(value: snapshot.folded)
  }

  private static func writeEvidence(_ figures: RecorderFigures, _ text: inout PrometheusText) {
    text.family(
      "lanekeeper_evidence_files_total", .counter,
      "Files of the flight recorder: written, failed to be written, skipped because there were too many at once, removed to keep the bounds."
    )
    text.sample(("result", "written"), value: figures.files.written)
    text.sample(("result", "failed"), value: figures.files.failed)
    text.sample(("result", "skipped"), value: figures.skipped)
    text.sample(("result", "removed"), value: figures.files.removed)
    text.family("lanekeeper_evidence_failing", .gauge, "1 while the last attempt to write into recorder.directory failed.")
    text.sample(value: figures.isFailing ? 1 as UInt64 : 0)
  }

  /// `StallHistogram`'s bucket n ends at 2^n µs; the last one has no end.
  private static func writeReactor(_ stalls: StallHistogram, _ text: inout PrometheusText) {
    text.family(
      "lanekeeper_reactor_stall_seconds", .histogram, "How long each turn of the data path's loop took: nobody else was served meanwhile.")
    let bounds = (0..<max(0, stalls.buckets.count - 1)).map { UInt64(1_000) << UInt64($0) }
    text.histogram(bounds: bounds, counts: stalls.buckets, sum: stalls.sum)
  }

  private static func count(_ number: Int) -> UInt64 { UInt64(max(0, number)) }
}

extension EventCounts.Kind {
  /// By name, reason, class and direction, so that two scrapes of one process list the same series in the same order.
  fileprivate static func < (left: Self, right: Self) -> Bool {
    (left.name.rawValue, left.reason?.rawValue ?? "", left.operationClass?.rawValue ?? 0, left.direction.rawValue)
      < (right.name.rawValue, right.reason?.rawValue ?? "", right.operationClass?.rawValue ?? 0, right.direction.rawValue)
  }
}
