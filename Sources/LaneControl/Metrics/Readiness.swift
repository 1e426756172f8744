internal import LaneProxy
internal import NetEndpoint

/// Whether the sidecar should get callers, and why not.
enum Readiness {
  /// One line for each reason; none where it is ready.
  /// - Parameter snapshot: nil where the reactor gave none in time.
  static func reasons(_ snapshot: ServiceSnapshot?) -> [String] {
    guard let snapshot else { return ["reactor does not answer within 1 s"] }
    var reasons: [String] = []
    if snapshot.status.isDraining { reasons.append("draining") }
    for endpoint in snapshot.status.notAccepting { reasons.append("listener \(endpoint) is not accepting") }
    return reasons + snapshot.unreadiness
  }

  /// The most addresses that one line names.
  private static let mostNamed = 32

  /// What is worth knowing without being a reason: who still speaks plain.
  static func remarks(_ snapshot: ServiceSnapshot?) -> [String] {
    guard let tls = snapshot?.status.tls else { return [] }
    let sources = tls.plainSources.sorted().map { String("\(Endpoint(address: $0, port: 0))".prefix { $0 != ":" }) }
    return [("inbound in plain from", sources), ("outbound in plain to", tls.plainPeers.map { "\($0)" })].compactMap { what, names in
      guard !names.isEmpty else { return nil }
      let more = names.count - mostNamed
      return "\(what) " + names.prefix(mostNamed).joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }
  }
}
