extension DeliveryGate {
  /// What the gate asks of the accepted socket itself: one system call each, which cannot block and is made only where its answer
  /// decides. Where the kernel does not tell, each reply is proved by the counters of the caller's socket.
  public protocol OwnSocket {
    /// Bytes of ours that the caller's TCP has acknowledged: `tcpi_bytes_acked`, less its value before the first write. Nil
    /// where the kernel does not tell.
    var acknowledgedBytes: UInt64? { get }
    /// In-order bytes of the caller that our TCP has received, read or not: `tcpi_bytes_received`; a FIN counts as one. Nil
    /// where the kernel does not tell.
    var receivedBytes: UInt64? { get }
    /// Whether bytes that we wrote stand in our send queue (`SIOCOUTQ`). Bytes that took another way never stood there.
    var hasUnacknowledgedBytes: Bool { get }
  }

  /// A socket that tells nothing: looks never suffice then, and no caller is taken for one whose bytes take another way.
  public struct UnknownSocket: OwnSocket, Sendable {
    /// Nil.
    public var acknowledgedBytes: UInt64? { nil }
    /// Nil.
    public var receivedBytes: UInt64? { nil }
    /// True.
    public var hasUnacknowledgedBytes: Bool { true }

    /// One is like another.
    public init() {}
  }
}
