internal import COpenSSL
internal import Glibc

extension CertificateDescription {
  /// Reads every certificate of a PEM file, in the file's order. Other PEM blocks, such as keys, are passed over.
  /// - Returns: at least one.
  public static func read(path: String) throws(CertificateFailure) -> [CertificateDescription] {
    let file = try PEMCertificates(path: path)
    return file.descriptions
  }
}

/// The certificates of a PEM file, freed together.
struct PEMCertificates: ~Copyable {
  /// Each an `X509 *`, at least one; valid as long as this is, so for a call that borrows it.
  let certificates: [OpaquePointer]

  /// Reads the file. Throws where it has no certificate, or one that cannot be read.
  init(path: String) throws(CertificateFailure) {
    let (found, broken) = try readBlocks(path) { PEM_read_bio_X509($0, nil, refusePassphrase, nil) }
    guard broken == nil, !found.isEmpty else {
      for certificate in found { X509_free(certificate) }
      throw broken.map { .malformed(path: path, number: found.count + 1, reason: $0) } ?? .noCertificate(path: path)
    }
    certificates = found
  }

  /// What they say, in the file's order.
  var descriptions: [CertificateDescription] { certificates.map(CertificateDescription.init) }

  deinit {
    for certificate in certificates { X509_free(certificate) }
  }
}

/// The private key of a PEM file.
struct PEMKey: ~Copyable {
  /// An `EVP_PKEY *`; valid as long as this is, so for a call that borrows it.
  let key: OpaquePointer

  /// Reads the file. Throws where it has no key, or one with a passphrase.
  init(path: String) throws(CertificateFailure) {
    let content = try CertificateFile.read(path)
    let found = content.withUnsafeBytes { bytes -> OpaquePointer? in
      guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
      defer { BIO_free(bio) }
      return PEM_read_bio_PrivateKey(bio, nil, refusePassphrase, nil)
    }
    let reason = OpenSSLQueue.drainText()
    guard let found else { throw .noKey(path: path, reason: reason) }
    key = found
  }

  deinit { EVP_PKEY_free(key) }
}

/// The revocation lists of a PEM file, freed together.
struct PEMRevocations: ~Copyable {
  /// Each an `X509_CRL *`, at least one; valid as long as this is, so for a call that borrows it.
  let lists: [OpaquePointer]

  /// Reads the file. Throws where it has no CRL, or one that cannot be read.
  init(path: String) throws(CertificateFailure) {
    let (found, broken) = try readBlocks(path) { PEM_read_bio_X509_CRL($0, nil, refusePassphrase, nil) }
    guard broken == nil, !found.isEmpty else {
      for list in found { X509_CRL_free(list) }
      throw broken.map { .malformedRevocationList(path: path, number: found.count + 1, reason: $0) } ?? .noRevocationList(path: path)
    }
    lists = found
  }

  deinit {
    for list in lists { X509_CRL_free(list) }
  }
}

/// Every block of one kind in a PEM file.
/// - Returns: what `next` made of them, the caller's to free; and OpenSSL's reason where one cannot be read, behind those.
private func readBlocks(_ path: String, _ next: (OpaquePointer) -> OpaquePointer?) throws(CertificateFailure) -> ([OpaquePointer], String?)
{
  let content = try CertificateFile.read(path)
  var found: [OpaquePointer] = []
  content.withUnsafeBytes { bytes in
    guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return }
    defer { BIO_free(bio) }
    while let block = next(bio) { found.append(block) }
  }
  // The end of the file is the "error" that no further block begins.
  let last = ERR_peek_last_error()
  let isEnd = copenssl_error_library(last) == ERR_LIB_PEM && copenssl_error_reason(last) == PEM_R_NO_START_LINE
  let reason = OpenSSLQueue.drainText()
  return (found, isEnd ? nil : reason)
}

/// OpenSSL would ask the terminal for a passphrase; nobody is there to answer.
private func refusePassphrase(
  _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int32, _ isWriting: Int32, _ context: UnsafeMutableRawPointer?
) -> Int32 { -1 }
