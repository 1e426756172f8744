internal import CubeFSWire
internal import NetEndpoint

/// Repairers whose disk's rate limit lets them read one reply in ten seconds. Each must finish; one of two leaves in the
/// middle, and what it leaves must reach nobody.
struct SlowRepairScenario {
  /// Times are divided by this: the pause between two reads, the server's write deadline, the sidecar's back-pressure.
  private static let haste: Int64 = 12
  private static let pauseMs = UInt32(10_000 / haste)
  private static let replies = 8
  private static let readersEach = 2
  /// Well under the pause: an unread reply is an alert long before the next read.
  private static let settings =
    "gate:\n  slowStream: 300ms\ntimeouts:\n  backPressure: \(2_000 / haste)ms\n"

  let options: LabOptions
  let progress: @Sendable (String) -> Void

  func run(_ report: inout LabReport) throws {
    progress("directly connected")
    var datanodes = try makeDatanodes()
    let direct = play(datanodes, routes: datanodes.map(\.endpoint))
    for datanode in datanodes { datanode.stop() }

    progress("through the sidecar")
    datanodes = try makeDatanodes()
    let sidecar = try SidecarProcess(options, peers: datanodes.map(\.endpoint), settings: Self.settings)
    try sidecar.waitUntilReady()
    let through = play(datanodes, routes: sidecar.listeners)

    report.add(through.findings)
    report.staleDirect = direct.findings.staleAccepted
    let all = datanodes.count * Self.readersEach * options.rounds
    let resets = (direct.findings.outcomes[.reset] ?? 0, through.findings.outcomes[.reset] ?? 0)
    report.comparisons = [
      .init(name: "slow reads completed", key: "slowReadsCompleted", direct: direct.completed, sidecar: through.completed),
      .init(
        name: "stale replies accepted", key: "staleReplies", direct: direct.findings.staleAccepted,
        sidecar: through.findings.staleAccepted),
      .init(name: "resets", key: "resets", direct: resets.0, sidecar: resets.1),
    ]
    report.expect(direct.findings.staleAccepted > 0, "directly connected no stale reply was accepted: the scenario tests nothing")
    report.expect(direct.completed == all, "directly connected \(direct.completed) of \(all) slow reads were completed")
    report.expect(through.completed == all, "through the sidecar \(through.completed) of \(all) slow reads were completed")
    // Who leaves loses the connection with the next request; nobody else does.
    report.expect(resets.1 <= all, "\(resets.1) resets through the sidecar, where \(all) callers left a stream")
    var alerts = 0
    report.judgeEnd(of: sidecar, peers: datanodes, options) { end, log in
      alerts = log.events["caller.slow-stream"] ?? 0
      end.expect(alerts > 0, "the sidecar's log has no alert of a slow stream")
    }
    report.comparisons.append(.init(name: "alerts of a slow stream", key: "slowStreamAlerts", direct: 0, sidecar: alerts))
  }

  private func makeDatanodes() throws -> [ScriptedDatanode] {
    let contents = Contents(seed: options.seed)
    return try [CubeFSRelease.v3_3_0, .v3_5_3].enumerated().map { index, release in
      var rules = DatanodeRules(release: release, contents: contents)
      rules.writeDeadline /= Self.haste
      return try ScriptedDatanode(
        at: Endpoint(address: 0x7F00_0300 + UInt32(index + 2), port: 0), rules: rules, script: FaultScript())
    }
  }

  private func play(_ datanodes: [ScriptedDatanode], routes: [Endpoint]) -> (findings: Oracle.Findings, completed: Int) {
    let oracle = Oracle()
    let completed = Count()
    var threads: [LabThread] = []
    for (index, datanode) in datanodes.enumerated() {
      for reader in 0..<2 * Self.readersEach {
        let leavesAfter = reader % 2 == 1 ? 1 + reader : nil
        let firstKey = UInt64(index + 1) << 28 | UInt64(reader + 1) << 20
        threads.append(
          LabThread {
            for round in 0..<options.rounds {
              let whole = read(
                datanode.rules, routes[index], oracle, firstKey: firstKey + UInt64(round) << 10, leavesAfter: leavesAfter)
              if whole { completed.add() }
            }
          })
      }
    }
    for thread in threads { thread.join() }
    return (oracle.findings, completed.value)
  }

  /// One process: a slow read, and what the process asks by the same pool afterwards.
  /// - Returns: true where the read was meant to be completed and was.
  private func read(
    _ rules: DatanodeRules, _ target: Endpoint, _ oracle: Oracle, firstKey: UInt64, leavesAfter: Int?
  ) -> Bool {
    let caller = FaithfulCaller(CallerOptions(release: rules.release))
    defer { caller.pool.closeAll() }
    var workload = Workload(seed: options.seed, firstKey: firstKey, contents: rules.contents, release: rules.release)
    var slow = LabOperation(
      request: .request(
        0x09, partition: firstKey - 64, extent: 2_000, size: UInt32(Self.replies * rules.blockLength(partition: 0)), extentType: 1),
      site: .repair)
    slow.local = SlowSteps(pauseMs: Self.pauseMs, leavesAfter: leavesAfter)
    // The pool has five connections and is first in, first out: more than five requests meet the slow one's.
    let later = [0x08, 0x0A, 0x10, 0x11, 0x16, 0x08, 0x0A, 0x10, 0x11, 0x16, 0x08, 0x0A, 0x10].map { workload.operation($0) }
    var outcome: Outcome?
    for (number, operation) in ([slow] + later).enumerated() {
      oracle.started(operation)
      let result = caller.run(operation, to: target)
      if number == 0 { outcome = result.outcome }
      oracle.ended(result, rules: rules)
    }
    return leavesAfter == nil && outcome == .delivered
  }
}

/// A replica whose disk takes a reply now and then, and may be full at last.
private struct SlowSteps: LocalSteps {
  let pauseMs: UInt32
  let leavesAfter: Int?

  func beforeRead(_ replies: Int) throws(CallFailure) {
    LabClock.sleep(milliseconds: pauseMs)
    if replies == leavesAfter { throw .left }
  }

  func take(_ reply: LabPacket, at offset: Int64, count: Int64) {}
}

private final class Count: @unchecked Sendable {
  private let lock = LabLock()
  private var count = 0
  var value: Int { lock.withLock { count } }
  func add() { lock.withLock { count += 1 } }
}
