internal import CubeFSWire
internal import NetEndpoint

/// One run of many operations of every class, by callers of every release at once.
struct LabPass {
  let world: LabWorld
  /// Where the callers connect, one for each datanode: the datanodes themselves, or the sidecar's listeners.
  let routes: [Endpoint]
  let seed: UInt64
  /// Tells the PartitionIDs of this pass from those of all others of the run.
  let number: UInt64
  /// Operations of each class, at least.
  var perClass: Int
  var mischief: Mischief?
  var leavesRepliesUnread = false
  var closesAfterSnapshot = false
  var peersMayBeDown = false
  var haste: Int64 = 1

  private static let lockStepThreads = 3
  /// Operations that meet silence, of each release; each has a thread to itself.
  private static let silentEach = 3

  /// Runs all of it, and gives what the oracle found.
  /// - Parameter progress: hears of operations that take more than 15 s.
  func run(progress: @escaping @Sendable (String) -> Void = { _ in }) -> Oracle.Findings {
    let oracle = Oracle()
    let watch = Watch(oracle, progress)
    defer { watch.end() }
    var threads: [LabThread] = []
    for (index, release) in LabWorld.releases.enumerated() {
      threads += start(index, release, oracle)
    }
    for thread in threads { thread.join() }
    return oracle.findings
  }

  private func start(_ index: Int, _ release: CubeFSRelease, _ oracle: Oracle) -> [LabThread] {
    let rules = world.datanodes[index].rules
    let target = routes[index]
    var random = LabRandom(seed: seed &+ number << 8 &+ UInt64(index))
    var workload = Workload(
      seed: seed, firstKey: number << 28 | UInt64(index) << 24, contents: world.contents, release: release)
    let share = (perClass + LabWorld.releases.count - 1) / LabWorld.releases.count
    var lockStep: [LabOperation] = []
    var pipelined: [LabOperation] = []
    for kind in LabClass.allCases {
      let operations = (0..<share).map { _ in workload.operation(kind) }
      if kind.isPipelined { pipelined += operations } else { lockStep += operations }
    }
    lockStep += (0..<max(3, share / 10)).map { _ in workload.silent(known: peersMayBeDown) }
    lockStep.shuffle(using: &random)
    pipelined.shuffle(using: &random)
    if leavesRepliesUnread { leaveSome(&lockStep, &random) }

    let process = CallerOptions(
      release: release, leavesRepliesUnread: leavesRepliesUnread, closesAfterSnapshot: closesAfterSnapshot, haste: haste)
    let caller = FaithfulCaller(process)
    // A client reads on connections of its own. What it leaves unread nobody can know: behind it, a request that no reply is due
    // to could not be told from one whose replies were left.
    let client = FaithfulCaller(process)
    let bursts = self.bursts(pipelined, &random)
    var threads: [LabThread] = []
    if let mischief {
      let loud = Mischief(each: mischief.each, kinds: mischief.kinds.filter { $0 != .silent })
      // A fault fails whatever is in flight with it: two in one burst could not be told apart.
      let victims = bursts.compactMap { $0.randomElement(using: &random) }
      loud.plan(for: lockStep + victims, in: world.script, random: &random)
      if mischief.kinds.contains(.silent) {
        threads += silentThreads(&workload, caller, rules, target, oracle)
      }
    }
    for part in 0..<Self.lockStepThreads {
      let own = stride(from: part, to: lockStep.count, by: Self.lockStepThreads).map { lockStep[$0] }
      threads.append(
        LabThread {
          for operation in own {
            oracle.started(operation)
            let asker = operation.kind == .read || operation.kind == .other ? client : caller
            oracle.ended(asker.run(operation, to: target), rules: rules)
          }
        })
    }
    threads.append(LabThread { for burst in bursts { Self.pipeline(burst, caller, rules, target, oracle) } })
    return threads
  }

  /// A reader who leaves in mid-stream, as `streamRepairExtent` does on a full disk, and the tiny-delete reader who stops at
  /// the size of its task.
  private func leaveSome(_ operations: inout [LabOperation], _ random: inout LabRandom) {
    for index in operations.indices {
      switch operations[index].site {
      case .repair, .tinyDelete: if random.below(3) == 0 { operations[index].leavesAfter = 0 }
      default: break
      }
    }
  }

  /// What a leader sends on one connection. It ends with the first partition that does not exist: its error ends the
  /// connection, and what came after would fail without anybody's fault.
  private func bursts(_ operations: [LabOperation], _ random: inout LabRandom) -> [[LabOperation]] {
    var rest = operations[...]
    var bursts: [[LabOperation]] = []
    while !rest.isEmpty {
      var count = 1 + random.below(40)
      if let end = rest.prefix(count).firstIndex(where: { LabExtent.isAbsent(partition: $0.key) }) { count = end - rest.startIndex + 1 }
      bursts.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    return bursts
  }

  private static func pipeline(
    _ burst: [LabOperation], _ caller: FaithfulCaller, _ rules: DatanodeRules, _ target: Endpoint, _ oracle: Oracle
  ) {
    for operation in burst { oracle.started(operation) }
    for result in FollowerTransport(caller: caller, target: target, depth: 200).run(burst) { oracle.ended(result, rules: rules) }
  }

  private func silentThreads(
    _ workload: inout Workload, _ caller: FaithfulCaller, _ rules: DatanodeRules, _ target: Endpoint, _ oracle: Oracle
  ) -> [LabThread] {
    var threads: [LabThread] = []
    while threads.count < Self.silentEach {
      let operation = workload.operation(threads.count == 0 ? 0x03 : 0x14)
      if LabExtent.isAbsent(partition: operation.key) { continue }
      world.script.plan(.silent, for: operation.key)
      threads.append(
        LabThread {
          if operation.kind.isPipelined {
            Self.pipeline([operation], caller, rules, target, oracle)
          } else {
            oracle.started(operation)
            oracle.ended(caller.run(operation, to: target), rules: rules)
          }
        })
    }
    return threads
  }
}

/// Tells now and then what is taking long, so that a run that hangs says where.
private final class Watch: Sendable {
  private let ended = LabFlag()

  init(_ oracle: Oracle, _ progress: @escaping @Sendable (String) -> Void) {
    LabThread.detached { [self] in
      var ticks = 0
      while !ended.isRaised {
        LabClock.sleep(milliseconds: 100)
        ticks += 1
        guard ticks % 150 == 0 else { continue }
        let slow = oracle.unfinished(after: 15)
        if !slow.isEmpty { progress("\(slow.count) operations for more than 15 s: \(slow.prefix(6).joined(separator: ", "))") }
      }
    }
  }

  func end() { ended.raise() }
}
