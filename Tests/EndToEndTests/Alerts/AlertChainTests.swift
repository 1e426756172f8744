import Glibc
import Testing

/// Deploy/alerting/try: from a stray reply to Alertmanager, through the real programs. Not at the same time: each starts four.
@Suite(.serialized) struct AlertChainTests {
  private func play(_ words: [String]) throws -> ProgramResult {
    try RunningProgram(["--bin", try Program.path()] + words, executable: RepositoryFile.path("Deploy/alerting/try"))
      .finish(deadline: .seconds(500))
  }

  @Test(arguments: ["both", "log", "metrics"])
  func aStrayReplyBecomesAnAlert(source: String) throws {
    let result = try play(["--source", source])
    try #require(result.status == 0, "\(result.stdout) \(result.stderr)")
    let lines = result.stdout.split(separator: "\n").map(String.init)
    let steps = lines.compactMap { $0.first?.isNumber == true ? String($0.split(separator: " ")[1]) : nil }
    let links = (source == "metrics" ? [] : ["mtail"]) + (source == "log" ? [] : ["metrics"])
    #expect(steps == ["lanekeeper", "prometheus", "fault", "log"] + links + ["rule", "alertmanager"])
    func step(_ name: String) -> String { lines.first { $0.dropFirst(2).hasPrefix(name) } ?? "" }
    #expect(step("fault").contains("the caller got OpIntraGroupNetErr, ReqID 47"))
    let line = String(step("log").drop { $0 != "{" })
    #expect(try LogValidator().validate([line]).status == 0, "\(line)")
    let node = try #require(LogLine(text: line)["node"])
    #expect(LogLine(text: line)["reason"] == "stamp-unknown")
    if source != "metrics" { #expect(step("mtail").contains(#"{code="reply.dropped",node="\#(node)""#) && step("mtail").hasSuffix("} 1")) }
    #expect(step("rule").contains("LanekeeperReplyDropped is firing"))
    #expect(
      step("alertmanager").contains(
        "active: alertname=LanekeeperReplyDropped code=reply.dropped severity=critical node=\(node), to lanekeeper-page"))
  }

  @Test func withoutAFaultTheChainBreaks() throws {
    let result = try play(["--fault", "none"])
    #expect(result.status == 1 && result.stdout.hasSuffix("BROKEN: the log has no line of reply.dropped\n"), "\(result.stdout)")
    #expect(result.stdout.contains("the caller got the answer, ReqID 47"))
  }

  @Test func wrongWordsAreRefused() throws {
    for words in [["--source", "none"], ["--nonsense"], ["--bin"]] {
      let result = try play(words)
      #expect(result.status == 64 && result.stdout.isEmpty && result.stderr.contains("usage: Deploy/alerting/try"), "\(words)")
    }
  }
}
