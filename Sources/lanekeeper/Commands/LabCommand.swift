import LaneLab

extension Subcommand {
  /// `lanekeeper lab`: the sidecar among scripted datanodes and faithful callers.
  static let lab = Subcommand(
    name: "lab",
    summary: "put the sidecar between scripted datanodes and callers, and count what goes wrong",
    usage: """
      usage: lanekeeper lab [--scenario NAME|--list] [--seed N] [--rounds N] [--stress N] [--tls] [--hosts LIST]
                             [--guard off|detect|serialize] [--evidence DIR] [--json]
                             [--sabotage judge|restore|gate|order]

        --scenario NAME  which one; default: default
        --list           print the scenarios
        --seed N         everything random follows from it; default: a new one each time, printed
        --rounds N       so many times the scenario's work, 1 to 1000; default: 1. In the scenarios whose callers leave
                         operations: so many of these, to 100000000; default: some 10 s of them
        --stress N       so many threads that keep the processors busy meanwhile, 0 to 64, in those scenarios; default: 0
        --tls            a second sidecar before each datanode, and TLS between the two; not in the scenario default, some
                         of whose faults the second one would find, nor in tls-rollout, which is about that
        --guard MODE     in decommission-delete: clients delete the extents in flight, a sidecar is before each datanode, and
                         this is its guard.mode: off (extents are created again, repairs aborted), detect (conflicts are
                         told of) or serialize (none of both; deletes are held)
        --evidence DIR   the sidecar leaves files there that show what it dropped, and why; where the lab starts one sidecar
        --json           one JSON object on standard output in place of the table
        --sabotage WHAT  have the sidecar leave something out, to see the lab fail: judge (it judges no reply),
                         restore (it does not give the caller's ReqID back) or gate (it completes replies without
                         looking at their reader; the scenarios of abandoned streams fail); or order (tls-rollout
                         only: hosts go to strict before their peers take TLS)
        --hosts LIST     four times NETNS@ADDRESS:PORT, with commas between: in decommission-delete, detached-partition and
                         duplicate-notify, each datanode and its callers are in the network namespace at that path (as
                         /run/netns/NAME), at that address, behind a sidecar with intercepting listeners that is there already
        --callers LIST   be the callers only, of datanodes at these addresses with commas between: the lab starts itself so

      Starts `lanekeeper run` as a child on loopback addresses. Progress goes to standard error. The exit status is 1 where
      anything is off: a wrong reply accepted, an operation lost, a fault not detected, a correct reply dropped.
      """,
    run: { arguments in
      let list = try arguments.flag("--list")
      let scenario = try arguments.option("--scenario", as: LabScenario.self)
      let seed = try arguments.option("--seed", in: 0...UInt64.max)
      let rounds = try arguments.option("--rounds", in: 1...(scenario ?? .default).mostRounds)
      let stress = try arguments.option("--stress", in: 0...64)
      let callers = try arguments.option("--callers")
      let tls = try arguments.flag("--tls")
      let hosts = try arguments.option("--hosts").map { try LabHost.list($0, scenario ?? .default) } ?? []
      let json = try arguments.flag("--json")
      let sabotage = try arguments.option("--sabotage", as: LabSabotage.self)
      let guardMode = try arguments.option("--guard", as: LabGuardMode.self)
      let evidence = try arguments.option("--evidence")
      try arguments.finish()
      if tls, scenario ?? .default == .default {
        throw UsageError(reason: "--tls needs another scenario: some of the faults of 'default' the second sidecar would find")
      }
      if tls, scenario == .tlsRollout { throw UsageError(reason: "--tls says nothing in the scenario tls-rollout: it is about TLS") }
      if !hosts.isEmpty, tls || sabotage != nil {
        throw UsageError(reason: "--hosts needs sidecars that are there already: --tls and --sabotage are for those that the lab starts")
      }
      if (scenario == .tlsRollout) != (sabotage == .order), sabotage != nil {
        throw UsageError(
          reason: scenario == .tlsRollout ? "--sabotage: tls-rollout knows order only" : "--sabotage order needs --scenario tls-rollout")
      }
      if guardMode != nil, scenario != .decommissionDelete { throw UsageError(reason: "--guard needs --scenario decommission-delete") }
      if guardMode != nil, tls || !hosts.isEmpty {
        throw UsageError(reason: "--guard starts its own sidecars, which speak plain: not with --tls or --hosts")
      }
      if evidence != nil, guardMode != nil || !hosts.isEmpty || scenario == .tlsRollout {
        throw UsageError(reason: "--evidence is for scenarios with one sidecar: not with --guard or --hosts, nor in tls-rollout")
      }
      var output = OutputStream()
      if list {
        for scenario in LabScenario.allCases {
          try output.write("\(scenario.rawValue)  \(scenario.summary)\n")
        }
        try output.flush()
        return ExitStatus.success
      }
      var options = LabOptions(
        scenario: scenario ?? .default, seed: seed, rounds: rounds, sabotage: sabotage, stress: stress ?? 0, tls: tls)
      options.hosts = hosts
      options.guardMode = guardMode
      options.evidence = evidence
      if let callers {
        guard let found = Lab.runCallers(options, targets: callers) else {
          throw UsageError(reason: "--callers '\(printable(callers))' does not suit the scenario \(options.scenario.rawValue)")
        }
        try output.write(found + "\n")
        try output.flush()
        return ExitStatus.success
      }
      let report = Lab.run(options) { StandardError.write("lab: \($0)\n") }
      try output.write(json ? report.json + "\n" : report.table)
      try output.flush()
      return report.ok ? ExitStatus.success : 1
    })
}

extension LabHost {
  /// Those of `--hosts`.
  fileprivate static func list(_ text: String, _ scenario: LabScenario) throws -> [LabHost] {
    guard let count = scenario.hostCount else {
      throw UsageError(reason: "--hosts says nothing in the scenario \(scenario.rawValue): it is for those with a cluster")
    }
    let hosts: [LabHost]
    do {
      hosts = try text.split(separator: ",", omittingEmptySubsequences: false).map { try LabHost(String($0)) }
    } catch let problem as Problem {
      throw UsageError(reason: "--hosts \(problem)")
    }
    guard hosts.count == count else { throw UsageError(reason: "--hosts names \(hosts.count) hosts; \(count) are needed") }
    return hosts
  }
}
