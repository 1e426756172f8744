internal import COpenSSL
internal import Glibc

/// A certificate in the making, and the key pair (EC P-256) that it is for.
struct NewCertificate: ~Copyable {
  /// Lengths of time in seconds.
  static let day: Int64 = 86_400
  /// A clock that is this many seconds behind takes the certificate, too.
  static let backdating: Int64 = 300

  private let certificate: OpaquePointer
  private let key: OpaquePointer

  /// The certificate of an authority for nodes, signed by itself.
  /// - Parameter now: Unix seconds.
  static func authority(until notAfter: Int64, now: Int64) throws(CertificateFailure) -> NewCertificate {
    let made = try NewCertificate(what: "the authority's certificate")
    try made.begin()
    // Two authorities in one bundle can be told apart.
    let serial = try made.setSerial()
    try made.setSubject("Lanekeeper CA \(serial.prefix(8))")
    try made.require(X509_set_issuer_name(made.certificate, X509_get_subject_name(made.certificate)) == 1)
    try made.setValidity(notBefore: now - backdating, notAfter: notAfter)
    try made.add(NID_basic_constraints, "critical,CA:TRUE,pathlen:0", issuer: made.certificate)
    try made.add(NID_key_usage, "critical,keyCertSign,cRLSign", issuer: made.certificate)
    try made.add(NID_subject_key_identifier, "hash", issuer: made.certificate)
    try made.add(NID_authority_key_identifier, "keyid:always", issuer: made.certificate)
    try made.require(X509_sign(made.certificate, made.key, EVP_sha256()) > 0)
    return made
  }

  /// A node's certificate, for both ends of a connection.
  /// - Parameters:
  ///   - authority: the first of these signs.
  ///   - authorityKey: its key.
  ///   - now: Unix seconds.
  static func node(
    _ names: NodeNames, until notAfter: Int64, now: Int64, authority: borrowing PEMCertificates, authorityKey: borrowing PEMKey
  ) throws(CertificateFailure) -> NewCertificate {
    let (issuer, issuerKey) = (authority.certificates[0], authorityKey.key)
    let made = try NewCertificate(what: "the certificate of \(names.node)")
    try made.begin()
    _ = try made.setSerial()
    try made.setSubject(names.node)
    try made.require(X509_set_issuer_name(made.certificate, X509_get_subject_name(issuer)) == 1)
    try made.setValidity(notBefore: now - backdating, notAfter: notAfter)
    try made.add(NID_basic_constraints, "critical,CA:FALSE", issuer: issuer)
    try made.add(NID_key_usage, "critical,digitalSignature", issuer: issuer)
    try made.add(NID_ext_key_usage, "serverAuth,clientAuth", issuer: issuer)
    try made.add(NID_subject_key_identifier, "hash", issuer: issuer)
    try made.add(NID_authority_key_identifier, "keyid:always", issuer: issuer)
    try made.setAlternativeNames(names)
    // The digest is the key's own default: the authority may be the operator's, and Ed25519 takes none.
    try made.require(X509_sign(made.certificate, issuerKey, nil) > 0)
    return made
  }

  deinit {
    X509_free(certificate)
    EVP_PKEY_free(key)
  }

  /// The certificate's PEM form.
  func certificatePEM() throws(CertificateFailure) -> [UInt8] {
    try pem { PEM_write_bio_X509($0, certificate) }
  }

  /// The key's PEM form (PKCS #8, no passphrase).
  func keyPEM() throws(CertificateFailure) -> [UInt8] {
    try pem { PEM_write_bio_PKCS8PrivateKey($0, key, nil, nil, 0, nil, nil) }
  }

  // MARK: - Steps

  private let what: String

  private init(what: String) throws(CertificateFailure) {
    guard let certificate = X509_new() else { throw .cannotMake(what: what, reason: OpenSSLQueue.drainText()) }
    guard let key = copenssl_new_p256_key() else {
      X509_free(certificate)
      throw .cannotMake(what: "a key", reason: OpenSSLQueue.drainText())
    }
    self.certificate = certificate
    self.key = key
    self.what = what
  }

  private func begin() throws(CertificateFailure) {
    try require(X509_set_version(certificate, Int(X509_VERSION_3)) == 1)
    try require(X509_set_pubkey(certificate, key) == 1)
  }

  private func require(_ succeeded: Bool) throws(CertificateFailure) {
    if !succeeded { throw .cannotMake(what: what, reason: OpenSSLQueue.drainText()) }
  }

  /// 159 random bits: positive, and 20 octets at most, as RFC 5280 section 4.1.2.2 has it.
  /// - Returns: in hexadecimal.
  private func setSerial() throws(CertificateFailure) -> String {
    let number = BN_new()
    defer { BN_free(number) }
    try require(number != nil)
    try require(BN_rand(number, 159, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1)
    try require(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil)
    let digits = BN_bn2hex(number)
    defer { copenssl_free(digits) }
    try require(digits != nil)
    return digits.map { String(cString: $0) } ?? ""
  }

  private func setSubject(_ commonName: String) throws(CertificateFailure) {
    let bytes = Array(commonName.utf8)
    let name = X509_get_subject_name(certificate)
    try require(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1)
  }

  private func setValidity(notBefore: Int64, notAfter: Int64) throws(CertificateFailure) {
    try require(ASN1_TIME_set(X509_getm_notBefore(certificate), time_t(notBefore)) != nil)
    try require(ASN1_TIME_set(X509_getm_notAfter(certificate), time_t(notAfter)) != nil)
  }

  private func add(_ nid: Int32, _ value: String, issuer: OpaquePointer) throws(CertificateFailure) {
    try require(copenssl_add_extension(certificate, issuer, nid, value) == 1)
  }

  /// Built by hand: in OpenSSL's text form a comma in a URI would begin another name.
  private func setAlternativeNames(_ names: NodeNames) throws(CertificateFailure) {
    let list = copenssl_new_general_names()
    defer { GENERAL_NAMES_free(list) }
    try require(list != nil)
    let entries = names.dnsNames.map { (GEN_DNS, $0) } + names.uris.map { (GEN_URI, $0) } + names.addresses.map { (GEN_IPADD, $0) }
    for (kind, text) in entries {
      // Text of config syntax never gets here: a2i_GENERAL_NAME reads one value of a known kind.
      let name = a2i_GENERAL_NAME(nil, nil, nil, kind, text, 0)
      try require(name != nil)
      guard copenssl_push_general_name(list, name) > 0 else {
        GENERAL_NAME_free(name)
        throw .cannotMake(what: what, reason: OpenSSLQueue.drainText())
      }
    }
    try require(X509_add1_ext_i2d(certificate, NID_subject_alt_name, UnsafeMutableRawPointer(list), 0, 0) == 1)
  }

  private func pem(_ write: (OpaquePointer) -> Int32) throws(CertificateFailure) -> [UInt8] {
    guard let bio = BIO_new(BIO_s_secmem()) else { throw .cannotMake(what: what, reason: OpenSSLQueue.drainText()) }
    defer { BIO_free(bio) }
    try require(write(bio) == 1)
    var bytes: UnsafeMutablePointer<CChar>?
    let count = copenssl_memory(bio, &bytes)
    return Array(UnsafeRawBufferPointer(start: bytes, count: max(0, count)))
  }
}
