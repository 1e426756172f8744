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

  /// What was reported of operations that conflict.
  struct Conflicts: Sendable, Equatable {
    /// All of them, by what the two do to each other.
    var reasons: [String: Int] = [:]
    /// How many were held, and were let go on when the other was over.
    var held = 0
    /// How many were held for as long as may be.
    var atLimit = 0
    /// How long all these were held, together. Of holds that were folded into one line the last counts for each.
    var heldMicroseconds: UInt64 = 0
    /// The first line of one that was held for as long as may be.
    var limitExample: String?

    var seen: Int { reasons.values.reduce(0, +) }

    static func + (one: Conflicts, other: Conflicts) -> Conflicts {
      Conflicts(
        reasons: one.reasons.merging(other.reasons, uniquingKeysWith: +), held: one.held + other.held,
        atLimit: one.atLimit + other.atLimit, heldMicroseconds: one.heldMicroseconds &+ other.heldMicroseconds,
        limitExample: one.limitExample ?? other.limitExample)
    }
  }

  /// Reasons reported for each PartitionID.
  private(set) var reasons: [UInt64: Set<String>] = [:]
  /// How often each reason was reported at all.
  private(set) var counts: [String: Int] = [:]
  /// How often each event was reported.
  private(set) var events: [String: Int] = [:]
  /// Every line that raises an alert: the PartitionID and the reason it names, if any, and the line.
  private(set) var alerts: [(partition: UInt64?, reason: String?, line: String)] = []
  /// The first line that names a file of evidence, and the file.
  private(set) var evidence: (line: String, file: String)?
  private(set) var conflicts = Conflicts()
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
      readConflict(entry, line)
      if evidence == nil, let file = entry["evidence"]?.text { evidence = (String(line), file) }
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

  private mutating func readConflict(_ entry: LabJSON, _ line: Substring) {
    let event = entry["event"]?.text
    guard let reason = entry["reason"]?.text, ["conflict.detected", "conflict.held", "conflict.limit"].contains(event) else { return }
    // A line may stand for many.
    let count = Int(clamping: entry["folded"]?.unsigned ?? 1)
    conflicts.reasons[reason, default: 0] += count
    if event == "conflict.held" { conflicts.held += count }
    if event == "conflict.limit" {
      conflicts.atLimit += count
      conflicts.limitExample = conflicts.limitExample ?? String(line)
    }
    conflicts.heldMicroseconds &+= (entry["durationMicroseconds"]?.unsigned ?? 0) &* UInt64(count)
  }

  private mutating func readAccounting(_ entry: LabJSON) {
    guard let started = entry["started"]?.unsigned else { return }
    var outcomes: [String: UInt64] = [:]
    for name in Self.outcomeNames { outcomes[name] = entry[name]?.unsigned ?? 0 }
    accounting = Accounting(started: started, outcomes: outcomes)
  }
}
