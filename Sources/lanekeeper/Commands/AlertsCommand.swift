import LaneTelemetry

extension Subcommand {
  private enum AlertsVerb: String, CaseIterable { case list, explain, schema, rules }

  /// `lanekeeper alerts`.
  static let alerts = Subcommand(
    name: "alerts",
    summary: "what each alert and reason of the log means, and what to do about it",
    usage: """
      usage: lanekeeper alerts list [--json] | explain CODE [--json] | schema | rules

      list             every alert, the gravest first, then every reason: code, severity, one line
      explain CODE     an alert (the log's `alert`) or a reason (the log's `reason`): what happened, what Lanekeeper did, what to
                       look at, what is safe to do, and a line of it
      schema           the JSON Schema (draft 2020-12) of a line of the log
      rules            rules for Prometheus, one for each alert: the contents of Deploy/alerting/lanekeeper.rules.yml

        --json         one JSON object per code and line

      Exit status: 0 done, 64 wrong usage or no such code, 74 standard output cannot be written.
      """,
    run: { arguments in
      let verb = try arguments.verb(as: AlertsVerb.self)
      var output = OutputStream()
      switch verb {
      case .list:
        let json = try arguments.flag("--json")
        try arguments.finish()
        if json {
          for entry in Catalogue.alerts + Catalogue.reasons { try output.write(CatalogueText.json(entry) + "\n") }
        } else {
          try output.write("Alerts\n\n\(CatalogueText.table(Catalogue.alerts))\n")
          try output.write("Reasons, and the severity of lines with them\n\n\(CatalogueText.table(Catalogue.reasons))")
        }
      case .explain:
        let json = try arguments.flag("--json")
        let code = try arguments.positional("CODE")
        try arguments.finish()
        let entry = try found(code)
        try output.write(json ? CatalogueText.json(entry) + "\n" : CatalogueText.explanation(entry))
      case .schema:
        try arguments.finish()
        try output.write(LogSchema.text + "\n")
      case .rules:
        try arguments.finish()
        try output.write(AlertRules.text)
      }
      try output.flush()
      return ExitStatus.success
    })

  private static func found(_ code: String) throws -> CatalogueEntry {
    if let entry = Catalogue.entry(code) { return entry }
    let codes = (Catalogue.alerts + Catalogue.reasons).map(\.code)
    // Half a code is as good a hint as a wrong letter.
    let near = codes.filter { code.count >= 3 && $0.contains(code) }
    let hint = near.isEmpty ? suggestion(for: code, among: codes) : ", did you mean \(near.map { "'\($0)'" }.joined(separator: " or "))?"
    throw UsageError(reason: "'\(printable(code))' is no alert and no reason\(hint); lanekeeper alerts list prints them all")
  }
}
