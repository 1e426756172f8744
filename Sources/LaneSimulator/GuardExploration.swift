/// Runs many seeds of the conflict guard's model.
public enum GuardExploration {
  /// The first violation among the seeds, in their order; nil where there is none.
  public static func firstFinding(seeds: Range<UInt64>, mutant: GuardMutant? = nil) -> GuardFinding? {
    for seed in seeds {
      var simulation = GuardSimulation(seed: seed, mutations: mutant?.mutations ?? [])
      if let violation = simulation.run() { return GuardFinding(seed: seed, violation: violation, step: simulation.step) }
    }
    return nil
  }

  /// The first deadlock among the seeds; other violations are passed over, since a mutant may do anything.
  public static func firstDeadlock(seeds: Range<UInt64>, mutant: GuardMutant) -> GuardFinding? {
    for seed in seeds {
      var simulation = GuardSimulation(seed: seed, mutations: mutant.mutations)
      simulation.findsDeadlocksOnly = true
      if let violation = simulation.run() { return GuardFinding(seed: seed, violation: violation, step: simulation.step) }
    }
    return nil
  }

  /// How much the seeds explore: a model in which little happens proves little.
  public struct Coverage: Equatable, Sendable {
    /// Steps taken.
    public var steps = 0
    /// Operations that were begun, those that others have caused included.
    public var operations = 0
    /// Those that a guard held when they arrived.
    public var held = 0
    /// Those that it let go on.
    public var released = 0
    /// Those that reached their limit.
    public var limits = 0
    /// Those whose caller gave them up.
    public var abandoned = 0
    /// Reads whose replies their reader has left unread.
    public var left = 0
    /// Conflicts that were told of.
    public var told = 0
    /// Tasks that created again what had been deleted.
    public var ghosts = 0
    /// Rounds that no task followed in time.
    public var expired = 0
  }

  /// Counts what happens in the seeds' runs.
  public static func coverage(seeds: Range<UInt64>) -> Coverage {
    var coverage = Coverage()
    for seed in seeds {
      var simulation = GuardSimulation(seed: seed)
      _ = simulation.run()
      coverage.steps += simulation.step
      coverage.operations += simulation.operations.count
      coverage.held += simulation.coverage.held
      coverage.released += simulation.coverage.released
      coverage.limits += simulation.coverage.limits
      coverage.abandoned += simulation.coverage.abandoned
      coverage.left += simulation.coverage.left
      coverage.told += simulation.coverage.told
      coverage.ghosts += simulation.coverage.ghosts
      coverage.expired += simulation.coverage.expired
    }
    return coverage
  }
}
