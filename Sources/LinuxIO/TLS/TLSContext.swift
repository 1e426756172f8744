internal import COpenSSL
internal import Glibc

/// What one generation of TLS is made of.
public struct TLSFiles: Sendable, Equatable {
  /// The certificate, and the intermediate CAs behind it, PEM.
  public var certificate: String
  /// Its private key, PEM, RSA or EC, not encrypted.
  public var key: String
  /// The CAs that certificates of the other end must chain to, PEM.
  public var authorities: String
  /// Revoked certificates: a CRL of each CA of a chain, PEM. Nil where none are kept.
  public var revocations: String?

  /// Names the files.
  public init(certificate: String, key: String, authorities: String, revocations: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.authorities = authorities
    self.revocations = revocations
  }
}

/// The lowest version of the protocol.
public enum TLSVersion: Sendable, Equatable {
  /// TLS 1.2 with AEAD suites and ephemeral keys only (RFC 9325), and 1.3.
  case tls12
  /// TLS 1.3 (RFC 8446) alone.
  case tls13
}

/// One generation of certificates and rules, shared by all connections that began with it: an `SSL_CTX` for each end. May be used from any thread.
///
/// The other end must always show a certificate that chains to the configured CAs. No session is resumed: there are neither tickets nor
/// a cache, so every connection is judged by the revocations of its own day; and there is no early data.
public final class TLSContext: @unchecked Sendable {
  /// Our own certificate and what stands behind it, the leaf first.
  public let chain: [CertificateDescription]
  /// The configured CAs.
  public let authorities: [CertificateDescription]
  /// What is not wrong enough to refuse it, one sentence each.
  public let warnings: [String]

  /// `SSL_CTX *`; made once, and from then on only read.
  private let client: OpaquePointer
  private let server: OpaquePointer

  /// Loads the files.
  /// - Parameter now: seconds since 1970, for the check of the own certificate's validity.
  /// - Throws: `TLSFailure` that names the file and what is wrong with it: it cannot be read, key and certificate do not match, an
  ///   issuer is missing, the certificate or each of the CAs has expired.
  public init(_ files: TLSFiles, minimum: TLSVersion = .tls13, now: Int64? = nil) throws(TLSFailure) {
    OpenSSLQueue.clear()
    let now = now ?? Int64(time(nil))
    let loaded = try TLSMaterial(files)
    try loaded.check(now: now)
    chain = loaded.descriptions
    authorities = loaded.authorityDescriptions
    warnings = loaded.warnings(now: now)
    let client = try loaded.context(TLS_client_method(), minimum)
    do throws(TLSFailure) { server = try loaded.context(TLS_server_method(), minimum) } catch {
      SSL_CTX_free(client)
      throw error
    }
    self.client = client
  }

  deinit {
    SSL_CTX_free(client)
    SSL_CTX_free(server)
  }

  /// A new `SSL *`, of which the caller is the owner.
  func newSession(isClient: Bool) throws(TLSFailure) -> OpaquePointer {
    OpenSSLQueue.clear()
    guard let session = SSL_new(isClient ? client : server) else { throw TLSFailure(queueOr: .library, "SSL_new") }
    if isClient { SSL_set_connect_state(session) } else { SSL_set_accept_state(session) }
    return session
  }
}
