internal import LaneCore

/// Rules for Prometheus, one for each alert and severity: Deploy/alerting/lanekeeper.rules.yml is this text.
public enum AlertRules {
  /// How long an alert stays after the last event, minutes.
  private static let memoryMinutes = 10

  /// The file.
  public static var text: String {
    var text = """
      # Written by `lanekeeper alerts rules`: one rule for each alert of the catalogue. Rules of your own belong into another file.
      #
      # An alert fires when the sidecar has recorded the event, and ends \(memoryMinutes) minutes after the last one. Either source is
      # enough: the metrics of its own port (metrics.listen), or those that mtail makes of its log with lanekeeper.mtail. With both,
      # there is still one alert for each node, code and severity.
      groups:
        - name: lanekeeper-alerts
          rules:
            # By node, code and severity: more than 0 where there were such events within the last \(memoryMinutes) minutes. A process that has just
            # started may have counted before it was first asked, which increase() does not see. mtail tells when the last line came, by
            # the line's own time.
            - record: lanekeeper:alerts:recent
              expr: |-
                sum by (node, code, severity) (
                  label_replace(
                    (
                        increase(lanekeeper_alerts_total[\(memoryMinutes)m]) > 0
                      or
                        (lanekeeper_alerts_total > 0 and on (job, instance) (time() - process_start_time_seconds < \(memoryMinutes * 60)))
                    ) * on (job, instance) group_left (node) lanekeeper_build_info,
                    "code", "$1", "event", "(.*)"
                  )
                )
                or
                max by (node, code, severity) (time() - lanekeeper_log_alert_last_seconds < bool \(memoryMinutes * 60)) > 0

      """
    for name in LaneEvent.Name.allCases {
      guard let advice = AlertCatalogue.advice(name) else { continue }
      for severity in name.severities { text += rule(name, severity, advice) }
    }
    return text
  }

  private static func rule(_ name: LaneEvent.Name, _ severity: LaneEvent.Severity, _ advice: AlertCatalogue.Advice) -> String {
    let (code, severity) = (name.rawValue, severity.rawValue)
    var expression = ["lanekeeper:alerts:recent{code=\"\(code)\", severity=\"\(severity)\"}"]
    if advice.lasts {
      expression += [
        "or",
        "sum by (node, code, severity) (",
        "  label_replace(",
        "    (lanekeeper_alerts_total{event=\"\(code)\", severity=\"\(severity)\"} > 0)",
        "      * on (job, instance) group_left (node) lanekeeper_build_info,",
        "    \"code\", \"$1\", \"event\", \"(.*)\"",
        "  )",
        ")",
      ]
    }
    var lines = ["- alert: \(alertName(code))", "  expr: |-"] + expression.map { "    " + $0 }
    if advice.patienceMinutes > 0 { lines.append("  for: \(advice.patienceMinutes)m") }
    lines += [
      "  labels:",
      "    code: \(code)",
      "    severity: \(severity)",
      "  annotations:",
      "    summary: \(quoted("{{ $labels.node }}: " + advice.summary))",
      "    description: \(quoted(advice.happened + " " + advice.did))",
      "    advice: lanekeeper alerts explain \(code)",
    ]
    return lines.map { "      \($0)\n" }.joined()
  }

  /// `reply.dropped` is `LanekeeperReplyDropped`.
  private static func alertName(_ code: String) -> String {
    "Lanekeeper" + code.split { $0 == "." || $0 == "-" }.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }

  private static func quoted(_ text: String) -> String {
    "'" + text.map { $0 == "'" ? "''" : String($0) }.joined() + "'"
  }
}
