internal import CubeFSWire
internal import NetEndpoint

/// One datanode of each release on a loopback address of its own, and what they hold.
final class LabWorld: Sendable {
  static let releases: [CubeFSRelease] = [.v3_3_0, .v3_4_0, .v3_5_3]

  let contents: Contents
  let script = FaultScript()
  let datanodes: [ScriptedDatanode]

  init(seed: UInt64) throws(LabIOError) {
    contents = Contents(seed: seed)
    var made: [ScriptedDatanode] = []
    for (index, release) in Self.releases.enumerated() {
      let address = Endpoint(address: 0x7F00_0100 + UInt32(index + 2), port: 0)
      made.append(try ScriptedDatanode(at: address, rules: DatanodeRules(release: release, contents: contents), script: script))
    }
    datanodes = made
  }

  var endpoints: [Endpoint] { datanodes.map(\.endpoint) }

  func stop() { for datanode in datanodes { datanode.stop() } }

  /// What no datanode may see of callers behind the sidecar.
  var violations: [String] {
    var found = zip(Self.releases, datanodes).flatMap { release, datanode in
      datanode.ledger.violations.map { "datanode \(release.rawValue): \($0)" }
    }
    let all = datanodes.map { $0.ledger.allStamps }
    let distinct = all.reduce(into: Set<Int64>()) { $0.formUnion($1) }
    let sum = all.reduce(0) { $0 + $1.count }
    if distinct.count != sum { found.append("\(sum - distinct.count) stamps were seen by more than one datanode") }
    return found
  }
}
