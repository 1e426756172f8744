internal import LaneProxy

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
}
