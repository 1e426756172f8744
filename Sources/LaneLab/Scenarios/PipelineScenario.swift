internal import CubeFSWire

/// Follower replication and deletions at full depth, and the error that overtakes (PROTOCOL.md 6.1).
struct PipelineScenario {
  static let depth = 256

  let options: LabOptions

  func run(_ report: inout LabReport) throws {
    let run = try SidecarRun(options)
    let oracle = Oracle()
    let threads = run.world.datanodes.indices.map { index -> LabThread in
      let rules = run.world.datanodes[index].rules
      var workload = Workload(
        seed: options.seed, firstKey: UInt64(index + 1) << 24, contents: run.world.contents, release: rules.release)
      let operations = mixed(&workload, count: 1_500 * options.rounds)
      let transport = FollowerTransport(
        caller: FaithfulCaller(CallerOptions(release: rules.release)), target: run.routes[index], depth: Self.depth)
      return LabThread {
        for operation in operations { oracle.started(operation) }
        for result in transport.run(operations) { oracle.ended(result, rules: rules) }
      }
    }
    for thread in threads { thread.join() }
    report.add(oracle.findings)
    report.expectNoFailure(oracle.findings)
    for index in run.world.datanodes.indices { overtake(run, index, &report) }
    run.finish(&report)
  }

  /// Runs of one class, as a leader under load sends them.
  private func mixed(_ workload: inout Workload, count: Int) -> [LabOperation] {
    var random = LabRandom(seed: options.seed &+ 99)
    var operations: [LabOperation] = []
    while operations.count < count {
      let kind: LabClass = random.below(4) == 0 ? .deletion : .replication
      for _ in 0...random.below(400) {
        let next = workload.operation(kind)
        // An absent partition ends the connection with an error: that is the second part's subject.
        if !LabExtent.isAbsent(partition: next.key) { operations.append(next) }
      }
    }
    return Array(operations.prefix(count))
  }

  /// The datanode answers none of 200 requests until a write with a bad CRC comes, then that one first. The caller, which
  /// reads in order, has to see exactly that error, with the ReqID it gave that write, and nothing else.
  private func overtake(_ run: SidecarRun, _ index: Int, _ report: inout LabReport) {
    let datanode = run.world.datanodes[index]
    let rules = datanode.rules
    var workload = Workload(
      seed: options.seed, firstKey: UInt64(index + 1) << 28, contents: run.world.contents, release: rules.release)
    var operations: [LabOperation] = []
    while operations.count < 201 {
      let next = workload.operation(0x03)
      if !LabExtent.isAbsent(partition: next.key) { operations.append(next) }
    }
    operations[200].request.header.crc ^= 1
    for operation in operations[..<200] { run.world.script.holdBack(operation.key) }
    let before = datanode.ledger.requestCount
    let transport = FollowerTransport(
      caller: FaithfulCaller(CallerOptions(release: rules.release)), target: run.routes[index], depth: Self.depth)
    let results = transport.run(operations)
    let name = "datanode \(rules.release.rawValue)"
    let inFlight = datanode.ledger.requestCount - before
    report.expect(inFlight == 201, "\(name): \(inFlight) of 201 requests were in flight together before the first reply")
    let expected = rules.preparation(results[200].request)
    let got = results[0].errorReply
    report.expect(
      got != nil && got == expected,
      "\(name): the overtaking error did not arrive as sent: the caller's first reply is \(got.map { "\($0.header)" } ?? results[0].note)")
    report.notes.append("\(name): \(inFlight) requests in flight on one connection, then the overtaking error")
    let ends = results.compactMap(\.outcome)
    report.started += results.count
    report.lost += results.count - ends.count
    for (operation, end) in zip(operations, ends) {
      report.operations[operation.kind, default: 0] += 1
      report.outcomes[end, default: 0] += 1
    }
  }
}
