public import LaneCore

/// `tls`: who this node is, whom it trusts, and where it speaks TLS. Every connection under TLS is verified on both sides.
public struct TLSConfiguration: Sendable, Equatable {
  /// The oldest TLS that is spoken.
  public enum Version: String, Sendable, CaseIterable {
    /// TLS 1.2 (RFC 5246).
    case v1_2 = "1.2"
    /// TLS 1.3 (RFC 8446).
    case v1_3 = "1.3"
  }

  /// `tls.certificate`: path of a PEM file: this node's certificate, then the intermediate ones. Empty only where TLS is off.
  public var certificate = ""
  /// `tls.key`: path of a PEM file: the certificate's private key. Empty only where TLS is off.
  public var key = ""
  /// `tls.ca`: path of a PEM file: the authorities that peers' certificates must lead to. Empty only where TLS is off.
  public var ca = ""
  /// `tls.crl`: path of a PEM file: the authorities' revocation lists. Default: revocation is not checked.
  public var crl: String?
  /// `tls.minVersion`: the oldest TLS that is spoken.
  public var minVersion = Version.v1_3
  /// `tls.allow`: the peers that may speak. Empty only where TLS is off.
  public var allow = AllowList()
  /// `tls.handshakeTimeout`: longest handshake.
  public var handshakeTimeout: Duration = .seconds(5)
  /// `tls.maxHandshakes`: most handshakes in flight, for each listener.
  public var maxHandshakes = 256
  /// `tls.maxHandshakesPerSource`: most of them from one address.
  public var maxHandshakesPerSource = 128
  /// `tls.reloadInterval`: how often the files are looked at; zero: on SIGHUP only.
  public var reloadInterval: Duration = .seconds(60)
  /// `tls.maxConnectionAge`: a connection is not leased again after this; zero: no limit but that of its lane.
  public var maxConnectionAge: Duration = .zero
  /// `tls.expiryWarning`: days before the end of a certificate's validity at which an alert is due, greatest first.
  public var expiryWarning = [30, 7, 1]
  /// `tls.downgradeMemory`: how long mode prefer speaks plain to a peer that does not speak TLS; zero: TLS is tried each time.
  public var downgradeMemory: Duration = .seconds(60)
  /// `tls.inbound`: what those who connect to `inbound.listen` must speak.
  public var inbound = InboundTLSPolicy()
  /// `tls.outbound`: what is spoken to peers.
  public var outbound = OutboundTLSPolicy()

  /// The defaults: TLS is off.
  public init() {}

  /// Whether TLS is spoken in a direction at least.
  public var isActive: Bool { inbound.mode != .off || outbound.isActive }
}
