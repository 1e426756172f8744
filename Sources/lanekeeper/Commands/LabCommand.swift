import LaneLab

extension Subcommand {
  /// `lanekeeper lab`: the sidecar among scripted datanodes and faithful callers.
  static let lab = Subcommand(
    name: "lab",
    summary: "put the sidecar between scripted datanodes and callers, and count what goes wrong",
    usage: """
      usage: lanekeeper lab [--scenario NAME|--list] [--seed N] [--rounds N] [--stress N] [--tls] [--json]
                             [--sabotage judge|restore|gate]

        --scenario NAME  which one; default: default
        --list           print the scenarios
        --seed N         everything random follows from it; default: a new one each time, printed
        --rounds N       so many times the scenario's work, 1 to 1000; default: 1. In the scenarios whose callers leave
                         operations: so many of these, to 100000000; default: some 10 s of them
        --stress N       so many threads that keep the processors busy meanwhile, 0 to 64, in those scenarios; default: 0
        --tls            a second sidecar before each datanode, and TLS between the two; not in the scenario default, some
                         of whose faults the second one would find
        --json           one JSON object on standard output in place of the table
        --sabotage WHAT  have the sidecar leave something out, to see the lab fail: judge (it judges no reply),
                         restore (it does not give the caller's ReqID back) or gate (it completes replies without
                         looking at their reader; the scenarios of abandoned streams fail)
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
      let json = try arguments.flag("--json")
      let sabotage = try arguments.option("--sabotage", as: LabSabotage.self)
      try arguments.finish()
      if tls, scenario ?? .default == .default {
        throw UsageError(reason: "--tls needs another scenario: some of the faults of 'default' the second sidecar would find")
      }
      var output = OutputStream()
      if list {
        for scenario in LabScenario.allCases {
          try output.write("\(scenario.rawValue)  \(scenario.summary)\n")
        }
        try output.flush()
        return ExitStatus.success
      }
      let options = LabOptions(
        scenario: scenario ?? .default, seed: seed, rounds: rounds, sabotage: sabotage, stress: stress ?? 0, tls: tls)
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
