internal import NetEndpoint

/// Keeps operations of every class waiting at one datanode, and counts whose connections are open.
struct ClassesScenario {
  private static let threadsEach = 3
  private static let operationsEach = 8

  let options: LabOptions

  func run(_ report: inout LabReport) throws {
    let run = try SidecarRun(options)
    let datanode = run.world.datanodes[2]
    let target = run.routes[2]
    let oracle = Oracle()
    var workload = Workload(
      seed: options.seed, firstKey: 1 << 28, contents: run.world.contents, release: datanode.rules.release)
    let caller = FaithfulCaller(CallerOptions(release: datanode.rules.release))
    var threads: [LabThread] = []
    for kind in LabClass.allCases {
      for _ in 0..<Self.threadsEach {
        let operations = (0..<Self.operationsEach * options.rounds).map { _ in workload.operation(kind) }
        for operation in operations { run.world.script.plan(.slow, for: operation.key) }
        threads.append(
          LabThread {
            for operation in operations { oracle.started(operation) }
            let results =
              kind.isPipelined
              ? FollowerTransport(caller: caller, target: target, depth: 2).run(operations)
              : operations.map { caller.run($0, to: target) }
            for result in results { oracle.ended(result, rules: datanode.rules) }
          })
      }
    }
    let total = LabClass.allCases.count * Self.threadsEach * Self.operationsEach * options.rounds
    let most = watch(datanode, until: { oracle.findings.ended >= total })
    for thread in threads { thread.join() }
    let findings = oracle.findings
    report.add(findings)
    report.notes += findings.failureNotes
    for kind in LabClass.allCases {
      let all = datanode.ledger.connections.filter { $0.classes == [kind] }.count
      let seen = most[kind] ?? 0
      report.notes.append("class \(kind.rawValue): \(all) connections to \(datanode.endpoint), \(seen) of them at once in /proc/net/tcp")
      report.expect(seen > 0, "no connection of class \(kind.rawValue) was seen in /proc/net/tcp")
    }
    run.finish(&report)
  }

  /// The most connections of each class seen at once, by the datanode's account and by the kernel's.
  private func watch(_ datanode: ScriptedDatanode, until done: () -> Bool) -> [LabClass: Int] {
    var most: [LabClass: Int] = [:]
    while !done() {
      let established = ConnectionTable.established(to: datanode.endpoint)
      var now: [LabClass: Int] = [:]
      // Read after the table: a connection that ended in between was open when the kernel was asked.
      for connection in datanode.ledger.connections where established.contains(connection.peer) {
        for kind in connection.classes { now[kind, default: 0] += 1 }
      }
      most.merge(now, uniquingKeysWith: max)
      LabClock.sleep(milliseconds: 20)
    }
    return most
  }
}
