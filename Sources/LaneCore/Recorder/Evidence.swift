public import NetEndpoint

/// The last packets of the connections that an event is about.
public struct Evidence: Sendable, Equatable {
  /// One connection.
  public struct Flow: Sendable, Equatable {
    /// Which of the two it is.
    public enum Side: String, Sendable, CaseIterable {
      /// Between the caller and Lanekeeper.
      case caller
      /// Between Lanekeeper and the server: the peer, or the local datanode.
      case peer
    }

    /// Which one it is.
    public var side: Side
    /// The end that sends requests.
    public var client: Endpoint
    /// The end that sends replies.
    public var server: Endpoint
    /// Its packets, the oldest first.
    public var packets: [RecordedPacket]
    /// How many more there were before the last one, which are not kept.
    public var lost: Int

    /// A connection and what is known of it.
    public init(_ side: Side, client: Endpoint, server: Endpoint, packets: [RecordedPacket], lost: Int = 0) {
      self.side = side
      self.client = client
      self.server = server
      self.packets = packets
      self.lost = lost
    }
  }

  /// The connections, the caller's first.
  public var flows: [Flow]
  /// The random process bits of whose stamps the packets' are, where they are another sidecar's; nil for our own.
  public var process: UInt64?

  /// Those connections.
  public init(_ flows: [Flow], process: UInt64? = nil) {
    self.flows = flows
    self.process = process
  }
}

/// Keeps evidence. Called on the reactor's thread: it must not block.
public protocol EvidenceKeeper: AnyObject {
  /// The most bytes of Arg and payload that it wants of each packet.
  var payload: Int { get }
  /// Whether it takes the evidence of one more event now; counts the one that it does not.
  /// - Parameter now: the reactor's clock, nanoseconds.
  func takesMore(now: UInt64) -> Bool
  /// Takes the evidence of an event.
  /// - Parameter now: the reactor's clock, nanoseconds.
  /// - Returns: the name of the file it will be in; nil where it is not kept.
  func keep(_ evidence: Evidence, of event: LaneEvent, now: UInt64) -> String?
}

extension LaneEvent.Name {
  /// It is about a reply, which may be another operation's.
  public var isAboutReply: Bool {
    switch self {
    case .replyDropped, .replyObserved, .replyUnsolicited: true
    default: false
    }
  }

  /// The packets that led to it are worth a file.
  public var leavesEvidence: Bool {
    switch self {
    case .callerDirtyReuse, .conflictLimit: true
    default: isAboutReply
    }
  }
}
