/// Runs many seeds of the gate's model.
public enum GateExploration {
  /// The first violation among the seeds, in their order; nil where there is none.
  public static func firstFinding(seeds: Range<UInt64>, mutant: GateMutant? = nil) -> GateFinding? {
    for seed in seeds {
      var simulation = GateSimulation(seed: seed, mutations: mutant?.mutations ?? [])
      if let violation = simulation.run() { return GateFinding(seed: seed, violation: violation, step: simulation.step) }
    }
    return nil
  }

  /// The first stale reply among the seeds; other violations are passed over, since a mutant may do anything.
  public static func firstStaleReply(seeds: Range<UInt64>, mutant: GateMutant) -> GateFinding? {
    for seed in seeds {
      var simulation = GateSimulation(seed: seed, mutations: mutant.mutations)
      if case .staleAcceptance? = simulation.run(), let violation = simulation.violation {
        return GateFinding(seed: seed, violation: violation, step: simulation.step)
      }
    }
    return nil
  }

  /// The first stale reply where a program empties the callers' queues before they read: a stream verdict on a socket in a
  /// sockmap did so before Linux 6.4, one with a stream parser before 6.14. What it had taken counted as received, acknowledged
  /// and read, so that no number that the gate sees differs from a reader's.
  public static func firstStaleReplyBehindVerdict(seeds: Range<UInt64>) -> GateFinding? {
    for seed in seeds {
      var simulation = GateSimulation(seed: seed)
      simulation.script.hazards.callerVerdict = true
      if case .staleAcceptance? = simulation.run(), let violation = simulation.violation {
        return GateFinding(seed: seed, violation: violation, step: simulation.step)
      }
    }
    return nil
  }

  /// How much the seeds explore: a model in which little happens proves little.
  public struct Coverage: Equatable, Sendable {
    /// Steps taken.
    public var steps = 0
    /// The most steps of one run.
    public var longestRun = 0
    /// Tails released on evidence.
    public var releases = 0
    /// Those for which looks sufficed.
    public var releasesByLooks = 0
    /// Operations cancelled for a newer request.
    public var cancellations = 0
    /// Connections reset.
    public var resets = 0
    /// Callers declared blind.
    public var blind = 0
    /// Operations that their caller left.
    public var left = 0
  }

  /// Counts what happens in the seeds' runs.
  public static func coverage(seeds: Range<UInt64>) -> Coverage {
    var coverage = Coverage()
    for seed in seeds {
      var simulation = GateSimulation(seed: seed)
      _ = simulation.run()
      coverage.steps += simulation.step
      coverage.longestRun = max(coverage.longestRun, simulation.step)
      coverage.releases += simulation.shell.releases
      coverage.releasesByLooks += simulation.shell.releasesByLooks
      coverage.cancellations += simulation.shell.cancellations
      coverage.resets += simulation.socket.isReset ? 1 : 0
      coverage.blind += simulation.shell.declaredBlind ? 1 : 0
      coverage.left += simulation.script.operations.prefix(simulation.caller.next).count { $0.leaving != .never }
    }
    return coverage
  }
}
