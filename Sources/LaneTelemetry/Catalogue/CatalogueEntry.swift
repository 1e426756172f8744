internal import LaneCore

/// One alert's code or one reason, and all that an operator is told about it. In texts only: whoever shows it needs no more.
public struct CatalogueEntry: Sendable {
  /// What a code names.
  public enum Kind: String, Sendable {
    /// An event that an operator should know of: the log's `alert`.
    case alert
    /// Why something happened: the log's `reason`.
    case reason
  }

  /// What the code names.
  public let kind: Kind
  /// As it stands in the log.
  public let code: String
  /// `critical`, `warning`: those that it can have, the gravest first. None: lines with it are no alerts.
  public let severities: [String]
  /// One line.
  public let summary: String
  /// What happened.
  public let happened: String
  /// What Lanekeeper did about it.
  public let did: String
  /// What to look at, in this order.
  public let look: [String]
  /// What an operator may do, or is to do.
  public let safe: [String]
  /// When to wake a developer; nil where the alert that the reason comes with says so.
  public let developer: String?
  /// An alert's reasons, or the events that bear the reason.
  public let related: [String]
  /// Lines of the log as the formatter makes them: one for each severity of an alert, one for a reason.
  public let examples: [String]
}

/// Every alert and every reason there is.
public enum Catalogue {
  /// The alerts, the gravest first, then by code.
  public static var alerts: [CatalogueEntry] {
    LaneEvent.Name.allCases.compactMap(alert).sorted { ($0.severities.first ?? "", $0.code) < ($1.severities.first ?? "", $1.code) }
  }

  /// The reasons, by code.
  public static var reasons: [CatalogueEntry] { Reason.allCases.map(reason).sorted { $0.code < $1.code } }

  /// The entry of that code.
  public static func entry(_ code: String) -> CatalogueEntry? {
    if let name = LaneEvent.Name(rawValue: code), let found = alert(name) { return found }
    return Reason(rawValue: code).map(reason)
  }

  private static func alert(_ name: LaneEvent.Name) -> CatalogueEntry? {
    guard let advice = AlertCatalogue.advice(name) else { return nil }
    let severities = name.severities
    return CatalogueEntry(
      kind: .alert, code: name.rawValue, severities: severities.map(\.rawValue), summary: advice.summary, happened: advice.happened,
      did: advice.did, look: advice.look, safe: advice.safe, developer: advice.developer,
      related: Reason.allCases.filter { LaneEvent(name, reason: $0).severity != nil && name.bears($0) }.map(\.rawValue).sorted(),
      examples: severities.map { CatalogueExample.line(name, AlertCatalogue.typicalReason(name, $0)) })
  }

  private static func reason(_ reason: Reason) -> CatalogueEntry {
    let cause = AlertCatalogue.cause(reason)
    let severities = cause.events.compactMap { LaneEvent($0, reason: reason).severity }
    return CatalogueEntry(
      kind: .reason, code: reason.rawValue,
      severities: LaneEvent.Severity.gravestFirst.filter(severities.contains).map(\.rawValue), summary: cause.happened,
      happened: cause.happened, did: cause.did, look: [], safe: [cause.advice], developer: nil, related: cause.events.map(\.rawValue),
      examples: cause.events.first.map { [CatalogueExample.line($0, reason)] } ?? [])
  }
}

extension LaneEvent.Severity {
  static let gravestFirst: [Self] = [.critical, .warning]
}

extension LaneEvent.Name {
  /// Whether lines of this event can have that reason.
  func bears(_ reason: Reason) -> Bool { AlertCatalogue.cause(reason).events.contains(self) }

  /// The severities that lines of this event can have, the gravest first.
  var severities: [LaneEvent.Severity] {
    let reasons = [nil] + Reason.allCases.filter { bears($0) }.map(Optional.some)
    var possible = reasons.compactMap { LaneEvent(self, reason: $0).severity }
    // A line of this one is an alert by its counts, not by its reason.
    if self == .accounting { possible.append(.critical) }
    return LaneEvent.Severity.gravestFirst.filter(possible.contains)
  }

  /// Whether every line of this event is an alert.
  var isAlwaysAnAlert: Bool {
    ([nil] + Reason.allCases.filter { bears($0) }.map(Optional.some)).allSatisfy { LaneEvent(self, reason: $0).severity != nil }
  }
}
