internal import NetEndpoint

/// A world with the sidecar in front of it, for the length of a scenario.
struct SidecarRun {
  let world: LabWorld
  let sidecar: SidecarProcess
  var routes: [Endpoint] { sidecar.listeners }

  init(_ options: LabOptions) throws {
    world = try LabWorld(seed: options.seed)
    sidecar = try SidecarProcess(options, peers: world.endpoints)
    try sidecar.waitUntilReady()
  }

  /// Stops the sidecar, holds its own account and what the datanodes saw against the rules, and gives its log.
  /// - Parameter judge: what else the log is held against, before its files go.
  func finish(_ report: inout LabReport, judge: (inout LabReport, SidecarLog) -> Void = { _, _ in }) {
    let log = report.expectOrderlyEnd(of: sidecar)
    world.stop()
    for violation in world.violations { report.complaints.append(violation) }
    judge(&report, log)
    if report.ok { sidecar.removeFiles() } else { report.notes.append("the sidecar's configuration and log are in \(sidecar.files)") }
  }
}

extension LabReport {
  /// Counts every injection once: what the log says of it, and what it did to a caller.
  mutating func tally(_ script: FaultScript, _ findings: Oracle.Findings, _ log: SidecarLog) {
    // One operation may meet two faults: its own, and one of the connection it is sent on.
    var acceptable: [UInt64: Set<String>] = [:]
    for injection in script.injections {
      for partition in injection.partitions { acceptable[partition, default: []].formUnion(injection.kind.reasons) }
    }
    let baseless = log.alerts.filter { alert in alert.partition.map { acceptable[$0] == nil } ?? true }
    // A stray may be met by the next operation on its connection, whose PartitionID is then the one in the log.
    let strays = baseless.filter { alert in alert.reason.map { FaultKind.duplicate.reasons.contains($0) } ?? false }
    let possible = script.injections.count { $0.kind == .duplicate || $0.kind == .replyWithoutRequest }
    expect(
      baseless.count == strays.count && strays.count <= possible,
      "\(baseless.count) alerts have no fault behind them, the first: \(baseless.first?.line ?? "")")
    for injection in script.injections {
      let wrong = injection.partitions.contains { findings.wrongOperations[$0] != nil }
      let failed = injection.operation.map { findings.failedOperations.contains($0) } ?? false
      let reported = injection.partitions.contains { !(log.reasons[$0] ?? []).isDisjoint(with: acceptable[$0] ?? []) }
      // An operation may have failed through a stray of another before it on the connection, and its own fault was never looked at.
      let isVictim = failed && injection.partitions.contains { !(log.reasons[$0] ?? []).isDisjoint(with: FaultKind.duplicate.reasons) }
      let detected =
        !wrong && (injection.kind.isHarmless ? !failed || isVictim : reported || isVictim || !injection.kind.mustBeReported)
      faults[injection.kind, default: .init()].injected += 1
      faults[injection.kind, default: .init()].delivered += wrong ? 1 : 0
      faults[injection.kind, default: .init()].reported += reported ? 1 : 0
      faults[injection.kind, default: .init()].detected += detected ? 1 : 0
      if !detected && !wrong {
        let seen = injection.partitions.compactMap { log.reasons[$0] }.flatMap { $0 }.sorted().joined(separator: ", ")
        let operation = injection.operation.map { "\($0)" } ?? "none"
        complaints.append(
          "\(injection.kind.rawValue) at partition \(operation) was not detected (the log says: \(seen.isEmpty ? "nothing" : seen)\(injection.kind.isHarmless && failed ? ", and the operation failed" : ""))"
        )
      }
    }
  }
}
