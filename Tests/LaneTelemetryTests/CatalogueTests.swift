import LaneCore
import LaneTelemetry
import Testing

@Suite struct CatalogueTests {
  /// Every event that is an alert for some reason, found without the catalogue's help.
  private static var alertNames: [LaneEvent.Name] {
    var unfinished = LaneEvent(.accounting)
    var accounting = Accounting()
    accounting.begin(.read)
    unfinished.accounting = accounting
    return LaneEvent.Name.allCases.filter { name in
      if name == .accounting { return unfinished.severity != nil }
      return ([nil] + Reason.allCases.map(Optional.some)).contains { LaneEvent(name, reason: $0).severity != nil }
    }
  }

  @Test func theAlertsAreTheEventsThatCanBeOne() {
    #expect(Catalogue.alerts.map(\.code).sorted() == Self.alertNames.map(\.rawValue).sorted())
    #expect(Catalogue.reasons.map(\.code) == Reason.allCases.map(\.rawValue).sorted())
    let codes = (Catalogue.alerts + Catalogue.reasons).map(\.code)
    #expect(Set(codes).count == codes.count)
    for code in codes { #expect(Catalogue.entry(code)?.code == code) }
    #expect(Catalogue.entry("process.started") == nil && Catalogue.entry("") == nil)
  }

  /// A severity that hangs on the reason would be lost where no line could bear that reason.
  @Test func aReasonThatMakesAnEventAnAlertIsOneOfItsReasons() {
    for name in Self.alertNames where LaneEvent(name).severity == nil {
      for reason in Reason.allCases where LaneEvent(name, reason: reason).severity != nil {
        #expect(Catalogue.entry(name.rawValue)?.related.contains(reason.rawValue) == true, "\(name) \(reason)")
      }
    }
  }

  @Test func everyTextIsThereAndIsASentence() {
    func isSentence(_ text: String) -> Bool {
      text.count > 5 && (text.hasSuffix(".") || text.hasSuffix("?")) && !text.contains("  ") && !text.contains("\n")
    }
    for entry in Catalogue.alerts {
      #expect(!entry.summary.isEmpty && !entry.summary.hasSuffix(".") && entry.summary.count < 90, "\(entry.code)")
      #expect(!entry.look.isEmpty && !entry.safe.isEmpty && entry.developer != nil && !entry.severities.isEmpty, "\(entry.code)")
      #expect(entry.examples.count == entry.severities.count, "\(entry.code)")
    }
    for entry in Catalogue.reasons {
      #expect(!entry.related.isEmpty && entry.examples.count == 1 && entry.safe.count == 1, "\(entry.code)")
    }
    for entry in Catalogue.alerts + Catalogue.reasons {
      for text in [entry.happened, entry.did] + entry.look + entry.safe + [entry.developer ?? "None at all."] {
        #expect(isSentence(text), "\(entry.code): \(text)")
      }
      #expect(
        CatalogueText.explanation(entry).split(separator: "\n").allSatisfy { $0.count <= 100 || $0.hasPrefix("  {") }, "\(entry.code)")
    }
  }

  @Test func examplesAreLinesOfTheirCode() throws {
    for entry in Catalogue.alerts {
      for (example, severity) in zip(entry.examples, entry.severities) {
        let line = try StrictJSON.parse(example)
        #expect(line["event"] == .string(entry.code) && line["alert"] == .string(entry.code), "\(example)")
        #expect(line["severity"] == .string(severity), "\(example)")
        if let reason = line["reason"]?.text { #expect(entry.related.contains(reason)) }
      }
    }
    for entry in Catalogue.reasons {
      let line = try StrictJSON.parse(entry.examples[0])
      #expect(line["reason"] == .string(entry.code))
      #expect(line["event"]?.text == entry.related.first)
      // What the alert's code says of its reasons, and the reasons of their events, is the same.
      for code in entry.related {
        guard let alert = Catalogue.entry(code) else { continue }
        let severity = LaneEvent(try #require(LaneEvent.Name(rawValue: code)), reason: Reason(rawValue: entry.code)).severity
        #expect(alert.related.contains(entry.code) == (severity != nil), "\(code) \(entry.code)")
      }
    }
  }

  @Test func theSchemaHasEveryKeyWithTheTypeThatTheTableSays() throws {
    let schema = try StrictJSON.parse(LogSchema.text)
    let properties = try #require(schema["properties"])
    #expect(properties.keys == LogKey.allCases.map(\.rawValue))
    for key in LogKey.allCases {
      let property = try #require(properties[key.rawValue])
      let documentation = key.documentation
      #expect(property["description"] == .string("\(documentation.meaning) (\(documentation.format))"))
      let type = property["enum"] == nil ? property["type"]?.text : "string"
      switch documentation.format.prefix(6) {
      case "number": #expect(type == "integer", "\(key)")
      case "string": #expect(type == "string", "\(key)")
      default: #expect(type == "object", "\(key)")
      }
    }
  }
}
