import CubeFSWire
import Testing

@testable import LaneLab

@Suite struct AbandonTallyTests {
  private func result(_ outcome: Outcome?, note: String = "") -> CallResult {
    let request = LabPacket.request(0x10, partition: 1)
    var result = CallResult(request: request, operation: LabOperation(request: request, site: .query), outcome: outcome)
    result.note = note
    result.microseconds = 12.5
    return result
  }

  private var tally: AbandonTally {
    var tally = AbandonTally()
    tally.rounds = 3
    tally.completed = 2
    tally.places[.inPayload] = 3
    tally.add(result(.delivered), .own)
    tally.add(result(.delivered), .stale("this \"one\"\nhere"))
    tally.add(result(.reset, note: "malformed(\"bad magic 1\")"), .own)
    tally.add(result(.delivered), .wrong("bytes"))
    tally.add(result(nil), .own)
    return tally
  }

  @Test func everythingIsCounted() {
    #expect(tally.staleAccepted == 1 && tally.wrongBytes == 1 && tally.malformed == 1)
    #expect(tally.started == 5 && tally.ended == 4 && tally.lost == 1)
    #expect(tally.operations == [.repairControl: 5])
  }

  @Test func whatTheCallersWriteIsReadAgain() throws {
    var written = tally
    written.finish()
    #expect(try #require(AbandonTally(written.json)) == written)
    #expect(written.latency[.repairControl]?.p50 == 12.5)
  }

  @Test(arguments: ["", "{}", "[1]", "lab: a line", #"{"rounds":-1}"#]) func anythingElseIsRefused(_ text: String) {
    #expect(AbandonTally(text) == nil)
  }

  @Test func threadsAreAddedUp() {
    var sum = tally
    sum.merge(tally)
    #expect(sum.rounds == 6 && sum.started == 10 && sum.staleAccepted == 2 && sum.places[.inPayload] == 6)
  }

  @Test func whoLeavesMayBeReset() {
    var tally = AbandonTally()
    tally.places = [.surplus: 5, .inPayload: 2]
    tally.outcomes = [.errorReply: 1, .reset: 9]
    #expect(tally.excusedResets(.everywhere) == 8)
    #expect(tally.excusedResets(.snapshotExtraReply) == 3)
  }

  @Test func aReportComplainsOfEachThing() {
    func complaints(_ change: (inout AbandonTally) -> Void) -> Int {
      var tally = AbandonTally()
      tally.rounds = 1
      tally.completed = 1
      change(&tally)
      var report = LabReport(scenario: "test", seed: 1, rounds: 1)
      report.add(tally, latencies: [:])
      return report.complaints.count
    }
    #expect(complaints { _ in } == 0)
    #expect(complaints { $0.stale["OpGetAppliedId"] = 1 } == 1)
    #expect(complaints { $0.wrongBytes = 1 } == 1)
    #expect(complaints { $0.started = 1 } == 1)
    #expect(complaints { $0.completed = 0 } == 1)
    #expect(
      complaints {
        $0.started = 1
        $0.outcomes[.rejected] = 1
      } == 1)
    #expect(
      complaints {
        $0.started = 1
        $0.outcomes[.timedOut] = 1
      } == 1)
  }
}
