internal import COpenSSL

/// Why a TLS connection, or what is needed for one, could not be had.
public struct TLSFailure: Error, Equatable, Sendable {
  /// What kind of failure it is: a closed set, for alerts and decisions.
  public enum Kind: String, Sendable, CaseIterable {
    // The other end's certificate.
    /// It showed none.
    case noCertificate = "no-certificate"
    /// Its validity has ended.
    case expired
    /// Its validity has not begun.
    case notYetValid = "not-yet-valid"
    /// Its CA has revoked it.
    case revoked
    /// No CRL of its CA is loaded, or the one there is may no longer be used: whether it is revoked cannot be told.
    case revocationUnknown = "revocation-unknown"
    /// No configured CA has issued it.
    case unknownIssuer = "unknown-issuer"
    /// It is not for this use (extended key usage).
    case wrongUsage = "wrong-usage"
    /// It is valid, and none of its names is one that is wanted here.
    case wrongName = "wrong-name"
    /// Anything else that OpenSSL holds against it.
    case badCertificate = "bad-certificate"

    // The handshake.
    /// What the other end sent is no TLS.
    case notTLS = "not-tls"
    /// No version of the protocol that both allow.
    case noCommonVersion = "no-common-version"
    /// No cipher suite, group or signature algorithm that both allow.
    case noCommonCipher = "no-common-cipher"
    /// The other end refused with an alert.
    case refusedByPeer = "refused-by-peer"
    /// The connection ended without a close-notify: what came before may be cut.
    case truncated
    /// The connection was lost.
    case lost
    /// It took too long.
    case timedOut = "timed-out"
    /// A violation of the protocol.
    case protocolError = "protocol-error"

    // Our own files.
    /// A file cannot be read, or does not hold what it should.
    case badFile = "bad-file"
    /// The key is not the certificate's.
    case keyMismatch = "key-mismatch"
    /// Between the certificate and the configured CAs an issuer is missing.
    case incompleteChain = "incomplete-chain"
    /// OpenSSL could not do what it was asked to, for want of memory most often.
    case library
  }

  /// What kind of failure it is.
  public let kind: Kind
  /// What is known of it, OpenSSL's own reason included.
  public let detail: String
  /// The other end's certificate, where it showed one.
  public let certificate: CertificateDescription?
  /// A TLS record had come from the other end before.
  var isAfterRecord = false

  /// A failure, told.
  public init(_ kind: Kind, _ detail: String, certificate: CertificateDescription? = nil) {
    self.kind = kind
    self.detail = detail
    self.certificate = certificate
  }

  /// What stands in OpenSSL's error queue of this thread, which is empty afterwards. The first entry is the cause.
  init(queueOr fallback: Kind, _ context: String, certificate: CertificateDescription? = nil) {
    let queue = OpenSSLQueue.drain()
    let text = queue.first.map(\.text) ?? "no reason given"
    self.init(queue.first?.kind ?? fallback, context.isEmpty ? text : "\(context): \(text)", certificate: certificate)
  }

  /// The other end is a server that does not speak TLS at all, as far as can be told: a reason to speak plain where that is allowed.
  /// Who has sent one TLS record speaks it, however the handshake went on.
  public var isForeignProtocol: Bool { !isAfterRecord && (kind == .notTLS || kind == .truncated || kind == .lost) }
}

extension TLSFailure: CustomStringConvertible {
  /// `expired: certificate has expired`, and whose it is.
  public var description: String { "\(kind.rawValue): \(detail)" + (certificate.map { "; \($0.sentence)" } ?? "") }
}

extension TLSFailure.Kind {
  /// What X509_verify_cert(3) holds against a certificate.
  init(verifyError code: Int) {
    switch Int32(truncatingIfNeeded: code) {
    case X509_V_ERR_CERT_HAS_EXPIRED: self = .expired
    case X509_V_ERR_CERT_NOT_YET_VALID: self = .notYetValid
    case X509_V_ERR_CERT_REVOKED: self = .revoked
    case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID, X509_V_ERR_CRL_SIGNATURE_FAILURE,
      X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, X509_V_ERR_DIFFERENT_CRL_SCOPE, X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
      self = .revocationUnknown
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
      X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_SIGNATURE_FAILURE,
      X509_V_ERR_CERT_UNTRUSTED:
      self = .unknownIssuer
    case X509_V_ERR_INVALID_PURPOSE: self = .wrongUsage
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH, X509_V_ERR_APPLICATION_VERIFICATION: self = .wrongName
    default: self = .badCertificate
    }
  }
}

extension CertificateDescription {
  /// The most characters of a sentence about a certificate: what it says of itself is its maker's choice.
  private static let longestSentence = 1000

  /// Whose it is, in one sentence: subject, names, serial number, issuer, dates.
  public var sentence: String {
    let names = dnsNames.map { "dns:\($0)" } + uris.map { "uri:\($0)" } + addresses.map { "address:\($0)" }
    let text =
      "subject \(subject), names \(names.isEmpty ? "none" : names.joined(separator: " ")), serial \(serial), issuer \(issuer), valid from \(Self.text(time: notBefore)) to \(Self.text(time: notAfter))"
    return text.count > Self.longestSentence ? String(text.prefix(Self.longestSentence)) + "..." : text
  }
}
