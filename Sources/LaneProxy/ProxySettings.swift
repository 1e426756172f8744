public import CubeFSWire
public import LaneCore
public import LinuxIO

/// What a proxy is told: bounds, times and modes, checked by whoever read them.
public struct ProxySettings: Sendable {
  /// What to do with a reply that the judge refuses.
  public enum JudgeMode: Sendable {
    /// Drop it.
    case enforce
    /// Log it and pass it on.
    case observe
  }

  /// A defect that the lab puts in on purpose, to see its oracle find it.
  public enum Sabotage: String, Sendable, CaseIterable {
    /// Every reply passes, whatever it says.
    case judge
    /// The caller's ReqID is not put back.
    case restore
    /// Replies are not gated, whatever the configuration says.
    case gate
  }

  /// Whose header rules apply.
  public var release = CubeFSRelease.auto
  /// Bounds of the framers.
  public var frameLimits = FrameLimits()
  /// Bounds of the lanes, by class.
  public var lanes: [OperationClass: LaneLimits] = [:]
  /// Judge modes that differ from `enforce`, by class.
  public var judge: [OperationClass: JudgeMode] = [:]
  /// How long a dial may take.
  public var dialTimeout: Nanoseconds = 1_000_000_000
  /// First and longest pause after a failed dial.
  public var backOff: (initial: Nanoseconds, maximum: Nanoseconds) = (100_000_000, 5_000_000_000)
  /// Most caller connections.
  public var maxConnections = 4096
  /// Most requests in flight on one caller connection.
  public var maxInFlight = 2048
  /// Most bytes held for a connection that does not take them.
  public var pendingOutput = 512 * 1024
  /// How long a caller that has shut its sending side is served.
  public var halfClose: Nanoseconds = 5_000_000_000
  /// How long a caller may be silent with nothing in flight; 0 for ever.
  public var idleCaller: Nanoseconds = 0
  /// How long a reply may wait inside a packet for a caller that does not read (PROTOCOL.md section 6, number 2).
  public var backPressure: Nanoseconds = 2_000_000_000
  /// Times of the delivery gate.
  public var gate = GateLimits()
  /// What is done about operations that conflict on one extent.
  public var conflicts = ConflictGuard.Mode.off
  /// What becomes of one that was held for as long as it may be.
  public var atConflictLimit = ConflictGuard.AtLimit.forward
  /// How long a stopping proxy lets operations finish.
  public var shutdownTimeout: Nanoseconds = 20_000_000_000
  /// Options of the callers' connections.
  public var downstream = SocketOptions()
  /// Options of the connections to peers.
  public var upstream = SocketOptions()
  /// The random bits that make operation ids of this process unique in the cluster, as the sink prints them; nil where no peer is
  /// to be told.
  public var process: UInt64?
  /// TLS on the hop; nil for none.
  public var tls: TLSSettings?
  /// The lab's defect.
  public var sabotage: Sabotage?

  /// The defaults.
  public init() {}
}
