internal import CubeFSWire
internal import NetEndpoint

/// The callers of an abandon scenario: each thread is a datanode process of its own, with its pool and its counter of ReqIDs.
struct AbandonCallers {
  /// Threads for each release.
  private static let threadsEach = 2
  /// A left connection may sit five times in a pool; then come new ones.
  private static let mostAttempts = 10

  let plan: AbandonPlan
  /// Where to connect, in the order of the plan's releases.
  let targets: [Endpoint]
  let seed: UInt64
  let rounds: Int

  /// Runs all rounds.
  func run() -> AbandonTally {
    let results = Results()
    let all = plan.releases.count * Self.threadsEach
    let threads = (0..<all).map { index in
      LabThread { results.add(loop(index, rounds: rounds / all + (index < rounds % all ? 1 : 0))) }
    }
    for thread in threads { thread.join() }
    var tally = results.merged
    tally.finish()
    return tally
  }

  private func loop(_ index: Int, rounds: Int) -> AbandonTally {
    let release = plan.releases[index % plan.releases.count]
    let target = targets[index % plan.releases.count]
    let rules = SerialRules(release: release)
    let oracle = SerialOracle(rules: rules)
    var workload = AbandonWorkload(plan, rules, seed: seed, thread: index)
    // With five connections a left one is taken again four operations later, with one at once.
    let pool = CallerPool(firstDials: index / plan.releases.count % 2 == 0 ? 5 : 1)
    let caller = FaithfulCaller(CallerOptions(release: release, leavesRepliesUnread: true), pool: pool)
    var tally = AbandonTally()
    for _ in 0..<rounds {
      tally.rounds += 1
      var isDone = false
      for _ in 0...(workload.leavesTwice() ? 1 : 0) { isDone = leave(caller, target, oracle, &workload, &tally) }
      let pause = workload.pause()
      if pause > 0 { LabClock.sleep(microseconds: UInt32(pause)) }
      if follow(caller, target, oracle, &workload, &tally) && isDone { tally.completed += 1 }
    }
    pool.closeAll()
    return tally
  }

  /// - Returns: true where the caller left, false where no connection let it come to that.
  private func leave(
    _ caller: FaithfulCaller, _ target: Endpoint, _ oracle: SerialOracle, _ workload: inout AbandonWorkload, _ tally: inout AbandonTally
  ) -> Bool {
    for _ in 0..<Self.mostAttempts {
      let (operation, place) = workload.left()
      let result = caller.run(operation, to: target)
      tally.add(result, oracle.judge(result))
      guard hasEnded(result, oracle) else { continue }
      tally.places[place, default: 0] += 1
      return true
    }
    return false
  }

  /// - Returns: true where an attempt came to its own end.
  private func follow(
    _ caller: FaithfulCaller, _ target: Endpoint, _ oracle: SerialOracle, _ workload: inout AbandonWorkload, _ tally: inout AbandonTally
  ) -> Bool {
    for _ in 0..<Self.mostAttempts {
      let result = caller.run(workload.followUp(), to: target)
      let verdict = oracle.judge(result)
      tally.add(result, verdict)
      if verdict == .own && hasEnded(result, oracle) { return true }
    }
    return false
  }

  /// True where the caller does not try again: it left, or it has all replies, or the datanode's own error.
  private func hasEnded(_ result: CallResult, _ oracle: SerialOracle) -> Bool {
    switch result.outcome {
    case .abandoned, .delivered: true
    case .errorReply: result.errorReply == oracle.rules.replies(to: result.request).first
    default: false
    }
  }

  private final class Results: @unchecked Sendable {
    private let lock = LabLock()
    private var sum = AbandonTally()
    var merged: AbandonTally { lock.withLock { sum } }
    func add(_ tally: AbandonTally) { lock.withLock { sum.merge(tally) } }
  }
}
