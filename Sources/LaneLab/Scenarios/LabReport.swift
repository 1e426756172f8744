internal import LaneJSON

/// What a scenario found, for a person and for a program.
public struct LabReport: Sendable {
  /// What became of the injections of one kind of fault.
  struct FaultTally: Sendable {
    var injected = 0
    /// Injections that the sidecar reported, or that did nothing.
    var detected = 0
    /// Injections whose wrong reply a caller took for its own.
    var delivered = 0
    /// Injections that have a line in the sidecar's log.
    var reported = 0
  }

  /// One figure, directly connected and through the sidecar.
  struct Comparison: Sendable {
    /// In the table.
    let name: String
    /// In the JSON object.
    let key: String
    var direct: Int
    var sidecar: Int
  }

  /// Lines of complaint in the table.
  private static let mostComplaints = 25

  var scenario: String
  var seed: UInt64
  var rounds: Int
  /// What the sidecars were told to do about conflicts, where that is the scenario's subject.
  var guardMode: LabGuardMode?
  var seconds: Double = 0
  var operations: [LabClass: Int] = [:]
  var faults: [FaultKind: FaultTally] = [:]
  var outcomes: [Outcome: Int] = [:]
  var started = 0
  var staleDirect = 0
  var staleSidecar = 0
  var wrongBytes = 0
  var lost = 0
  /// What is shown in two columns, in order.
  var comparisons: [Comparison] = []
  var latency: [LabClass: (direct: Latency, sidecar: Latency)] = [:]
  /// Sentences for a person, on whatever is worth knowing.
  var notes: [String] = []
  /// Where the sidecar leaves evidence; nil where it leaves none.
  var evidence: String?
  /// What is off, as sentences.
  var complaints: [String] = []

  /// True where nothing is off.
  public var ok: Bool { complaints.isEmpty }

  init(scenario: String, seed: UInt64, rounds: Int) {
    self.scenario = scenario
    self.seed = seed
    self.rounds = rounds
  }

  /// Notes a complaint unless the condition holds.
  mutating func expect(_ condition: Bool, _ complaint: @autoclosure () -> String) {
    if !condition { complaints.append(complaint()) }
  }

  /// Adds what an oracle found of operations through the sidecar.
  mutating func add(_ findings: Oracle.Findings) {
    operations.merge(findings.operations, uniquingKeysWith: +)
    outcomes.merge(findings.outcomes, uniquingKeysWith: +)
    started += findings.started
    lost += findings.lost
    wrongBytes += findings.wrongBytes
    staleSidecar += findings.staleAccepted
    expect(findings.lost == 0, "\(findings.lost) of \(findings.started) operations have no outcome")
    let what = findings.wrongOperations.sorted { $0.key < $1.key }.prefix(3).map { "partition \($0.key): \($0.value)" }
    let list = what.joined(separator: "; ")
    expect(findings.staleAccepted == 0, "\(findings.staleAccepted) replies of other operations were accepted (\(list))")
    expect(findings.wrongBytes == 0, "\(findings.wrongBytes) blocks with wrong bytes were accepted (\(list))")
    expect(findings.badErrorReplies == 0, "\(findings.badErrorReplies) error replies were not what a caller may get (\(list))")
    let rejected = findings.outcomes[.rejected] ?? 0
    expect(rejected == 0, "\(rejected) operations were answered with a reply that their caller's own checks refused")
  }

  /// Stops the sidecar and holds its end and its own account against the rules.
  /// - Parameter logTail: bytes of its log to read, from the end; nil for all of it.
  /// - Returns: the log.
  mutating func expectOrderlyEnd(of sidecar: some RunningSidecar, logTail: Int? = nil) -> SidecarLog {
    expect(sidecar.isRunning, "the sidecar ended by itself")
    let status = sidecar.stop(withinSeconds: 15)
    expect(
      status == 0, "the sidecar's exit status after SIGTERM is \(status.map { "\($0)" } ?? "none: it had to be killed"), expected 0")
    let log = SidecarLog(logTail.map { sidecar.logTail($0) } ?? sidecar.log)
    for line in log.foreign { complaints.append("a line of the sidecar's log is no JSON object with an event: \(line)") }
    if let accounting = log.accounting {
      let parts = accounting.outcomes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      notes.append("the sidecar's own account: started \(accounting.started), \(parts)")
      expect(accounting.isBalanced, "the sidecar's account does not add up: started \(accounting.started), \(parts)")
    } else {
      complaints.append("the sidecar's log has no accounting line")
    }
    if let evidence, let (line, file) = log.evidence {
      notes.append("the first alert with evidence: \(line)")
      notes.append("its story: lanekeeper explain \(evidence)/\(file)")
    }
    return log
  }

  /// One JSON object, on one line.
  public var json: String {
    var writer = JSONWriter()
    writer.object { json in
      json.member("scenario", scenario)
      json.member("seed", seed)
      json.member("rounds", rounds)
      if let guardMode { json.member("guard", guardMode.rawValue) }
      json.member("seconds", seconds)
      json.key("operations")
      json.object { json in
        for kind in LabClass.allCases { json.member(kind.rawValue, operations[kind] ?? 0) }
      }
      json.key("faults")
      json.object { json in
        for kind in FaultKind.allCases {
          guard let tally = faults[kind] else { continue }
          json.key(kind.rawValue)
          json.object { json in
            json.member("injected", tally.injected)
            json.member("detected", tally.detected)
            json.member("delivered", tally.delivered)
            json.member("reported", tally.reported)
          }
        }
      }
      json.key("outcomes")
      json.object { json in
        for outcome in Outcome.allCases { json.member(outcome.rawValue, outcomes[outcome] ?? 0) }
      }
      json.key("staleAccepted")
      json.object { json in
        json.member("direct", staleDirect)
        json.member("sidecar", staleSidecar)
      }
      json.member("wrongBytes", wrongBytes)
      json.member("lost", lost)
      json.key("latencyMicroseconds")
      json.object { json in
        for kind in LabClass.allCases {
          guard let (direct, sidecar) = latency[kind] else { continue }
          json.key(kind.rawValue)
          json.object { json in
            Self.write(direct, "direct", &json)
            Self.write(sidecar, "sidecar", &json)
          }
        }
      }
      if !comparisons.isEmpty {
        json.key("columns")
        json.object { json in
          for row in comparisons {
            json.key(row.key)
            json.object { json in
              json.member("direct", row.direct)
              json.member("sidecar", row.sidecar)
            }
          }
        }
      }
      json.key("complaints")
      json.array { json in
        for complaint in complaints { json.string(complaint) }
      }
      json.member("ok", ok)
    }
    return writer.text
  }

  private static func write(_ latency: Latency, _ name: String, _ json: inout JSONWriter) {
    json.key(name)
    json.object { json in
      json.member("p50", latency.p50)
      json.member("p99", latency.p99)
    }
  }

  /// A table for a person.
  public var table: String {
    let mode = guardMode.map { ", guard \($0.rawValue)" } ?? ""
    var lines = ["scenario \(scenario)\(mode), seed \(seed), rounds \(rounds), \(Self.tenths(seconds)) s", ""]
    lines += Self.columns(
      ["operations", ""], LabClass.allCases.compactMap { kind in operations[kind].map { [kind.rawValue, "\($0)"] } })
    if !faults.isEmpty {
      lines += Self.columns(
        ["fault", "injected", "detected", "delivered", "reported"],
        FaultKind.allCases.compactMap { kind in
          faults[kind].map { [kind.rawValue, "\($0.injected)", "\($0.detected)", "\($0.delivered)", "\($0.reported)"] }
        })
    }
    let sum = outcomes.values.reduce(0, +)
    lines += Self.columns(
      ["outcome", ""],
      Outcome.allCases.compactMap { outcome in outcomes[outcome].map { [outcome.rawValue, "\($0)"] } }
        + [["sum", "\(sum) of \(started) started, \(lost) lost"]])
    lines += Self.columns(
      ["wrong replies accepted", ""], [["direct", "\(staleDirect)"], ["sidecar", "\(staleSidecar)"], ["wrong bytes", "\(wrongBytes)"]])
    if !comparisons.isEmpty {
      lines += Self.columns(["", "direct", "sidecar"], comparisons.map { [$0.name, "\($0.direct)", "\($0.sidecar)"] })
    }
    if !latency.isEmpty {
      lines += Self.columns(
        ["latency, µs", "direct p50", "p99", "sidecar p50", "p99"],
        LabClass.allCases.compactMap { kind in
          latency[kind].map {
            [kind.rawValue] + [$0.direct.p50, $0.direct.p99, $0.sidecar.p50, $0.sidecar.p99].map { Self.tenths($0) }
          }
        })
    }
    lines += notes.map { "note: \($0)" }
    lines += complaints.prefix(Self.mostComplaints).map { "WRONG: \($0)" }
    if complaints.count > Self.mostComplaints { lines.append("WRONG: and \(complaints.count - Self.mostComplaints) things more") }
    lines.append(ok ? "ok" : "NOT OK")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func tenths(_ number: Double) -> String {
    let scaled = Int((number * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }

  /// The first column to the left, the others to the right.
  private static func columns(_ head: [String], _ rows: [[String]]) -> [String] {
    let all = [head] + rows
    let widths = head.indices.map { column in all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    let lines = all.map { row in
      row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: max(0, widths[column] - cell.count))
        return column == 0 ? cell + space : space + cell
      }.joined(separator: "  ")
    }
    return lines + [""]
  }
}
