internal import NetEndpoint

/// Every class and every fault: direct without faults, direct with, through the sidecar without, through the sidecar with.
struct DefaultScenario {
  /// Operations of each class through the sidecar and a round: half without a fault, half with some.
  static let perClass = 1_000
  /// Injections planned of each kind, for each release.
  static let faultsEach = 4

  let options: LabOptions
  let progress: @Sendable (String) -> Void

  func run(_ report: inout LabReport) throws {
    let direct = try runDirect(&report)
    progress("starting the sidecar")
    let run = try SidecarRun(options)
    let pings = 300 * options.rounds
    let through = Latency.measure(run.world, route: run.routes[0], seed: options.seed, number: 4, count: pings)
    report.add(through.findings)
    for (kind, latency) in direct { report.latency[kind] = (latency, through.latencies[kind] ?? latency) }

    var pass = LabPass(
      world: run.world, routes: run.routes, seed: options.seed, number: 5, perClass: Self.perClass * options.rounds / 2 + 3)
    progress("through the sidecar, no faults: \(pass.perClass) operations of each class")
    let clean = pass.run(progress: progress)
    report.add(clean)
    report.expectNoFailure(clean)

    pass = LabPass(
      world: run.world, routes: run.routes, seed: options.seed, number: 6, perClass: pass.perClass,
      mischief: Mischief(each: Self.faultsEach * options.rounds, kinds: FaultKind.allCases))
    progress("through the sidecar, with faults: \(pass.perClass) operations of each class")
    let faulty = pass.run(progress: progress)
    report.add(faulty)
    let script = run.world.script
    run.finish(&report) { report, log in
      report.tally(script, faulty, log)
      for kind in FaultKind.allCases {
        report.expect((report.faults[kind]?.injected ?? 0) > 0, "\(kind.rawValue) was never injected")
        let delivered = report.faults[kind]?.delivered ?? 0
        report.expect(delivered == 0, "\(kind.rawValue) was delivered \(delivered) times")
      }
      let reasons = log.counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      report.notes.append("reasons in the sidecar's log: \(reasons.isEmpty ? "none" : reasons)")
    }
    for kind in LabClass.allCases {
      let count = report.operations[kind] ?? 0
      report.expect(count >= Self.perClass, "\(count) operations of class \(kind.rawValue), expected \(Self.perClass) at least")
    }
    report.notes.append("operations that failed in the run with faults, neighbours included: \(faulty.failedOperations.count)")
  }

  /// Without the sidecar: what the hop costs, that the lab alone is sound, and that its faults bite.
  private func runDirect(_ report: inout LabReport) throws -> [LabClass: Latency] {
    let world = try LabWorld(seed: options.seed)
    let pings = Latency.measure(world, route: world.endpoints[0], seed: options.seed, number: 1, count: 300 * options.rounds)
    let clean = LabPass(
      world: world, routes: world.endpoints, seed: options.seed, number: 2, perClass: Self.perClass * options.rounds,
      closesAfterSnapshot: true)
    progress("direct, no faults: \(clean.perClass) operations of each class")
    for findings in [pings.findings, clean.run(progress: progress)] {
      report.expect(
        findings.lost == 0 && findings.staleAccepted == 0 && findings.wrongBytes == 0,
        "the lab itself is wrong: direct and without faults, \(findings.lost) operations were lost, \(findings.staleAccepted) stale "
          + "replies and \(findings.wrongBytes) wrong blocks accepted (\(findings.wrongOperations.values.prefix(3).joined(separator: "; ")))"
      )
    }
    // What a caller does not bear without a proxy either would end its datanode's part here: silence costs a minute, and
    // an operation without a deadline all of the lab's patience.
    let kinds = FaultKind.allCases.filter { !$0.endsInSilence }
    let faulty = LabPass(
      world: world, routes: world.endpoints, seed: options.seed, number: 3, perClass: 200,
      mischief: Mischief(each: 2, kinds: kinds), leavesRepliesUnread: true, haste: 10)
    progress("direct, with faults: \(faulty.perClass) operations of each class")
    let findings = faulty.run(progress: progress)
    world.stop()
    report.staleDirect = findings.staleAccepted
    report.expect(findings.lost == 0, "\(findings.lost) of \(findings.started) direct operations have no outcome")
    report.expect(findings.staleAccepted > 0, "without the sidecar no wrong reply was accepted: the lab's faults do not bite")
    return pings.latencies
  }
}
