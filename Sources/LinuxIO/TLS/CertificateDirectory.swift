internal import COpenSSL

/// A directory with an authority for trials and its nodes' certificates: `ca.pem`, `ca.key`, and `NODE.pem` and `NODE.key` of each.
/// Nothing in it is ever overwritten.
public struct CertificateDirectory: Sendable {
  /// What a call made.
  public struct Issued: Sendable, Equatable {
    /// Whether the authority was made, too.
    public let isNewAuthority: Bool
    /// The authority's certificate.
    public let authority: String
    /// The node's certificate, mode 0644.
    public let certificate: String
    /// The node's key, mode 0600.
    public let key: String
  }

  /// How many days an authority made here is valid, at least.
  public static let authorityDays: Int64 = 3650

  /// Its path.
  public let path: String

  /// A directory that need not be there yet; the one above it must.
  public init(path: String) { self.path = path }

  /// Makes a node's certificate and key, and before them the directory (mode 0700) and the authority where there are none.
  /// - Parameters:
  ///   - days: how long it is valid, at least 1.
  ///   - now: Unix seconds. It is valid from five minutes before that.
  public func issue(_ names: NodeNames, days: Int64, now: Int64) throws(CertificateFailure) -> Issued {
    let lock = try CertificateDirectoryLock(path: path)
    let (certificate, key) = ("\(path)/\(names.node).pem", "\(path)/\(names.node).key")
    for path in [certificate, key] where CertificateFile.exists(path) { throw .exists(path: path) }
    let notAfter = now + days * NewCertificate.day
    let isNewAuthority = try makeAuthority(until: now + max(Self.authorityDays, days) * NewCertificate.day, now: now)
    let authority = try PEMCertificates(path: authorityPath)
    let authorityKey = try PEMKey(path: authorityKeyPath)
    try checkAuthority(authority, authorityKey, until: notAfter, now: now)
    let made = try NewCertificate.node(names, until: notAfter, now: now, authority: authority, authorityKey: authorityKey)
    try Self.put(made, certificate: certificate, key: key)
    try lock.synchronise()
    return Issued(isNewAuthority: isNewAuthority, authority: authorityPath, certificate: certificate, key: key)
  }

  private var authorityPath: String { "\(path)/ca.pem" }
  private var authorityKeyPath: String { "\(path)/ca.key" }

  /// Makes the authority; false where there is one.
  private func makeAuthority(until notAfter: Int64, now: Int64) throws(CertificateFailure) -> Bool {
    switch (CertificateFile.exists(authorityPath), CertificateFile.exists(authorityKeyPath)) {
    case (true, true): return false
    case (true, false): throw .halfAuthority(present: authorityPath, missing: authorityKeyPath)
    case (false, true): throw .halfAuthority(present: authorityKeyPath, missing: authorityPath)
    case (false, false): break
    }
    let made = try NewCertificate.authority(until: notAfter, now: now)
    try Self.put(made, certificate: authorityPath, key: authorityKeyPath)
    return true
  }

  private func checkAuthority(
    _ authority: borrowing PEMCertificates, _ key: borrowing PEMKey, until notAfter: Int64, now: Int64
  ) throws(CertificateFailure) {
    let description = CertificateDescription(authority.certificates[0])
    guard description.isAuthority else { throw .notAnAuthority(path: authorityPath) }
    guard X509_check_private_key(authority.certificates[0], key.key) == 1 else {
      throw .keyMismatch(certificate: authorityPath, key: authorityKeyPath, reason: OpenSSLQueue.drainText())
    }
    guard notAfter <= description.notAfter else {
      throw .authorityEndsFirst(
        path: authorityPath, notAfter: description.notAfter, daysLeft: (description.notAfter - now) / NewCertificate.day)
    }
  }

  /// The key first: a certificate without its key is of no use to anybody, and neither stays alone.
  private static func put(_ made: borrowing NewCertificate, certificate: String, key: String) throws(CertificateFailure) {
    let (certificateBytes, keyBytes) = (try made.certificatePEM(), try made.keyPEM())
    try CertificateFile.create(key, keyBytes, mode: 0o600)
    do throws(CertificateFailure) {
      try CertificateFile.create(certificate, certificateBytes, mode: 0o644)
    } catch {
      CertificateFile.remove(key)
      throw error
    }
  }
}
