public import NetEndpoint

/// Whether we speak TLS to a peer.
public enum OutboundTLSMode: String, Sendable, CaseIterable {
  /// Plain.
  case off
  /// TLS, and plain for a while where the peer does not speak it (`DowngradeMemory`): for a roll-out, no protection.
  case prefer
  /// TLS or not at all.
  case strict
}

/// How one peer, or a range of them, is dialled.
public struct OutboundTLSRule: Sendable, Equatable {
  /// Whether we speak TLS.
  public var mode = OutboundTLSMode.off
  /// The port on which the peer takes TLS; 0: the one that the caller asked for.
  public var port: UInt16 = 0
  /// The name that the peer's certificate must bear.
  public var peerName = RequiredName.any

  /// TLS is off.
  public init() {}

  /// Where TLS to that peer goes. Plain keeps to the peer's own port.
  public func endpoint(of peer: Endpoint) -> Endpoint { port == 0 ? peer : Endpoint(address: peer.address, port: port) }
}

/// How peers are dialled.
public struct OutboundTLSPolicy: Sendable, Equatable {
  /// For peers without a rule of their own.
  public var standard = OutboundTLSRule()
  /// For some; the longest prefix decides, and alone: nothing of a shorter one or of `standard` is added.
  public var peers = PrefixTable<OutboundTLSRule>()

  /// TLS is off.
  public init() {}

  /// Whether some peer may be dialled with TLS.
  public var isActive: Bool { standard.mode != .off || peers.entries.contains { $0.value.mode != .off } }

  /// The rule of a peer.
  /// - Parameter address: the peer's, host byte order.
  public func rule(for address: UInt32) -> OutboundTLSRule { peers.value(for: address) ?? standard }
}
