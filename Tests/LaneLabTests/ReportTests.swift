import Testing

@testable import LaneLab

@Suite struct ReportTests {
  private func findings(wrong: [UInt64] = [], failed: Set<UInt64> = []) -> Oracle.Findings {
    var found = Oracle.Findings()
    for key in wrong { found.wrongOperations[key] = "wrong" }
    found.failedOperations = failed
    return found
  }

  private func tally(_ kind: FaultKind, log: String, wrong: [UInt64] = [], failed: Set<UInt64> = []) -> LabReport {
    let script = FaultScript()
    script.injected(kind, operation: 5)
    var report = LabReport(scenario: "test", seed: 1, rounds: 1)
    report.tally(script, findings(wrong: wrong, failed: failed), SidecarLog(log))
    return report
  }

  private func line(_ reason: String) -> String { "{\"event\":\"reply.dropped\",\"reason\":\"\(reason)\",\"partition\":5}" }

  @Test func aReportOfTheRightReasonCounts() {
    let report = tally(.swappedExtent, log: line("extent-mismatch"))
    #expect(report.ok)
    #expect(report.faults[.swappedExtent]?.detected == 1 && report.faults[.swappedExtent]?.delivered == 0)
  }

  @Test func anotherReasonOrNoneDoesNot() {
    #expect(!tally(.swappedExtent, log: line("offset-mismatch")).ok)
    #expect(!tally(.swappedExtent, log: "").ok)
  }

  @Test func aBelievedReplyIsDelivered() {
    let report = tally(.wrongStamp, log: line("stamp-unknown"), wrong: [5])
    #expect(report.faults[.wrongStamp]?.delivered == 1 && report.faults[.wrongStamp]?.detected == 0)
  }

  @Test func aSlowReplyMustNotFail() {
    #expect(tally(.slow, log: "").ok)
    #expect(!tally(.slow, log: "", failed: [5]).ok)
  }

  @Test func anAlertWithoutAFaultIsAComplaint() {
    #expect(!tally(.slow, log: #"{"event":"reply.dropped","reason":"payload-crc","alert":"reply.dropped","partition":77}"#).ok)
  }

  @Test func aComparisonIsInTableAndJSON() throws {
    var report = LabReport(scenario: "default", seed: 1, rounds: 1)
    report.comparisons = [.init(name: "repairs completed", key: "repairsCompleted", direct: 17, sidecar: 23)]
    let json = try #require(LabJSON(Array(report.json.utf8)))
    #expect(json["columns"]?["repairsCompleted"]?["direct"]?.unsigned == 17)
    #expect(json["columns"]?["repairsCompleted"]?["sidecar"]?.unsigned == 23)
    #expect(report.table.contains("repairs completed      17       23"))
  }

  @Test func jsonHasTheNamedMembers() throws {
    let report = tally(.late, log: line("stamp-unknown"))
    let json = try #require(LabJSON(Array(report.json.utf8)))
    for name in [
      "scenario", "seed", "rounds", "seconds", "operations", "faults", "outcomes", "staleAccepted", "wrongBytes", "lost",
      "latencyMicroseconds", "ok",
    ] {
      #expect(json[name] != nil, "\(name)")
    }
    #expect(json["faults"]?["late"]?["injected"]?.unsigned == 1)
    #expect(json["staleAccepted"]?["sidecar"]?.unsigned == 0)
  }
}
