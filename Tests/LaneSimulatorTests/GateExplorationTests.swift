import LaneSimulator
import Testing

@Suite struct GateExplorationTests {
  @Test func noInterleavingLetsAStaleReplyThroughAndEachReaderIsServed() {
    let finding = GateExploration.firstFinding(seeds: 0..<40_000)
    #expect(finding == nil, "\(String(describing: finding))")
  }

  @Test(arguments: GateMutant.allCases)
  func eachConditionIsNeeded(_ mutant: GateMutant) {
    let finding = GateExploration.firstStaleReply(seeds: 0..<10_000, mutant: mutant)
    #expect(finding != nil, "\(mutant.rawValue) survives 10,000 seeds: the condition is not needed, or the model cannot tell")
    if let finding { print("\(mutant.rawValue): killed by seed \(finding.seed) at step \(finding.step): \(finding.violation)") }
  }

  /// Not a promise but its limit; the diagnostics' self-test finds such a program where it takes hold of the sidecar's own sockets, too.
  @Test func aProgramThatEmptiesTheCallersQueueIsNotSeen() {
    let finding = GateExploration.firstStaleReplyBehindVerdict(seeds: 0..<1_000)
    #expect(finding != nil)
    if let finding { print("a verdict on the caller's socket: stale with seed \(finding.seed) at step \(finding.step)") }
  }

  @Test func theModelIsBusy() {
    let coverage = GateExploration.coverage(seeds: 0..<2_000)
    print(coverage)
    #expect(coverage.releases > 1_000)
    #expect(coverage.releasesByLooks > 500)
    #expect(coverage.cancellations > 200)
    #expect(coverage.resets > 500)
    #expect(coverage.blind > 50)
    #expect(coverage.left > 1_000)
  }
}
