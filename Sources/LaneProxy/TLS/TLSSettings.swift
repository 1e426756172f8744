public import LaneCore
public import LinuxIO
internal import NetEndpoint

/// What TLS does on the hop between two hosts: whose certificates are wanted, and where.
public struct TLSSettings: Sendable {
  /// The certificates in force.
  public var certificates: TLSCertificates
  /// Who may speak to us, and who may answer.
  public var allow: AllowList
  /// What is expected of whom connects to us.
  public var inbound = InboundTLSPolicy()
  /// How peers are spoken to.
  public var outbound = OutboundTLSPolicy()
  /// How long a handshake may take.
  public var handshakeTimeout: Nanoseconds = 5_000_000_000
  /// The most handshakes of accepted connections at a time, for each listener.
  public var maxHandshakes = 256
  /// The most of them from one address.
  public var maxHandshakesPerSource = 128
  /// How long a peer that does not speak TLS is spoken to in plain, where that is allowed.
  public var downgradeMemory: Nanoseconds = 60_000_000_000

  /// TLS with these certificates for those names, not used anywhere until said otherwise.
  public init(certificates: TLSCertificates, allow: AllowList) {
    self.certificates = certificates
    self.allow = allow
  }
}

extension Reason {
  /// Why a handshake failed, as events name it.
  init(_ kind: TLSFailure.Kind) {
    switch kind {
    case .noCertificate: self = .tlsNoCertificate
    case .expired: self = .tlsExpired
    case .notYetValid: self = .tlsNotYetValid
    case .revoked: self = .tlsRevoked
    case .revocationUnknown: self = .tlsRevocationUnknown
    case .unknownIssuer: self = .tlsUnknownIssuer
    case .wrongUsage: self = .tlsWrongUsage
    case .wrongName: self = .tlsWrongName
    case .badCertificate: self = .tlsBadCertificate
    case .notTLS: self = .tlsNotSpoken
    case .noCommonVersion, .noCommonCipher: self = .tlsNothingInCommon
    case .refusedByPeer: self = .tlsRefusedByPeer
    case .truncated, .lost: self = .tlsLost
    case .timedOut: self = .tlsTimeout
    case .protocolError, .library, .badFile, .keyMismatch, .incompleteChain: self = .tlsProtocol
    }
  }
}

extension Reason {
  /// Why a connection to us was refused before its handshake.
  init(_ refusal: InboundTLSPolicy.Refusal) {
    switch refusal {
    case .plainWhereTLSRequired: self = .tlsRequired
    case .neitherTLSNorCubeFS: self = .firstByteUnknown
    case .source: self = .tlsSourceRefused
    }
  }
}

extension CertificateNames {
  /// The names in a certificate.
  init(_ names: AlternativeNames) {
    self.init(
      dns: names.dnsNames, uris: names.uris, addresses: names.addresses.compactMap { Endpoint("\($0):0")?.address })
  }

  /// As messages give them.
  var text: String {
    let all = dns.map { "dns:\($0)" } + uris.map { "uri:\($0)" } + addresses.map { "address:\(Endpoint(address: $0, port: 0).addressText)" }
    return all.isEmpty ? "no name" : all.joined(separator: ", ")
  }
}

extension AllowList {
  /// Why a certificate with these names is not wanted; nil where it is.
  func refusal(of names: CertificateNames) -> String? { allows(names) ? nil : "\(names.text): none of them is in tls.allow" }
}

extension Endpoint {
  /// `a.b.c.d`.
  var addressText: String { String(description.prefix { $0 != ":" }) }
}
