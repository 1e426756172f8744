package import LaneCore

/// One defect of the gate for each condition of its rule.
public enum GateMutant: String, Sendable, CaseIterable {
  /// Q1 is not asked.
  case dropArrival = "drop-q1"
  /// One answer serves as Q1 and Q2.
  case mergeQueries = "merge-q1-q2"
  /// What was sent is not compared.
  case dropA = "drop-a"
  /// What was acknowledged is not compared.
  case dropB = "drop-b"
  /// Neither is.
  case dropBoth = "drop-a-and-b"
  /// The counters withhold only where they are over R.
  case onlyGreater = "only-greater"
  /// What was sent is believed after retransmissions.
  case trustRetransmitted = "trust-retransmitted"
  /// The first reply is not gated.
  case firstReplyUngated = "skip-first-reply"
  /// A newer request cancels, whatever was handed over.
  case cancelUnchecked = "cancel-unchecked"
  /// An empty receive queue is enough.
  case receiveQueueAlone = "rqueue-alone"
  /// Any socket's answer counts.
  case ignoreCookie = "ignore-cookie"
  /// A newer request does not end the wait.
  case ignoreReadable = "ignore-readable"
  /// An upper layer is no obstacle.
  case ignoreULP = "ignore-ulp"
  /// The tail is one byte long.
  case oneByteTail = "one-byte-tail"

  package var mutations: GateMutations {
    switch self {
    case .dropArrival: .dropArrival
    case .mergeQueries: .mergeQueries
    case .dropA: .dropA
    case .dropB: .dropB
    case .dropBoth: [.dropA, .dropB]
    case .onlyGreater: .onlyGreater
    case .trustRetransmitted: .trustRetransmitted
    case .firstReplyUngated: .firstReplyUngated
    case .cancelUnchecked: .cancelUnchecked
    case .receiveQueueAlone: .receiveQueueAlone
    case .ignoreCookie: .ignoreCookie
    case .ignoreReadable: .ignoreReadable
    case .ignoreULP: .ignoreULP
    case .oneByteTail: .oneByteTail
    }
  }
}
