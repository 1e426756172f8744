internal import CubeFSWire
internal import NetEndpoint

/// One side dies in mid-stream; afterwards everything works again, and every operation has an end.
struct KillScenario {
  let options: LabOptions
  let progress: @Sendable (String) -> Void

  /// Datanodes reset all their connections, stay away for a moment, and come back at the same address.
  func runPeerKill(_ report: inout LabReport) throws {
    let run = try SidecarRun(options)
    let (world, routes) = (run.world, run.routes)
    let enough = LabFlag()
    let findings = FindingsBox()
    let thread = LabThread { [options, progress] in
      var number: UInt64 = 20
      while !enough.isRaised {
        let pass = LabPass(
          world: world, routes: routes, seed: options.seed, number: number, perClass: 300, peersMayBeDown: true)
        findings.add(pass.run(progress: progress))
        number += 1
      }
    }
    let kills = 9 * options.rounds
    for kill in 0..<kills {
      LabClock.sleep(milliseconds: 150)
      let datanode = world.datanodes[kill % world.datanodes.count]
      datanode.stop(reset: true)
      LabClock.sleep(milliseconds: 100)
      try datanode.restart()
    }
    enough.raise()
    thread.join()
    for found in findings.values { report.add(found) }
    report.notes.append("datanodes were reset \(kills) times under load")
    progress("all datanodes are back")
    try afterwards(run, &report)
    run.finish(&report)
  }

  /// Connections of callers vanish with RST, before, within and after a reply, while other callers go on.
  func runCallerKill(_ report: inout LabReport) throws {
    let run = try SidecarRun(options)
    let load = LabPass(world: run.world, routes: run.routes, seed: options.seed, number: 1, perClass: 300 * options.rounds)
    let findings = FindingsBox()
    let thread = LabThread { [progress] in findings.add(load.run(progress: progress)) }
    let oracle = Oracle()
    let (world, routes) = (run.world, run.routes)
    let victims = world.datanodes.indices.map { index in
      LabThread { killCallers(world, index, routes[index], oracle) }
    }
    for victim in victims { victim.join() }
    thread.join()
    report.add(oracle.findings)
    for found in findings.values {
      report.add(found)
      report.expectNoFailure(found)
    }
    try afterwards(run, &report)
    run.finish(&report)
  }

  private func killCallers(_ world: LabWorld, _ index: Int, _ target: Endpoint, _ oracle: Oracle) {
    let rules = world.datanodes[index].rules
    var random = LabRandom(seed: options.seed &+ UInt64(index))
    var workload = Workload(
      seed: options.seed, firstKey: 9 << 28 | UInt64(index) << 24, contents: world.contents, release: rules.release)
    let caller = FaithfulCaller(CallerOptions(release: rules.release))
    for number in 0..<120 * options.rounds {
      var operation = workload.operation(LabClass.allCases[number % LabClass.allCases.count])
      if operation.opcode == 0x09 { operation.request.header.size = 4 << 20 }
      operation.request.header.reqID = caller.nextReqID()
      oracle.started(operation)
      if let socket = try? LabSocket.connect(to: target) {
        let bytes = operation.request.bytes
        let written = random.below(4) == 0 ? random.below(bytes.count) : bytes.count
        try? socket.write(Array(bytes[..<written]), deadline: caller.deadline(5))
        // Anything from no byte of the reply to a few blocks; an answer shorter than that ends at the deadline.
        let wanted = operation.opcode == 0x09 && written == bytes.count ? random.below(400_000) : 0
        _ = try? socket.read(wanted, deadline: LabClock.nanoseconds + 500_000_000)
        socket.close(reset: true)
      }
      oracle.ended(CallResult(request: operation.request, operation: operation, outcome: .abandoned), rules: rules)
    }
  }

  /// Waits until each peer answers, then a pass in which nothing may fail.
  private func afterwards(_ run: SidecarRun, _ report: inout LabReport) throws {
    for (index, route) in run.routes.enumerated() {
      let rules = run.world.datanodes[index].rules
      let caller = FaithfulCaller(CallerOptions(release: rules.release))
      var workload = Workload(
        seed: options.seed, firstKey: 10 << 28 | UInt64(index) << 24, contents: run.world.contents, release: rules.release)
      let deadline = LabClock.nanoseconds + 10_000_000_000
      while caller.run(workload.operation(0x10), to: route).outcome != .delivered {
        guard LabClock.nanoseconds < deadline else {
          report.complaints.append("10 s after it came back, \(run.world.endpoints[index]) cannot be reached")
          return
        }
        LabClock.sleep(milliseconds: 50)
      }
      caller.pool.closeAll()
    }
    let pass = LabPass(world: run.world, routes: run.routes, seed: options.seed, number: 2, perClass: 150 * options.rounds)
    let findings = pass.run(progress: progress)
    report.add(findings)
    report.expectNoFailure(findings)
  }
}
