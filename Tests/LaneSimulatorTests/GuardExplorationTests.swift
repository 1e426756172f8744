import LaneSimulator
import Testing

@Suite struct GuardExplorationTests {
  @Test func conflictsDoNotRunTogetherAndNobodyWaitsInVain() {
    let finding = GuardExploration.firstFinding(seeds: 0..<6_000)
    #expect(finding == nil, "\(String(describing: finding))")
  }

  @Test(arguments: GuardMutant.allCases)
  func eachRuleIsNeeded(_ mutant: GuardMutant) {
    let finding = GuardExploration.firstFinding(seeds: 0..<10_000, mutant: mutant)
    #expect(finding != nil, "\(mutant.rawValue) survives 10,000 seeds: the rule is not needed, or the model cannot tell")
    if let finding { print("\(mutant.rawValue): killed by seed \(finding.seed) at step \(finding.step): \(finding.violation)") }
  }

  /// These are not matters of taste: each lets datanodes wait for each other in a circle until a limit.
  @Test(arguments: [GuardMutant.waitForWaitingRepair, .waitForWaitingDelete, .ignoreFollowers])
  func whoWaitsAndWhoHasFollowersIsPassed(_ mutant: GuardMutant) {
    let finding = GuardExploration.firstDeadlock(seeds: 0..<10_000, mutant: mutant)
    #expect(finding != nil, "\(mutant.rawValue) deadlocks in none of 10,000 seeds")
    if let finding { print("\(mutant.rawValue): deadlock with seed \(finding.seed) at step \(finding.step)") }
  }

  @Test func theModelIsBusy() {
    let coverage = GuardExploration.coverage(seeds: 0..<2_000)
    print(coverage)
    #expect(coverage.held > 2_000)
    #expect(coverage.released > 1_000)
    #expect(coverage.limits > 200)
    #expect(coverage.abandoned > 500)
    #expect(coverage.left > 500)
    #expect(coverage.told > 2_000)
    #expect(coverage.ghosts > 200)
    #expect(coverage.expired > 200)
  }
}
