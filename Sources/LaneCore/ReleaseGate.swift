/// What is known of an upstream connection when the question is whether it may serve another operation.
public struct ReleaseFacts: Equatable, Sendable {
  /// Requests written on it without all their replies.
  public var inFlight = 0
  /// A request on it was not written whole.
  public var requestIncomplete = false
  /// The reply stream stands inside a packet, or bytes of it lie in a buffer.
  public var buffered = false
  /// What a look at the socket found.
  public var socket = SocketState.quiet
  /// It carried an error reply: the server swallows one more packet, then closes (PROTOCOL.md section 2).
  public var carriedError = false
  /// Connections to this peer are made in another way by now: TLS was switched on or off, or others may be spoken to.
  public var outdated = false
  /// The class's connections serve one operation.
  public var singleUse = false
  /// Since it was opened, nanoseconds.
  public var age: UInt64 = 0
  /// Since it was last used, nanoseconds; 0 at check-in.
  public var idle: UInt64 = 0

  /// What the kernel holds for the connection.
  public enum SocketState: Equatable, Sendable {
    /// Open, nothing to read.
    case quiet
    /// Bytes that nobody asked for.
    case readable
    /// The peer has closed.
    case ended
    /// It has failed.
    case failed
  }

  /// A connection fit for reuse.
  public init() {}
}

/// The one place that decides whether an upstream connection may be leased again (G3): asked at check-in and at check-out.
public enum ReleaseGate {
  /// Nil where it may; else why not.
  public static func refusal(_ facts: ReleaseFacts, _ limits: LaneLimits) -> Reason? {
    if facts.inFlight > 0 { return .inFlight }
    if facts.requestIncomplete { return .requestIncomplete }
    if facts.carriedError { return .errorReply }
    if facts.buffered { return .unreadBytes }
    switch facts.socket {
    case .quiet: break
    case .readable: return .unreadBytes
    case .ended: return .peerClosed
    case .failed: return .upstreamReset
    }
    if facts.singleUse { return .singleUse }
    if facts.outdated { return .reconfigured }
    if facts.age >= limits.maxLifetime { return .maxLifetime }
    if facts.idle >= limits.idleTimeout { return .idleTimeout }
    return nil
  }
}

/// The bounds of a class's lanes.
public struct LaneLimits: Equatable, Sendable {
  /// Most upstream connections to one peer.
  public var maxConnections: Int
  /// How long one may be idle, nanoseconds. CubeFS servers and callers drop theirs at 30 s.
  public var idleTimeout: UInt64
  /// How long one may live, nanoseconds.
  public var maxLifetime: UInt64
  /// Most callers waiting for a connection.
  public var queueLimit: Int
  /// How long one may wait, nanoseconds.
  public var queueTimeout: UInt64

  /// Limits of those values.
  public init(
    maxConnections: Int = 500, idleTimeout: UInt64 = 25_000_000_000, maxLifetime: UInt64 = 1_800_000_000_000, queueLimit: Int = 1024,
    queueTimeout: UInt64 = 5_000_000_000
  ) {
    self.maxConnections = maxConnections
    self.idleTimeout = idleTimeout
    self.maxLifetime = maxLifetime
    self.queueLimit = queueLimit
    self.queueTimeout = queueTimeout
  }
}
