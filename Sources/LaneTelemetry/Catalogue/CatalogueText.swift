internal import LaneJSON

/// The catalogue as a person or a program reads it.
public enum CatalogueText {
  private static let width = 100

  /// A table: code, severity, one line. The alerts, then the reasons.
  public static func table(_ entries: [CatalogueEntry]) -> String {
    let rows = entries.map { [$0.code, $0.severities.isEmpty ? "-" : $0.severities.joined(separator: ", ")] }
    let widths = (0..<2).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return zip(entries, rows).map { entry, row in
      row.enumerated().map { $1 + String(repeating: " ", count: widths[$0] - $1.count + 2) }.joined() + entry.summary + "\n"
    }.joined()
  }

  /// Everything about one code.
  public static func explanation(_ entry: CatalogueEntry) -> String {
    let severity = entry.severities.isEmpty ? "never an alert by itself" : entry.severities.joined(separator: ", ")
    var text = "\(entry.code)  (\(entry.kind.rawValue); \(severity))\n\n"
    func section(_ title: String, _ body: String) { text += "\(title)\n\(body)\n" }
    if entry.kind == .alert { text += wrapped(entry.summary, indent: "") + "\n" }
    section("What happened", wrapped(entry.happened))
    section("What Lanekeeper did", wrapped(entry.did))
    if !entry.look.isEmpty {
      section(
        "What to look at", entry.look.enumerated().map { wrapped($1, indent: "     ", first: "  \($0 + 1). ") }.joined())
    }
    if entry.kind == .alert {
      section("What is safe to do", entry.safe.map { wrapped($0, indent: "    ", first: "  - ") }.joined())
    } else {
      section("What to do", entry.safe.map { wrapped($0) }.joined())
    }
    if let developer = entry.developer { section("When to wake a developer", wrapped(developer)) }
    if !entry.related.isEmpty {
      section(entry.kind == .alert ? "Its reasons" : "Events with this reason", wrapped(entry.related.joined(separator: ", ")))
    }
    section(entry.examples.count == 1 ? "A line of it" : "Lines of it", entry.examples.map { "  \($0)\n" }.joined())
    return String(text.dropLast())
  }

  /// One JSON object, without a newline.
  public static func json(_ entry: CatalogueEntry) -> String {
    var writer = JSONWriter()
    func array(_ name: String, _ values: [String], _ object: inout JSONWriter) {
      object.key(name)
      object.array { for value in values { $0.string(value) } }
    }
    writer.object {
      $0.member("code", entry.code)
      $0.member("kind", entry.kind.rawValue)
      array("severities", entry.severities, &$0)
      $0.member("summary", entry.summary)
      $0.member("happened", entry.happened)
      $0.member("did", entry.did)
      array("look", entry.look, &$0)
      array("safe", entry.safe, &$0)
      $0.key("developer")
      if let developer = entry.developer { $0.string(developer) } else { $0.null() }
      array(entry.kind == .alert ? "reasons" : "events", entry.related, &$0)
      array("examples", entry.examples, &$0)
    }
    return writer.text
  }

  private static func wrapped(_ text: String, indent: String = "  ", first: String? = nil) -> String {
    var lines: [String] = []
    var line = first ?? indent
    var isEmpty = true
    for word in text.split(separator: " ") {
      if !isEmpty && line.count + 1 + word.count > width {
        lines.append(line)
        line = indent
        isEmpty = true
      }
      line += (isEmpty ? "" : " ") + word
      isEmpty = false
    }
    return (lines + [line]).joined(separator: "\n") + "\n"
  }
}
