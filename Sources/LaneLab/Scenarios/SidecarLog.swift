/// What the sidecar's log says: one JSON object a line.
struct SidecarLog {
  /// The numbers of the last `accounting` line.
  struct Accounting: Sendable {
    let started: UInt64
    /// `delivered`, `errorReply`, `reset`, `abandoned`, `noneDue`.
    let outcomes: [String: UInt64]
    var isBalanced: Bool { started == outcomes.values.reduce(0, &+) }
  }

  private static let outcomeNames = ["delivered", "errorReply", "reset", "abandoned", "noneDue"]

  /// Reasons reported for each PartitionID.
  private(set) var reasons: [UInt64: Set<String>] = [:]
  /// How often each reason was reported at all.
  private(set) var counts: [String: Int] = [:]
  /// How often each event was reported.
  private(set) var events: [String: Int] = [:]
  /// Every line that raises an alert: the PartitionID and the reason it names, if any, and the line.
  private(set) var alerts: [(partition: UInt64?, reason: String?, line: String)] = []
  private(set) var accounting: Accounting?
  /// Lines that are no JSON object, the first few.
  private(set) var foreign: [String] = []

  init(_ text: String) {
    for line in text.split(separator: "\n") {
      guard let entry = LabJSON(Array(line.utf8)), entry["event"] != nil else {
        if foreign.count < 5 { foreign.append(String(line.prefix(200))) }
        continue
      }
      if let event = entry["event"]?.text { events[event, default: 0] += 1 }
      if entry["event"]?.text == "accounting" { readAccounting(entry) }
      let partition = entry["partition"]?.unsigned ?? Self.partition(inObserved: entry)
      if entry["alert"] != nil { alerts.append((partition, entry["reason"]?.text, String(line))) }
      guard let reason = entry["reason"]?.text else { continue }
      counts[reason, default: 0] += 1
      if let partition { reasons[partition, default: []].insert(reason) }
    }
  }

  /// A reply that belongs to no operation is described in words: `… partition N …`.
  private static func partition(inObserved entry: LabJSON) -> UInt64? {
    guard let words = entry["observed"]?.text?.split(separator: " "), let index = words.firstIndex(of: "partition") else { return nil }
    return words.dropFirst(index + 1).first.flatMap { UInt64($0) }
  }

  private mutating func readAccounting(_ entry: LabJSON) {
    guard let started = entry["started"]?.unsigned else { return }
    var outcomes: [String: UInt64] = [:]
    for name in Self.outcomeNames { outcomes[name] = entry[name]?.unsigned ?? 0 }
    accounting = Accounting(started: started, outcomes: outcomes)
  }
}
