/// Two callers of v3.3.0, each counting its ReqIDs from 1, ask the same datanode at once.
struct SameReqIDsScenario {
  let options: LabOptions

  func run(_ report: inout LabReport) throws {
    let run = try SidecarRun(options)
    let rules = run.world.datanodes[0].rules
    let target = run.routes[0]
    let oracle = Oracle()
    let count = 700 * options.rounds
    let threads = (0..<2).map { number -> LabThread in
      var workload = Workload(
        seed: options.seed &+ UInt64(number), firstKey: UInt64(number + 1) << 28, contents: run.world.contents, release: rules.release)
      let caller = FaithfulCaller(CallerOptions(release: rules.release))
      let kinds: [LabClass] = [.repairControl, .repairStream, .read, .admin]
      let operations = (0..<count).map { workload.operation(kinds[$0 % kinds.count]) }
      return LabThread {
        for operation in operations {
          oracle.started(operation)
          oracle.ended(caller.run(operation, to: target), rules: rules)
        }
      }
    }
    for thread in threads { thread.join() }
    let findings = oracle.findings
    report.add(findings)
    report.expectNoFailure(findings)
    let ledger = run.world.datanodes[0].ledger
    let seen = (requests: ledger.requestCount, stamps: ledger.allStamps.count)
    report.expect(
      seen.requests == findings.started && seen.stamps == seen.requests,
      "the datanode saw \(seen.requests) requests with \(seen.stamps) stamps, expected \(findings.started) of each")
    report.notes.append("two callers used the ReqIDs 1 to \(count) each; the datanode saw \(seen.stamps) distinct stamps")
    run.finish(&report)
  }
}

extension LabReport {
  /// Without faults every operation ends as it would without a proxy.
  mutating func expectNoFailure(_ findings: Oracle.Findings) {
    if !findings.failedOperations.isEmpty { notes += findings.failureNotes }
    let keys = findings.failedOperations.sorted().prefix(5).map { "\($0)" }.joined(separator: ", ")
    expect(findings.failedOperations.isEmpty, "\(findings.failedOperations.count) operations failed without a fault, at partitions \(keys)")
  }
}
