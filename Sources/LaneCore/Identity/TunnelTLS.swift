/// On which side of a tunnel TLS is spoken.
public enum TunnelTLS: String, Sendable, CaseIterable {
  /// On neither.
  case off
  /// With who connects; the peer is the local port.
  case accept
  /// With the peer: another host's tunnel, which accepts TLS.
  case connect
}
