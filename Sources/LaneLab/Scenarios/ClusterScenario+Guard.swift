internal import NetEndpoint

extension ClusterScenario {
  /// Each datanode behind a sidecar of its own, which sees what the datanode asks and what it is asked.
  func runGuarded(
    _ plan: ClusterPlan, _ mode: LabGuardMode, _ report: inout LabReport, _ conflicts: inout SidecarLog.Conflicts
  ) throws -> ClusterOracle.Findings {
    let cluster = try Cluster(plan, seed: options.seed)
    let directory = try LabDirectory()
    let hosts = try HostSidecar.start(
      options.program, directory, before: cluster.endpoints, settings: "guard: {mode: \(mode.rawValue)}\n",
      sabotage: options.sabotage?.rawValue)
    cluster.routes = hosts.map(\.listeners)
    cluster.addresses = hosts.map(\.door)
    ClusterPass(cluster: cluster).run()
    for caller in cluster.callers { caller.pool.closeAll() }
    var end = LabReport(scenario: report.scenario, seed: report.seed, rounds: report.rounds)
    for host in hosts {
      let log = end.expectOrderlyEnd(of: host)
      end.judgeGate(log, options.sabotage)
      conflicts = conflicts + log.conflicts
    }
    cluster.stop()
    end.complaints += cluster.datanodes.flatMap(\.ledger.violations)
    report.complaints += end.complaints
    if end.ok {
      directory.remove()
    } else {
      report.notes += end.notes + ["the sidecars' configurations and logs are in \(directory.path)"]
    }
    return cluster.oracle.findings
  }
}

extension LabReport {
  /// What deletes did to repairs, and what the sidecars saw of it.
  mutating func show(_ direct: ClusterOracle.Findings, _ sidecar: ClusterOracle.Findings, _ conflicts: SidecarLog.Conflicts) {
    func row(_ name: String, _ key: String, direct: Int = 0, _ sidecar: Int) {
      comparisons.append(Comparison(name: name, key: key, direct: direct, sidecar: sidecar))
    }
    row("repairs aborted by a delete", "abortedRepairs", direct: direct.abortedRepairs, sidecar.abortedRepairs)
    row("conflicts seen", "conflicts", conflicts.seen)
    row("operations held", "held", conflicts.held)
    row("held, ms in all", "heldMilliseconds", Int(clamping: conflicts.heldMicroseconds / 1_000))
    row("held to the limit", "atLimit", conflicts.atLimit)
    let reasons = conflicts.reasons.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    notes.append("conflicts seen by the sidecars: \(reasons.isEmpty ? "none" : reasons)")
    if let line = conflicts.limitExample { notes.append("held to the limit, for example: \(line)") }
  }

  /// What must hold of the guard. Ghosts and aborted repairs are no failure unless it serialises: they show what it is for.
  mutating func judge(_ mode: LabGuardMode, _ sidecar: ClusterOracle.Findings, _ conflicts: SidecarLog.Conflicts) {
    let (ghosts, aborted) = (sidecar.ghosts, sidecar.abortedRepairs)
    switch mode {
    case .off:
      expect(ghosts > 0, "with the guard off no deleted extent was created again: the scenario tests nothing")
      expect(aborted > 0, "with the guard off no repair was aborted by a delete: the scenario tests nothing")
      expect(conflicts.seen == 0, "with the guard off \(conflicts.seen) conflicts were told of")
    case .detect:
      expect(conflicts.seen > 0, "the guard detected no conflict")
      expect(
        conflicts.held + conflicts.atLimit == 0,
        "the guard is to detect, and held \(conflicts.held + conflicts.atLimit) operations")
    case .serialize:
      expect(conflicts.held > 0, "the guard held no operation")
      let limit = conflicts.atLimit == 0 ? "" : ", and \(conflicts.atLimit) operations were held to the limit"
      expect(ghosts == 0, "with the guard \(ghosts) deleted extents were created again\(limit)")
      expect(aborted == 0, "with the guard \(aborted) repairs were aborted by a delete\(limit)")
    }
  }
}
