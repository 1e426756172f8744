internal import CubeFSWire
internal import LaneJSON

/// What the callers of one pass found: written by their process, read by the lab's.
struct AbandonTally: Equatable, Sendable {
  /// Samples of a latency kept by each thread and class.
  private static let mostSamples = 5_000
  private static let mostTexts = 8

  /// Rounds whose operation was left and whose follow-up came to its own end.
  var completed = 0
  var rounds = 0
  var started = 0
  var operations: [LabClass: Int] = [:]
  var outcomes: [Outcome: Int] = [:]
  /// Operations left, by place.
  var places: [AbandonWorkload.Place: Int] = [:]
  /// Operations that believed a reply of another one, by opcode name.
  var stale: [String: Int] = [:]
  var wrongBytes = 0
  /// Operations whose connection gave bytes that are no packet.
  var malformed = 0
  /// What was believed wrongly, the first few in words.
  var examples: [String] = []
  /// How often callers gave which cause for a failure.
  var causes: [String: Int] = [:]
  var latency: [LabClass: Latency] = [:]
  private var samples: [LabClass: [Double]] = [:]

  var staleAccepted: Int { stale.values.reduce(0, +) }
  var ended: Int { outcomes.values.reduce(0, +) }
  var lost: Int { started - ended }

  /// An operation ended.
  mutating func add(_ result: CallResult, _ verdict: SerialOracle.Verdict) {
    let kind = result.operation.kind
    let name = result.operation.request.header.opcode.name
    started += 1
    operations[kind, default: 0] += 1
    if let outcome = result.outcome { outcomes[outcome, default: 0] += 1 }
    switch verdict {
    case .own: break
    case .stale(let words):
      stale[name, default: 0] += 1
      keep(words)
    case .wrong(let words):
      wrongBytes += 1
      keep(words)
    }
    if result.outcome == .delivered, samples[kind, default: []].count < Self.mostSamples {
      samples[kind, default: []].append(result.microseconds)
    }
    guard !result.note.isEmpty else { return }
    if result.note.hasPrefix("malformed") { malformed += 1 }
    let cause = "\(name): \(result.note)"
    if causes[cause] != nil || causes.count < 100 { causes[cause, default: 0] += 1 }
  }

  /// Takes in what another thread found.
  mutating func merge(_ other: AbandonTally) {
    completed += other.completed
    rounds += other.rounds
    started += other.started
    operations.merge(other.operations, uniquingKeysWith: +)
    outcomes.merge(other.outcomes, uniquingKeysWith: +)
    places.merge(other.places, uniquingKeysWith: +)
    stale.merge(other.stale, uniquingKeysWith: +)
    wrongBytes += other.wrongBytes
    malformed += other.malformed
    for words in other.examples { keep(words) }
    causes.merge(other.causes, uniquingKeysWith: +)
    samples.merge(other.samples, uniquingKeysWith: +)
  }

  /// Turns the samples into percentiles.
  mutating func finish() {
    latency = samples.mapValues { Latency($0) }
    samples = [:]
  }

  private mutating func keep(_ words: String) { if examples.count < Self.mostTexts { examples.append(words) } }

  /// One JSON object, on one line.
  var json: String {
    var writer = JSONWriter()
    writer.object { json in
      json.member("completed", completed)
      json.member("rounds", rounds)
      json.member("started", started)
      Self.write("operations", operations.map { ($0.key.rawValue, $0.value) }, &json)
      Self.write("outcomes", outcomes.map { ($0.key.rawValue, $0.value) }, &json)
      Self.write("places", places.map { ($0.key.rawValue, $0.value) }, &json)
      Self.write("stale", stale.map { ($0.key, $0.value) }, &json)
      json.member("wrongBytes", wrongBytes)
      json.member("malformed", malformed)
      json.key("examples")
      json.array { json in
        for words in examples { json.string(words) }
      }
      Self.write("causes", causes.map { ($0.key, $0.value) }, &json)
      Self.write("p50", latency.map { ($0.key.rawValue, Int($0.value.p50 * 1_000)) }, &json)
      Self.write("p99", latency.map { ($0.key.rawValue, Int($0.value.p99 * 1_000)) }, &json)
    }
    return writer.text
  }

  private static func write(_ name: String, _ members: [(String, Int)], _ json: inout JSONWriter) {
    json.key(name)
    json.object { json in
      for (name, value) in members.sorted(by: { $0.0 < $1.0 }) { json.member(name, value) }
    }
  }

  init() {}

  /// Reads what `json` wrote; nil for anything else.
  init?(_ text: String) {
    guard let json = LabJSON(Array(text.utf8)), let rounds = Self.number(json["rounds"]),
      let completed = Self.number(json["completed"]), let started = Self.number(json["started"]),
      let wrongBytes = Self.number(json["wrongBytes"]), let malformed = Self.number(json["malformed"])
    else { return nil }
    self.rounds = rounds
    self.completed = completed
    self.started = started
    self.wrongBytes = wrongBytes
    self.malformed = malformed
    operations = Self.members(json["operations"]) { LabClass(rawValue: $0) }
    outcomes = Self.members(json["outcomes"]) { Outcome(rawValue: $0) }
    places = Self.members(json["places"]) { AbandonWorkload.Place(rawValue: $0) }
    stale = Self.members(json["stale"]) { $0 }
    causes = Self.members(json["causes"]) { $0 }
    if case .array(let items) = json["examples"] { examples = items.compactMap(\.text) }
    let last = Self.members(json["p99"]) { LabClass(rawValue: $0) }
    for (kind, middle) in Self.members(json["p50"], { LabClass(rawValue: $0) }) {
      var read = Latency([])
      read.p50 = Double(middle) / 1_000
      read.p99 = Double(last[kind] ?? 0) / 1_000
      latency[kind] = read
    }
  }

  private static func number(_ json: LabJSON?) -> Int? { json?.unsigned.flatMap { Int(exactly: $0) } }

  private static func members<Key: Hashable>(_ json: LabJSON?, _ key: (String) -> Key?) -> [Key: Int] {
    guard case .object(let members) = json else { return [:] }
    var found: [Key: Int] = [:]
    for (name, value) in members { if let key = key(name), let number = number(value) { found[key] = number } }
    return found
  }
}
