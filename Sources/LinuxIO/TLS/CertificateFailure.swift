internal import COpenSSL

/// Why a certificate or a key could not be read or made.
public enum CertificateFailure: Error, Equatable, Sendable {
  /// A system call on the file failed.
  case file(path: String, failure: SystemFailure)
  /// The file has more bytes than any set of certificates needs.
  case tooLarge(path: String, limit: Int)
  /// No PEM block of a certificate is in the file.
  case noCertificate(path: String)
  /// A PEM block of a certificate does not hold one. `number` counts the certificates of the file from 1; the reason is OpenSSL's.
  case malformed(path: String, number: Int, reason: String)
  /// No PEM block of a CRL is in the file.
  case noRevocationList(path: String)
  /// A PEM block of a CRL does not hold one. `number` counts those of the file from 1; the reason is OpenSSL's.
  case malformedRevocationList(path: String, number: Int, reason: String)
  /// The file holds no private key that can be read without a passphrase; the reason is OpenSSL's.
  case noKey(path: String, reason: String)
  /// The key is not the certificate's; the reason is OpenSSL's.
  case keyMismatch(certificate: String, key: String, reason: String)
  /// A file of this name is there and is not to be overwritten.
  case exists(path: String)
  /// One file of an authority is there without the other.
  case halfAuthority(present: String, missing: String)
  /// The certificate cannot sign others.
  case notAnAuthority(path: String)
  /// The authority's certificate ends at a time (Unix seconds) before what it should sign would.
  case authorityEndsFirst(path: String, notAfter: Int64, daysLeft: Int64)
  /// OpenSSL could not make something; the reason is its own.
  case cannotMake(what: String, reason: String)
}

extension CertificateFailure: CustomStringConvertible {
  /// Where, what is wrong, what would be right.
  public var description: String {
    switch self {
    case .file(let path, let failure):
      "\(path): \(failure)"
    case .tooLarge(let path, let limit):
      "\(path): longer than \(limit >> 20) MiB, which no set of certificates needs"
    case .noCertificate(let path):
      "\(path): no certificate in it; PEM is needed (-----BEGIN CERTIFICATE-----)"
    case .malformed(let path, let number, let reason):
      "\(path): certificate \(number) cannot be read: \(reason)"
    case .noRevocationList(let path):
      "\(path): no revocation list in it; PEM is needed (-----BEGIN X509 CRL-----)"
    case .malformedRevocationList(let path, let number, let reason):
      "\(path): revocation list \(number) cannot be read: \(reason)"
    case .noKey(let path, let reason):
      "\(path): no private key that can be read; an unencrypted PEM key is needed: \(reason)"
    case .keyMismatch(let certificate, let key, let reason):
      "\(key): not the key of \(certificate): \(reason)"
    case .exists(let path):
      "\(path): exists, and is not overwritten; give another name, or remove it"
    case .halfAuthority(let present, let missing):
      "\(missing): missing, while \(present) is there; put it back, or remove the other to make a new authority"
    case .notAnAuthority(let path):
      "\(path): not a CA's certificate (CA:TRUE in its basic constraints is needed)"
    case .authorityEndsFirst(let path, let notAfter, let daysLeft):
      "\(path): ends at \(CertificateDescription.text(time: notAfter)), before the certificate would; "
        + (daysLeft > 0 ? "at most \(daysLeft) days are possible" : "a new authority is needed")
    case .cannotMake(let what, let reason):
      "cannot make \(what): \(reason)"
    }
  }
}
