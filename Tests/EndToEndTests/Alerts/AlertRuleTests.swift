import CertificateTestSupport
import Glibc
import Testing

/// Deploy/alerting's rules and routes, with promtool and amtool.
@Suite struct AlertRuleTests {
  /// Code and severity of each alert, as the program has them.
  private static func alerts() throws -> [(code: String, severity: String)] {
    try Program.run(["alerts", "list", "--json"]).stdout.split(separator: "\n").filter { $0.contains(#""kind":"alert""#) }.flatMap { line in
      let code = LogLine(text: String(line))["code"] ?? ""
      return ["critical", "warning"].filter { line.prefix { $0 != "]" }.contains("\"\($0)\"") }.map { (code, $0) }
    }
  }

  private func promtool(_ words: [String]) throws -> ProgramResult {
    try RunningProgram(words, executable: "/usr/bin/promtool").finish(deadline: .seconds(300))
  }

  private func path(_ name: String) -> String { RepositoryFile.path("Deploy/alerting/\(name)") }

  @Test func theRulesAreTheProgramsOwn() throws {
    let text = try RepositoryFile.text("Deploy/alerting/lanekeeper.rules.yml")
    let isSame = text == (try Program.run(["alerts", "rules"]).stdout)
    #expect(isSame, "lanekeeper alerts rules >Deploy/alerting/lanekeeper.rules.yml")
  }

  @Test func everyAlertHasItsRuleAndItsTests() throws {
    let rules = try RepositoryFile.text("Deploy/alerting/lanekeeper.rules.yml")
    let groups = try RepositoryFile.text("Deploy/alerting/rules.test.yml").split(separator: "\n  - name: ")
    let alerts = try Self.alerts()
    #expect(alerts.count >= 23)
    for (code, severity) in alerts {
      let hasRule = rules.contains("        labels:\n          code: \(code)\n          severity: \(severity)\n")
      #expect(hasRule, "\(code) \(severity) has no rule")
      for source in ["metrics", "the log"] {
        // Its line comes when the port is closed already.
        if code == "accounting" && source == "metrics" { continue }
        let group = groups.filter { $0.hasPrefix("\(code) \(severity), by \(source)\n") }
        #expect(group.count == 1, "\(code) \(severity), by \(source) is not in rules.test.yml")
        let fires = group.first?.contains(#"code="\#(code)", node="datanode-1", severity="\#(severity)"}', value: 1}"#) ?? false
        #expect(fires && group.first?.contains("exp_samples: []") ?? false, "\(code) \(severity), by \(source)")
      }
    }
  }

  @Test func everyRuleFiresWhenItShouldAndOnlyThen() throws {
    for file in ["lanekeeper.rules.yml", "service.rules.yml"] {
      let check = try promtool(["check", "rules", path(file)])
      #expect(check.status == 0 && check.stdout.contains("SUCCESS"), "\(check.stdout) \(check.stderr)")
    }
    let result = try promtool(["test", "rules", path("rules.test.yml")])
    #expect(result.status == 0, "\(result.stdout.prefix(4000)) \(result.stderr.prefix(4000))")
  }

  /// Under other names no rule fires as it should: promtool must miss each of them.
  @Test func aRuleThatIsMissingIsNoticed() throws {
    let directory = try TemporaryDirectory("lanekeeper-alerts")
    var names: Set<String> = []
    for file in ["lanekeeper.rules.yml", "service.rules.yml"] {
      let text = try RepositoryFile.text("Deploy/alerting/\(file)")
      names.formUnion(text.split(separator: "- alert: ").dropFirst().map { String($0.prefix { $0 != "\n" }) })
      try directory.write(text.replacing("- alert: ", with: "- alert: Other"), to: file)
    }
    try directory.write(try RepositoryFile.text("Deploy/alerting/rules.test.yml"), to: "rules.test.yml")
    let result = try promtool(["test", "rules", directory.file("rules.test.yml")])
    #expect(result.status != 0)
    let output = result.stdout + result.stderr
    #expect(names.count >= 27)
    for name in names { #expect(output.contains("exp: {alertname=\"\(name)\""), "\(name) is not missed") }
  }

  /// Whatever an annotation's template says, Prometheus can fill it in.
  @Test func annotationsAreFilledIn() throws {
    let directory = try TemporaryDirectory("lanekeeper-alerts")
    try directory.write(
      """
      rule_files: [\(path("lanekeeper.rules.yml"))]
      evaluation_interval: 1m
      tests:
        - interval: 1m
          input_series:
            - {series: 'lanekeeper_log_alert_last_seconds{node="datanode-1", code="peer.down", severity="warning"}', values: '60x5'}
          alert_rule_test:
            - {eval_time: 2m, alertname: LanekeeperPeerDown, exp_alerts: [{exp_labels: {node: datanode-1, code: peer.down, severity: warning}}]}

      """, to: "test.yml")
    let result = try promtool(["test", "rules", directory.file("test.yml")])
    // It shows what it got in place of the annotations that were not asked for.
    let output = result.stdout + result.stderr
    #expect(
      output.contains("summary=\"datanode-1: A peer cannot be reached\"")
        && output.contains("advice=\"lanekeeper alerts explain peer.down\""), "\(output)")
  }

  @Test func prometheusTakesTheConfiguration() throws {
    let result = try promtool(["check", "config", path("prometheus.yml")])
    #expect(result.status == 0, "\(result.stdout) \(result.stderr)")
    // The alerts of the log hang on these names.
    for job in ["lanekeeper", "lanekeeper-mtail"] {
      #expect(try RepositoryFile.text("Deploy/alerting/prometheus.yml").contains("job_name: \(job)\n"))
      #expect(try RepositoryFile.text("Deploy/alerting/service.rules.yml").contains("{job=\"\(job)\"}"))
    }
  }

  @Test(arguments: [("critical", "lanekeeper-page"), ("warning", "lanekeeper-day")])
  func alertmanagerTakesTheRoutes(severity: String, receiver: String) throws {
    let check = try RunningProgram(["check-config", path("alertmanager.yml")], executable: "/usr/bin/amtool").finish()
    #expect(check.status == 0 && check.stdout.contains("SUCCESS"), "\(check.stdout) \(check.stderr)")
    let route = try RunningProgram(
      ["config", "routes", "test", "--config.file", path("alertmanager.yml"), "severity=\(severity)", "code=reply.dropped"],
      executable: "/usr/bin/amtool"
    ).finish()
    #expect(route.status == 0 && route.stdout == "\(receiver)\n", "\(route.stdout) \(route.stderr)")
  }
}
