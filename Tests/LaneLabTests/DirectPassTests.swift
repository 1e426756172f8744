import Testing

@testable import LaneLab

@Suite struct DirectPassTests {
  @Test func aCleanRunHasNothingWrong() throws {
    let world = try LabWorld(seed: 7)
    let findings = LabPass(world: world, routes: world.endpoints, seed: 7, number: 1, perClass: 60, closesAfterSnapshot: true).run()
    world.stop()
    #expect(findings.lost == 0)
    #expect(findings.staleAccepted == 0)
    #expect(findings.wrongBytes == 0)
    #expect(findings.badErrorReplies == 0)
    #expect(findings.ended == findings.started)
    #expect(findings.outcomes[.rejected] == nil)
    #expect(findings.outcomes[.timedOut] == nil)
    for kind in LabClass.allCases { #expect((findings.operations[kind] ?? 0) >= 60, "\(kind)") }
  }

  @Test func faultsOnDirectConnectionsAreAccepted() throws {
    let world = try LabWorld(seed: 7)
    let kinds = FaultKind.allCases.filter { !$0.endsInSilence }
    let findings = LabPass(
      world: world, routes: world.endpoints, seed: 7, number: 2, perClass: 120, mischief: Mischief(each: 2, kinds: kinds),
      leavesRepliesUnread: true, haste: 10
    ).run()
    let injections = world.script.injections
    world.stop()
    #expect(findings.lost == 0)
    #expect(findings.staleAccepted > 0)
    for kind in kinds { #expect(injections.contains { $0.kind == kind }, "\(kind) was never injected") }
  }
}
