internal import CubeFSWire
internal import NetEndpoint

/// Callers leave replies unread, pool the connection and believe what they read next: first directly connected, then through
/// the sidecar. The callers are one process, the sidecar another, the datanodes this one.
struct AbandonScenario {
  /// Rounds of the pass without the sidecar: enough to see what it is there for.
  private static let directRounds = 2_000
  /// For the callers' process, beyond its rounds.
  private static let patience: Int64 = 120
  /// A round takes a fraction of a millisecond; no machine takes so long.
  private static let slowestRoundMs: Int64 = 50
  /// What is read of the sidecar's log, from its end: a million resets fill hundreds of megabytes.
  private static let logTail = 1 << 20

  let plan: AbandonPlan
  let options: LabOptions
  let progress: @Sendable (String) -> Void

  func run(_ report: inout LabReport) throws {
    let datanodes = try plan.releases.enumerated().map { index, release in
      try SerialDatanode(at: Endpoint(address: 0x7F00_0102 + UInt32(index), port: 0), rules: SerialRules(release: release))
    }
    defer { for datanode in datanodes { datanode.stop() } }
    let endpoints = datanodes.map(\.endpoint)
    let stress = Stress(threads: options.stress)
    defer { stress.end() }

    let directRounds = min(Self.directRounds, options.rounds)
    progress("direct: \(directRounds) rounds")
    let direct = try callers(endpoints, rounds: directRounds)
    report.staleDirect = direct.staleAccepted
    report.expect(direct.staleAccepted > 0, "without the sidecar no stale reply was accepted: the scenario is not testing")
    report.expect(direct.wrongBytes == 0, "the lab itself is wrong: \(direct.wrongBytes) wrong blocks without the sidecar")
    report.notes.append("direct: \(direct.summary)")

    let sidecar = try SidecarProcess(options, peers: endpoints)
    try sidecar.waitUntilReady()
    progress("through the sidecar: \(options.rounds) rounds")
    let start = LabClock.nanoseconds
    let through = try callers(sidecar.listeners, rounds: options.rounds)
    let seconds = Double(LabClock.nanoseconds - start) / 1_000_000_000
    report.add(through, latencies: direct.latency)
    report.notes.append("sidecar: \(through.summary); \(Int(Double(through.rounds) / seconds)) rounds a second")
    if plan.leavesWholePackets {
      report.expect(through.malformed == 0, "\(through.malformed) operations read bytes that are no packet, though nobody left inside one")
    }
    let resets = through.outcomes[.reset] ?? 0
    let excused = through.excusedResets(plan)
    report.expect(resets <= excused, "\(resets) operations were reset, where callers gave cause for \(excused) at most")
    _ = report.expectOrderlyEnd(of: sidecar, logTail: Self.logTail)
    if report.ok { sidecar.removeFiles() } else { report.notes.append("the sidecar's configuration and log are in \(sidecar.files)") }
  }

  /// Runs the callers as a process of their own.
  private func callers(_ targets: [Endpoint], rounds: Int) throws -> AbandonTally {
    let words = [
      "lab", "--scenario", plan.rawValue, "--seed", "\(options.seed)", "--rounds", "\(rounds)", "--callers",
      targets.map { "\($0)" }.joined(separator: ","),
    ]
    let directory = try LabDirectory()
    defer { directory.remove() }
    let child = try ChildProcess(program: options.program, words: words, logPath: directory.file("callers.log"))
    let limit = Self.patience + Int64(rounds) * Self.slowestRoundMs / 1_000
    guard let status = child.wait(forSeconds: limit) else {
      _ = child.stop(withinSeconds: 0)
      throw ChildProcess.Failure(description: "the callers did not end within \(limit) s:\n\(child.log.suffix(2_000))")
    }
    let lines = child.log.split(separator: "\n")
    guard status == 0, let last = lines.last, let tally = AbandonTally(String(last)) else {
      throw ChildProcess.Failure(description: "the callers ended with status \(status):\n\(child.log.suffix(2_000))")
    }
    return tally
  }
}

/// Threads that do nothing but keep the processors busy.
private final class Stress: Sendable {
  private let ended = LabFlag()

  init(threads: Int) {
    for _ in 0..<threads {
      LabThread.detached { [self] in while !ended.isRaised {} }
    }
  }

  func end() { ended.raise() }
}

extension AbandonTally {
  /// How many operations may meet a reset: one for each that was left, which ends its connection, and one for each error
  /// reply, after which the datanode does. Nobody reads the reply after the last one of 17: it is no cause.
  func excusedResets(_ plan: AbandonPlan) -> Int {
    places.reduce(0) { $0 + (plan == .snapshotExtraReply && $1.key == .surplus ? 0 : $1.value) } + (outcomes[.errorReply] ?? 0)
  }

  /// One line for a person.
  var summary: String {
    func list(_ counts: some Sequence<(String, Int)>) -> String {
      let words = counts.sorted { $0.0 < $1.0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
      return words.isEmpty ? "none" : words
    }
    return "\(completed) of \(rounds) rounds completed, \(started) operations; left: \(list(places.map { ($0.key.rawValue, $0.value) })); "
      + "stale replies believed: \(list(stale.map { ($0.key, $0.value) })); ends: \(list(outcomes.map { ($0.key.rawValue, $0.value) }))"
  }
}

extension LabReport {
  /// Adds what callers found through the sidecar, and what is wrong with it.
  mutating func add(_ tally: AbandonTally, latencies direct: [LabClass: Latency]) {
    operations.merge(tally.operations, uniquingKeysWith: +)
    outcomes.merge(tally.outcomes, uniquingKeysWith: +)
    started += tally.started
    lost += tally.lost
    wrongBytes += tally.wrongBytes
    staleSidecar += tally.staleAccepted
    for (kind, latency) in tally.latency { self.latency[kind] = (direct[kind] ?? Latency([]), latency) }
    let list = tally.examples.prefix(3).joined(separator: "; ")
    expect(tally.lost == 0, "\(tally.lost) of \(tally.started) operations have no outcome")
    expect(tally.staleAccepted == 0, "\(tally.staleAccepted) replies of other operations were accepted (\(list))")
    expect(tally.wrongBytes == 0, "\(tally.wrongBytes) blocks with wrong bytes were accepted (\(list))")
    let rejected = tally.outcomes[.rejected] ?? 0
    expect(rejected == 0, "\(rejected) operations were answered with a reply that their caller's own checks refused")
    let late = tally.outcomes[.timedOut] ?? 0
    expect(late == 0, "\(late) operations met their caller's deadline")
    expect(tally.completed == tally.rounds, "\(tally.rounds - tally.completed) of \(tally.rounds) rounds were not completed")
    let causes = tally.causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(6)
    notes += causes.map { "\($0.value) operations failed: \($0.key)" }
  }
}
