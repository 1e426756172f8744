import LaneControl

/// What came of a text.
struct Parsed {
  var configuration: Configuration?
  var issues: [ConfigurationIssue]
  /// One line each, the line number first.
  var lines: [String] { issues.map { "\($0.line): \($0)" } }
}

func parse(_ text: String) -> Parsed {
  let (configuration, issues) = Configuration.parse(Array(text.utf8), hostName: "host")
  return Parsed(configuration: configuration, issues: issues)
}

/// A text with the listener that every configuration needs on its first line.
func withListener(_ rest: String, outbound: String = "") -> String {
  "outbound: {listeners: [{listen: \"127.0.0.1:0\", intercept: true}]\(outbound.isEmpty ? "" : ", \(outbound)")}\n\(rest)"
}
