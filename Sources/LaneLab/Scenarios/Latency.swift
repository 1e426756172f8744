internal import CubeFSWire
internal import NetEndpoint

/// Two percentiles of a list of times, microseconds.
struct Latency: Equatable, Sendable {
  var p50: Double = 0
  var p99: Double = 0

  init(_ microseconds: [Double]) {
    let sorted = microseconds.sorted()
    guard let last = sorted.last else { return }
    p50 = sorted[sorted.count / 2]
    p99 = sorted.count >= 100 ? sorted[sorted.count * 99 / 100] : last
  }

  /// Classes whose operations are one small request and one small reply, and the opcode that stands for each.
  static let pings: [(kind: LabClass, opcode: UInt8)] = [
    (.repairControl, 0x10), (.deletion, 0x02), (.replication, 0x01), (.admin, 0x63),
  ]

  /// Pings one after the other, nothing else running.
  static func measure(
    _ world: LabWorld, route: Endpoint, seed: UInt64, number: UInt64, count: Int
  ) -> (
    latencies: [LabClass: Latency], findings: Oracle.Findings
  ) {
    let rules = world.datanodes[0].rules
    let caller = FaithfulCaller(CallerOptions(release: rules.release))
    let oracle = Oracle()
    var workload = Workload(seed: seed, firstKey: number << 28, contents: world.contents, release: rules.release)
    var latencies: [LabClass: Latency] = [:]
    for (kind, opcode) in pings {
      var operations: [LabOperation] = []
      while operations.count < count {
        let next = workload.operation(opcode)
        if !LabExtent.isAbsent(partition: next.key) { operations.append(next) }
      }
      for operation in operations { oracle.started(operation) }
      let results =
        kind.isPipelined
        ? FollowerTransport(caller: caller, target: route, depth: 1).run(operations) : operations.map { caller.run($0, to: route) }
      for result in results { oracle.ended(result, rules: rules) }
      // The first ones dial.
      latencies[kind] = Latency(results.dropFirst(min(10, count / 2)).map(\.microseconds))
    }
    caller.pool.closeAll()
    return (latencies, oracle.findings)
  }
}
