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
  /// L1 is not asked: what a look does not find in the queue may be on its way.
  case dropAcknowledged = "drop-l1"
  /// L1 is read after the look.
  case acknowledgedAfterLook = "l1-after-look"
  /// One look serves as L2 and L3.
  case mergeLooks = "merge-l2-l3"
  /// L3 is not asked.
  case dropSendQueue = "drop-l3"
  /// L4 is not asked.
  case dropReceived = "drop-l4"
  /// L4 is read before L3.
  case receivedTooEarly = "l4-before-l3"
  /// L4 is an empty queue.
  case emptyForReceived = "l4-empty-queue"
  /// Looks will do before the counters have proved a reply.
  case looksUnproved = "looks-unproved"
  /// L2 is content with what came before the reply.
  case headerUnread = "header-unread"
  /// L2 counts from the end of the last gated reply.
  case startAtLastTail = "start-at-last-tail"

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
    case .dropAcknowledged: .dropAcknowledged
    case .acknowledgedAfterLook: .acknowledgedAfterLook
    case .mergeLooks: .mergeLooks
    case .dropSendQueue: .dropSendQueue
    case .dropReceived: .dropReceived
    case .receivedTooEarly: .receivedTooEarly
    case .emptyForReceived: .emptyForReceived
    case .looksUnproved: .looksUnproved
    case .headerUnread: .headerUnread
    case .startAtLastTail: .startAtLastTail
    }
  }
}
