public import NetEndpoint

/// Whether those who connect to us speak TLS.
public enum InboundTLSMode: String, Sendable, CaseIterable {
  /// They speak plain; nobody looks.
  case off
  /// Each as it likes; the first byte tells.
  case permissive
  /// They must, as far as `InboundTLSPolicy.requireFrom` reaches.
  case strict
}

/// What a connection to us must open with.
public struct InboundTLSPolicy: Sendable, Equatable {
  /// What strict mode makes of sources that `requireFrom` does not hold.
  public enum Others: String, Sendable, CaseIterable {
    /// They may speak plain or TLS: CubeFS clients, metanodes and the master have no sidecar.
    case plain
    /// They are refused.
    case refuse
  }

  /// What a source may open with.
  public enum Expectation: Sendable, Equatable {
    /// Plain, whatever the first byte: TLS is off.
    case plainOnly
    /// TLS and nothing else.
    case tlsOnly
    /// TLS or CubeFS.
    case either
    /// Nothing: the connection ends before a byte is read.
    case refused
  }

  /// Why a connection is refused.
  public enum Refusal: String, Sendable, CaseIterable {
    /// The source must speak TLS, and opens with a CubeFS packet.
    case plainWhereTLSRequired = "tls-required"
    /// The first byte is neither that of TLS nor that of CubeFS.
    case neitherTLSNorCubeFS = "not-tls-not-cubefs"
    /// The source is none of those that may connect.
    case source = "tls-source-refused"
  }

  /// What the first byte means.
  public enum Opening: Sendable, Equatable {
    /// A TLS handshake.
    case tls
    /// A CubeFS packet, or whatever is left to plain's own checks.
    case plain
    /// The connection ends here.
    case refuse(Refusal)
  }

  /// ContentType of a handshake record (RFC 8446 section 5.1): the first byte of TLS.
  public static let handshakeRecord: UInt8 = 0x16
  /// The first byte of each CubeFS packet (ProtoMagic in CubeFS v3.5.3 `proto/packet.go`).
  public static let cubeFSMagic: UInt8 = 0xFF

  /// Whether those who connect speak TLS.
  public var mode = InboundTLSMode.off
  /// In strict mode, the sources that must speak TLS; none here: all.
  public var requireFrom: [AddressPrefix] = []
  /// In strict mode, what becomes of the others.
  public var others = Others.plain

  /// TLS is off.
  public init() {}

  /// What a source may open with.
  /// - Parameter address: the source's, host byte order.
  public func expectation(of address: UInt32) -> Expectation {
    switch mode {
    case .off: return .plainOnly
    case .permissive: return .either
    case .strict:
      if requireFrom.isEmpty || requireFrom.contains(where: { $0.contains(address) }) { return .tlsOnly }
      return others == .plain ? .either : .refused
    }
  }

  /// What a connection's first byte means where this is expected.
  public static func firstByte(_ byte: UInt8, expectation: Expectation) -> Opening {
    switch (expectation, byte) {
    case (.plainOnly, _): .plain
    case (.refused, _): .refuse(.source)
    case (.tlsOnly, handshakeRecord), (.either, handshakeRecord): .tls
    case (.either, cubeFSMagic): .plain
    case (.tlsOnly, cubeFSMagic): .refuse(.plainWhereTLSRequired)
    case (.tlsOnly, _), (.either, _): .refuse(.neitherTLSNorCubeFS)
    }
  }
}
