internal import LaneCore

/// Connections since the start, by whether they speak TLS.
public struct TLSStatistics: Sendable, Equatable {
  /// One direction.
  public struct Counts: Sendable, Equatable {
    /// Connections whose handshake went through.
    public var secured: UInt64 = 0
    /// Connections in plain.
    public var plain: UInt64 = 0
    /// Handshakes that were refused by either end, and connections that should have spoken TLS.
    public var refused: UInt64 = 0

    /// None.
    public init() {}
  }

  /// Connections to peers.
  public private(set) var outbound = Counts()
  /// Connections to the local datanode.
  public private(set) var inbound = Counts()
  /// Connections through tunnels.
  public private(set) var tunnel = Counts()

  mutating func opened(_ direction: LaneEvent.Direction, isTLS: Bool) {
    change(direction) { if isTLS { $0.secured &+= 1 } else { $0.plain &+= 1 } }
  }

  mutating func refused(_ direction: LaneEvent.Direction) { change(direction) { $0.refused &+= 1 } }

  private mutating func change(_ direction: LaneEvent.Direction, _ body: (inout Counts) -> Void) {
    switch direction {
    case .outbound: body(&outbound)
    case .inbound: body(&inbound)
    case .tunnel: body(&tunnel)
    }
  }
}
