import CubeFSWire
import LaneCore
import LaneProxy
import LaneTelemetry
import LinuxIO
import NetEndpoint
import Testing

@testable import LaneControl

@Suite struct MetricsTests {
  private func snapshot() throws -> ServiceSnapshot {
    ServiceSnapshot(
      status: ProxyStatus(), accounting: Accounting(), gate: GateStatistics(), events: EventCounts(), folded: 0, log: LogWriter.Counters(),
      stalls: try Reactor().stalls)
  }

  private func lines(_ snapshot: ServiceSnapshot) -> [String] {
    let text = MetricsText.make(snapshot, ProcessFigures(version: "1.2.3", node: "n", cubefsRelease: .v3_5_3))
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// With every event, reason and class there is.
  @Test func eachSeriesAppearsOnceAndBelowItsOwnFamily() throws {
    var snapshot = try snapshot()
    for name in LaneEvent.Name.allCases {
      for reason in Reason.allCases.map(Optional.some) + [nil] {
        for operationClass in OperationClass.allCases.map(Optional.some) + [nil] {
          var event = LaneEvent(name, reason: reason)
          event.operationClass = operationClass
          snapshot.events.count(event)
        }
      }
    }
    var seen: Set<String> = []
    var families: Set<String> = []
    var family = ""
    for line in lines(snapshot) {
      if line.hasPrefix("# HELP ") {
        family = String(line.split(separator: " ")[2])
        #expect(families.insert(family).inserted, "\(family) twice")
        continue
      }
      if line.hasPrefix("# TYPE ") {
        #expect(line.split(separator: " ")[2] == family)
        continue
      }
      let series = String(line.prefix(upTo: line.lastIndex(of: " ") ?? line.startIndex))
      #expect(seen.insert(series).inserted, "\(series) twice")
      let name = series.prefix { $0 != "{" }
      #expect(name == family || ["_bucket", "_sum", "_count"].contains { name == family + $0 }, "\(series) below \(family)")
    }
    #expect(families.count > 20)
    let combinations = (LaneEvent.Name.allCases.count - 1) * (Reason.allCases.count + 1) * (OperationClass.allCases.count + 1)
    #expect(seen.count { $0.hasPrefix("lanekeeper_events_total{") } == combinations)
  }

  @Test func eventsAndAlertsAreCountedByWhatTheyAre() throws {
    var snapshot = try snapshot()
    var dropped = LaneEvent(.replyDropped, reason: .stampUnknown)
    dropped.operationClass = .repairStream
    for _ in 0..<3 { snapshot.events.count(dropped) }
    snapshot.events.count(LaneEvent(.replyDropped, reason: .payloadCRC))
    snapshot.events.count(LaneEvent(.operationFailed, reason: .queueFull))
    snapshot.events.count(LaneEvent(.operationFailed, reason: .deadline))
    snapshot.events.count(LaneEvent(.operationFinished))
    let lines = lines(snapshot)
    for expected in [
      #"lanekeeper_events_total{event="reply.dropped",reason="stamp-unknown",class="repair-stream",direction="outbound"} 3"#,
      #"lanekeeper_events_total{event="reply.dropped",reason="payload-crc",class="",direction="outbound"} 1"#,
      #"lanekeeper_events_total{event="operation.failed",reason="deadline",class="",direction="outbound"} 1"#,
      #"lanekeeper_alerts_total{event="reply.dropped",severity="critical"} 4"#,
      #"lanekeeper_alerts_total{event="operation.failed",severity="warning"} 1"#,
      // Before the first of its kind, too: a rate needs the zero.
      #"lanekeeper_alerts_total{event="caller.dirty-reuse",severity="critical"} 0"#,
      #"lanekeeper_build_info{version="1.2.3",node="n",cubefs_release="3.5.3"} 1"#,
    ] { #expect(lines.contains(expected), "\(expected)") }
    #expect(!lines.contains { $0.contains("operation.finished\"") })
  }

  @Test func figuresArriveInTheirPlaces() throws {
    var snapshot = try snapshot()
    snapshot.accounting.begin(.deletion)
    snapshot.accounting.begin(.deletion)
    snapshot.accounting.end(.deletion, .abandoned)
    snapshot.status.callers = 17
    snapshot.status.lanes[.read] = ProxyStatus.Lanes(leased: 1, dialling: 2, idle: 3, waiting: 4)
    snapshot.log = LogWriter.Counters(taken: 5, dropped: 6, failed: 7)
    snapshot.folded = 8
    snapshot.gate.asked(.counters)
    snapshot.gate.asked(.look)
    snapshot.gate.asked(.look)
    snapshot.gate.slowQueries = 9
    snapshot.gate.releases = 10
    snapshot.gate.cancellations = 11
    snapshot.gate.slowStreams = 12
    snapshot.gate.reset(.dirtyReuse)
    snapshot.gate.blind(.sockmap)
    for _ in 0..<3 { snapshot.gate.waitBegan() }
    snapshot.gate.waitEnded(after: 60_000)
    let lines = lines(snapshot)
    for expected in [
      #"lanekeeper_operations_started_total{class="deletion",direction="outbound"} 2"#,
      #"lanekeeper_operations_ended_total{class="deletion",outcome="abandoned",direction="outbound"} 1"#,
      "lanekeeper_caller_connections 17",
      #"lanekeeper_upstream_connections{class="read",state="leased"} 1"#,
      #"lanekeeper_upstream_connections{class="read",state="dialling"} 2"#,
      #"lanekeeper_upstream_connections{class="read",state="idle"} 3"#,
      #"lanekeeper_lane_waiting_callers{class="read"} 4"#,
      #"lanekeeper_log_lines_total{result="taken"} 5"#,
      #"lanekeeper_log_lines_total{result="dropped"} 6"#,
      #"lanekeeper_log_lines_total{result="failed"} 7"#,
      "lanekeeper_log_events_folded_total 8",
      #"lanekeeper_gate_queries_total{counters="with"} 1"#,
      #"lanekeeper_gate_queries_total{counters="without"} 2"#,
      "lanekeeper_gate_slow_queries_total 9",
      "lanekeeper_gate_releases_total 10",
      "lanekeeper_gate_cancellations_total 11",
      "lanekeeper_gate_slow_streams_total 12",
      #"lanekeeper_gate_resets_total{reason="dirty-reuse"} 1"#,
      #"lanekeeper_gate_blind_callers_total{reason="sockmap"} 1"#,
      "lanekeeper_gate_waiting_replies 2",
      #"lanekeeper_gate_wait_seconds_bucket{le="5e-05"} 0"#,
      #"lanekeeper_gate_wait_seconds_bucket{le="0.0001"} 1"#,
      #"lanekeeper_gate_wait_seconds_bucket{le="+Inf"} 1"#,
      "lanekeeper_gate_wait_seconds_sum 6e-05",
    ] { #expect(lines.contains(expected), "\(expected)") }
  }

  @Test func inboundAndTunnelsHaveFiguresWhereTheyAre() throws {
    var snapshot = try snapshot()
    #expect(!lines(snapshot).contains { $0.contains("inbound") || $0.contains("tunnel_") })
    var inbound = Accounting()
    inbound.begin(.read)
    inbound.end(.read, .delivered)
    snapshot.inboundAccounting = inbound
    snapshot.status.inbound = 21
    var tunnel = ProxyStatus.Tunnel(listen: Endpoint(address: 0, port: 5), peer: Endpoint(address: 0x0A00_0001, port: 6))
    (tunnel.connections, tunnel.opened, tunnel.bytesToPeer, tunnel.bytesFromPeer) = (1, 2, 3, 4)
    snapshot.status.tunnels = [tunnel]
    var dropped = LaneEvent(.replyDropped, reason: .payloadCRC)
    dropped.direction = .inbound
    snapshot.events.count(dropped)
    snapshot.events.count(LaneEvent(.replyDropped, reason: .payloadCRC))
    let lines = lines(snapshot)
    for expected in [
      #"lanekeeper_operations_started_total{class="read",direction="inbound"} 1"#,
      #"lanekeeper_operations_started_total{class="read",direction="outbound"} 0"#,
      #"lanekeeper_operations_ended_total{class="read",outcome="delivered",direction="inbound"} 1"#,
      "lanekeeper_inbound_connections 21",
      #"lanekeeper_tunnel_connections{listen="0.0.0.0:5",peer="10.0.0.1:6"} 1"#,
      #"lanekeeper_tunnel_connections_opened_total{listen="0.0.0.0:5",peer="10.0.0.1:6"} 2"#,
      #"lanekeeper_tunnel_bytes_total{listen="0.0.0.0:5",peer="10.0.0.1:6",toward="peer"} 3"#,
      #"lanekeeper_tunnel_bytes_total{listen="0.0.0.0:5",peer="10.0.0.1:6",toward="caller"} 4"#,
      #"lanekeeper_events_total{event="reply.dropped",reason="payload-crc",class="",direction="inbound"} 1"#,
      #"lanekeeper_events_total{event="reply.dropped",reason="payload-crc",class="",direction="outbound"} 1"#,
      #"lanekeeper_alerts_total{event="reply.dropped",severity="critical"} 2"#,
    ] { #expect(lines.contains(expected), "\(expected)") }
  }

  @Test func readinessNamesEachReason() throws {
    var snapshot = try snapshot()
    #expect(Readiness.reasons(snapshot) == [])
    #expect(Readiness.reasons(nil) == ["reactor does not answer within 1 s"])
    snapshot.status.isDraining = true
    snapshot.status.notAccepting = [Endpoint(address: 0x7F00_0001, port: 15310)]
    snapshot.unreadiness = ["TLS certificate has expired"]
    #expect(Readiness.reasons(snapshot) == ["draining", "listener 127.0.0.1:15310 is not accepting", "TLS certificate has expired"])
  }
}
