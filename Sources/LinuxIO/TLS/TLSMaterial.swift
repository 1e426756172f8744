internal import COpenSSL
internal import Glibc

/// Certificates, key and CRLs as they were read, before they are believed.
final class TLSMaterial {
  private let files: TLSFiles
  private let certificates: PEMCertificates
  private let authorities: PEMCertificates
  private let key: PEMKey
  private let revocations: PEMRevocations?
  let descriptions: [CertificateDescription]
  let authorityDescriptions: [CertificateDescription]

  init(_ files: TLSFiles) throws(TLSFailure) {
    do throws(CertificateFailure) {
      self.files = files
      certificates = try PEMCertificates(path: files.certificate)
      authorities = try PEMCertificates(path: files.authorities)
      key = try PEMKey(path: files.key)
      revocations = if let path = files.revocations { try PEMRevocations(path: path) } else { nil }
      descriptions = certificates.descriptions
      authorityDescriptions = authorities.descriptions
    } catch { throw TLSFailure(.badFile, "\(error)") }
  }

  // MARK: Judging

  /// Whether these can serve at all.
  func check(now: Int64) throws(TLSFailure) {
    guard X509_check_private_key(certificates.certificates[0], key.key) == 1 else {
      OpenSSLQueue.clear()
      throw TLSFailure(.keyMismatch, "\(files.key): not the key of the certificate in \(files.certificate)", certificate: descriptions[0])
    }
    for (position, certificate) in descriptions.enumerated() {
      let whose = position == 0 ? "the certificate" : "CA \(position) of the chain"
      guard certificate.notAfter >= now else {
        throw TLSFailure(.expired, "\(files.certificate): \(whose) has expired", certificate: certificate)
      }
      guard certificate.notBefore <= now else {
        throw TLSFailure(.notYetValid, "\(files.certificate): \(whose) is not valid yet", certificate: certificate)
      }
    }
    guard authorityDescriptions.contains(where: { $0.notAfter >= now }) else {
      throw TLSFailure(.expired, "\(files.authorities): every CA in it has expired", certificate: authorityDescriptions[0])
    }
    try checkChain()
  }

  /// Each is issued by the next, and the last by a configured CA, or by itself.
  private func checkChain() throws(TLSFailure) {
    for position in 0..<certificates.certificates.count {
      let certificate = certificates.certificates[position]
      let isIssued: Bool
      if position + 1 < certificates.certificates.count {
        isIssued = X509_check_issued(certificates.certificates[position + 1], certificate) == X509_V_OK
      } else {
        let isItsOwn = X509_check_issued(certificate, certificate) == X509_V_OK
        isIssued =
          isItsOwn
          || (0..<authorities.certificates.count).contains { X509_check_issued(authorities.certificates[$0], certificate) == X509_V_OK }
      }
      OpenSSLQueue.clear()
      guard isIssued else {
        let issuer = descriptions[position].issuer
        throw TLSFailure(
          .incompleteChain,
          "\(files.certificate): its issuer \(issuer) is neither the next certificate in the file nor in \(files.authorities)",
          certificate: descriptions[position])
      }
    }
  }

  /// What an operator should look at.
  func warnings(now: Int64) -> [String] {
    var found: [String] = []
    var status = stat()
    if stat(files.key, &status) == 0, status.st_mode & 0o077 & ~0o040 != 0 {
      found.append("\(files.key): the key can be used by others (mode \(String(status.st_mode & 0o777, radix: 8))): chmod 600")
    }
    for authority in authorityDescriptions where authority.notAfter < now {
      found.append("\(files.authorities): CA \(authority.subject) has expired")
    }
    return found
  }

  // MARK: Use

  private static let longestChain = 32 * 1024

  /// An `SSL_CTX *` of which the caller is the owner.
  func context(_ method: OpaquePointer?, _ minimum: TLSVersion) throws(TLSFailure) -> OpaquePointer {
    guard let context = SSL_CTX_new_ex(copenssl_narrow_library(), nil, method) else {
      throw TLSFailure(queueOr: .library, "SSL_CTX_new_ex")
    }
    do throws(TLSFailure) { try set(context, minimum) } catch {
      SSL_CTX_free(context)
      throw error
    }
    return context
  }

  private func set(_ context: OpaquePointer, _ minimum: TLSVersion) throws(TLSFailure) {
    func must(_ result: Int32, _ what: String) throws(TLSFailure) {
      guard result == 1 else { throw TLSFailure(queueOr: .library, what) }
    }
    try must(copenssl_set_min_version(context, minimum == .tls13 ? TLS1_3_VERSION : TLS1_2_VERSION), "lowest version")
    try must(
      SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"), "suites of TLS 1.3")
    try must(SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20"), "suites of TLS 1.2")
    copenssl_set_options(context)
    // SSL_OP_NO_TICKET alone leaves TLS 1.3 with stateful tickets.
    try must(SSL_CTX_set_num_tickets(context, 0), "no tickets")
    copenssl_session_cache_off(context)
    copenssl_set_modes(context)
    // A chain is read and described before anybody is known: a few certificates have room, and a hundred thousand names do not.
    copenssl_set_max_chain(context, Self.longestChain)
    // One recv(2) for several records. The buffer is there only while it holds something.
    copenssl_read_ahead(context)
    SSL_CTX_set_default_read_buffer_len(context, TLSSession.readBufferSize)

    try must(SSL_CTX_use_certificate(context, certificates.certificates[0]), files.certificate)
    for position in 1..<max(1, certificates.certificates.count) {
      try must(copenssl_add_chain_certificate(context, certificates.certificates[position]), files.certificate)
    }
    try must(SSL_CTX_use_PrivateKey(context, key.key), files.key)

    guard let store = SSL_CTX_get_cert_store(context) else { throw TLSFailure(.library, "no certificate store") }
    for position in 0..<authorities.certificates.count {
      try must(X509_STORE_add_cert(store, authorities.certificates[position]), files.authorities)
    }
    // A configured CA is an anchor, be it a root or not.
    var flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST
    if let path = files.revocations {
      switch revocations {
      case .some(let revocations): for list in revocations.lists { try must(X509_STORE_add_crl(store, list), path) }
      case .none: break
      }
      flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL
    }
    try must(X509_STORE_set_flags(store, UInt(flags)), "verification flags")
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    SSL_CTX_set_cert_verify_callback(context, TLSSession.verify, nil)
    SSL_CTX_set_alpn_select_cb(context, TLSSession.choose, nil)
  }
}
