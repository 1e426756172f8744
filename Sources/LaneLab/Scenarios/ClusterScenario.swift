internal import CubeFSWire

/// Four datanodes that repair each other's partitions, directly connected and through the sidecar, in two columns.
struct ClusterScenario {
  /// Clusters of each release in a round.
  private static let clustersPerRound = 3
  private static let releases: [CubeFSRelease] = [.v3_3_0, .v3_5_3]

  let options: LabOptions
  let story: ClusterPlan.Story
  let progress: @Sendable (String) -> Void

  /// Whose callers leave streams in this story.
  private var releases: [CubeFSRelease] { story == .detached ? [.v3_5_3] : Self.releases }

  func run(_ report: inout LabReport) throws {
    var direct = ClusterOracle.Findings()
    var sidecar = ClusterOracle.Findings()
    var conflicts = SidecarLog.Conflicts()
    var victims = 0
    var stale: [CubeFSRelease: (direct: Int, sidecar: Int)] = [:]
    let count = options.rounds * Self.clustersPerRound
    let passage = options.guardMode == nil ? "the sidecar" : "the sidecars"
    for number in 0..<count {
      for release in releases {
        let plan = ClusterPlan(story, release: release, seed: options.seed, number: number)
        victims += plan.troubles.keys.count { plan.isVictim($0) }
        progress("cluster \(number + 1) of \(count), datanodes of \(release.rawValue), directly connected")
        let without = try runDirect(plan)
        progress("cluster \(number + 1) of \(count), datanodes of \(release.rawValue), through \(passage)")
        let with = try runThroughSidecar(plan, &report, &conflicts)
        stale[release, default: (0, 0)].direct += without.staleAccepted
        stale[release, default: (0, 0)].sidecar += with.staleAccepted
        direct = direct + without
        sidecar = sidecar + with
      }
    }
    for release in releases {
      let (direct, sidecar) = stale[release] ?? (0, 0)
      report.notes.append("callers of \(release.rawValue): \(direct) stale replies accepted directly, \(sidecar) through the sidecar")
    }
    report.show(direct, sidecar)
    report.judge(direct, sidecar, victims: victims)
    if let mode = options.guardMode {
      report.show(direct, sidecar, conflicts)
      report.judge(mode, sidecar, conflicts)
    }
  }

  private func runDirect(_ plan: ClusterPlan) throws -> ClusterOracle.Findings {
    let cluster = try Cluster(plan, seed: options.seed)
    ClusterPass(cluster: cluster).run()
    cluster.stop()
    return cluster.oracle.findings
  }

  private func runThroughSidecar(
    _ plan: ClusterPlan, _ report: inout LabReport, _ conflicts: inout SidecarLog.Conflicts
  ) throws -> ClusterOracle.Findings {
    if let mode = options.guardMode { return try runGuarded(plan, mode, &report, &conflicts) }
    if !options.hosts.isEmpty { return try runOnHosts(plan, &report) }
    let cluster = try Cluster(plan, seed: options.seed)
    let sidecar = try SidecarProcess(options, peers: cluster.endpoints)
    try sidecar.waitUntilReady()
    cluster.routes = Array(repeating: sidecar.listeners, count: ClusterPlan.nodeCount)
    ClusterPass(cluster: cluster).run()
    for caller in cluster.callers { caller.pool.closeAll() }
    report.judgeEnd(of: sidecar, peers: cluster.datanodes, options) { _, _ in }
    cluster.stop()
    return cluster.oracle.findings
  }
}

extension ClusterScenario {
  /// Each datanode on a host of its own, whose sidecar somebody else has started and will judge.
  private func runOnHosts(_ plan: ClusterPlan, _ report: inout LabReport) throws -> ClusterOracle.Findings {
    let cluster = try Cluster(plan, seed: options.seed, hosts: options.hosts)
    ClusterPass(cluster: cluster).run()
    cluster.stop()
    report.complaints += cluster.datanodes.flatMap(\.ledger.violations)
    return cluster.oracle.findings
  }
}

extension LabReport {
  /// The two columns.
  mutating func show(_ direct: ClusterOracle.Findings, _ sidecar: ClusterOracle.Findings) {
    func row(_ name: String, _ key: String, _ value: (ClusterOracle.Findings) -> Int) {
      comparisons.append(Comparison(name: name, key: key, direct: value(direct), sidecar: value(sidecar)))
    }
    // A delete has a connection of its own, so that row is nothing but zeros.
    for site in BelievingSite.allCases where site != .deletion {
      row("stale replies accepted: \(site.name)", site.key) { $0.stale[site] ?? 0 }
    }
    row("replies that failed to parse", "unparsed") { $0.unparsed.values.reduce(0, +) }
    row("replies that a repairer refused", "refused") { $0.refused }
    row("streams abandoned", "streamsAbandoned") { $0.leftBehind }
    row("repairs completed", "repairsCompleted") { $0.repairsCompleted }
    row("extents wrong at the end", "extentsWrong") { $0.extentsWrong }
    row("raft started too early, on a stale size", "earlyStarts") { $0.earlyStarts }
    row("deletes done", "deletesDone") { $0.deletesDone }
    row("deleted extents created again, empty", "ghosts") { $0.ghosts }
    row("retries", "retries") { $0.retries }
    row("resets", "resets") { $0.resets }
    for kind in LabClass.allCases {
      guard let before = direct.microseconds[kind], let after = sidecar.microseconds[kind] else { continue }
      latency[kind] = (Latency(before), Latency(after))
    }
    operations.merge(sidecar.operations, uniquingKeysWith: +)
    outcomes.merge(sidecar.outcomes, uniquingKeysWith: +)
    started += sidecar.started
    staleDirect += direct.staleAccepted
    staleSidecar += sidecar.staleAccepted
    wrongBytes += sidecar.wrongBytes
    lost += sidecar.lost
    for example in [direct.examples.first, direct.wrongExtents.first, direct.wrongExtents.last].compactMap({ $0 }) {
      notes.append("directly connected, for example: \(example)")
    }
  }

  /// Stops the sidecar and its peers, and holds what they tell against the rules. What is in order is not noted: a run may
  /// have hundreds of sidecars.
  mutating func judgeEnd(
    of sidecar: SidecarProcess, peers: [ScriptedDatanode], _ options: LabOptions, log judge: (inout LabReport, SidecarLog) -> Void
  ) {
    var end = LabReport(scenario: scenario, seed: seed, rounds: rounds)
    let log = end.expectOrderlyEnd(of: sidecar)
    for peer in peers { peer.stop() }
    end.complaints += peers.flatMap(\.ledger.violations)
    end.judgeGate(log, options.sabotage)
    judge(&end, log)
    complaints += end.complaints
    if end.ok { return sidecar.removeFiles() }
    notes += end.notes + ["the sidecar's configuration and log are in \(sidecar.files)"]
  }

  /// A caller that the sidecar does not see is not protected, even where luck had it that nothing happened.
  mutating func judgeGate(_ log: SidecarLog, _ sabotage: LabSabotage?) {
    // Told to leave it out, it has to fail by what its callers believe.
    if sabotage == .gate { return }
    let blind = log.events["caller.blind"] ?? 0
    expect(blind == 0, "\(blind) callers were not visible to the sidecar")
    expect(log.events["gate.disabled"] == nil, "the sidecar's gate was disabled")
  }

  /// What must hold of the two columns.
  /// - Parameter victims: extents that are deleted in flight in each of them.
  mutating func judge(_ direct: ClusterOracle.Findings, _ sidecar: ClusterOracle.Findings, victims: Int) {
    expect(direct.staleAccepted > 0, "directly connected no stale reply was accepted: the scenario tests nothing")
    expect(
      direct.wrongBytes == 0 && direct.lost == 0,
      "the lab itself is wrong: directly connected, \(direct.wrongBytes) replies had other bytes than were sent, \(direct.lost) operations were lost"
    )
    expect(direct.repairsCompleted > 0, "directly connected no repair was completed")
    let first = sidecar.examples.isEmpty ? "" : " (\(sidecar.examples.prefix(3).joined(separator: "; ")))"
    expect(sidecar.staleAccepted == 0, "through the sidecar \(sidecar.staleAccepted) replies of other operations were accepted\(first)")
    expect(sidecar.wrongBytes == 0, "through the sidecar \(sidecar.wrongBytes) replies had other bytes than were sent\(first)")
    let unparsed = sidecar.unparsed.values.reduce(0, +)
    expect(
      unparsed == 0 && sidecar.refused == 0,
      "through the sidecar \(unparsed) replies failed to parse and \(sidecar.refused) were refused by a repairer")
    expect(sidecar.lost == 0, "\(sidecar.lost) of \(sidecar.started) operations through the sidecar have no outcome")
    expect(
      sidecar.extentsWrong == 0,
      "\(sidecar.extentsWrong) extents are wrong at the end, through the sidecar, the first: \(sidecar.wrongExtents.first ?? "")")
    expect(sidecar.earlyStarts == 0, "\(sidecar.earlyStarts) new replicas started raft on a stale size, through the sidecar")
    expect(sidecar.repairsCompleted > 0, "no repair was completed through the sidecar")
    expect(sidecar.leftBehind > 0, "through the sidecar no stream was abandoned: the scenario tests nothing")
    expect(sidecar.deletesDone == victims, "\(sidecar.deletesDone) of \(victims) deletes were done through the sidecar")
  }
}
