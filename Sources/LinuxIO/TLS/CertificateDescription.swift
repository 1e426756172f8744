internal import COpenSSL
internal import Glibc

/// What a certificate says, as text for operators and for allow-lists.
///
/// Every text is printable ASCII, whatever bytes the certificate has. Their length is bounded by that of the certificate only.
public struct CertificateDescription: Sendable, Equatable {
  /// The subject's distinguished name in the form of RFC 2253, most specific part first: `CN=node-1,O=Example`.
  public let subject: String
  /// The issuer's, in the same form.
  public let issuer: String
  /// Upper-case hexadecimal, as `openssl x509 -serial` prints it.
  public let serial: String
  /// The subject alternative name.
  public let names: AlternativeNames
  /// The first second of its validity, Unix time. Where the certificate has no time that can be read, the last second of the year
  /// 9999: it never becomes valid.
  public let notBefore: Int64
  /// The last second of its validity, Unix time. Where the certificate has no time that can be read, 0: it has expired.
  public let notAfter: Int64
  /// The kind of its key: `EC P-256`, `RSA 2048`, `Ed25519`.
  public let keyKind: String
  /// The key usage extension under OpenSSL's names (`digitalSignature`); nil where there is none, which allows every use.
  public let keyUsages: [String]?
  /// The extended key usage extension under OpenSSL's short names (`serverAuth`), dotted numbers where it knows none; nil where
  /// there is none, which allows every use.
  public let extendedKeyUsages: [String]?
  /// Whether it may sign other certificates: CA:TRUE in its basic constraints.
  public let isAuthority: Bool
  /// The SHA-256 digest of its DER form, upper-case hexadecimal with colons.
  public let fingerprint: String

  /// Reads an `X509 *`, which stays the caller's.
  init(_ certificate: OpaquePointer) {
    subject = Self.text(name: X509_get_subject_name(certificate))
    issuer = Self.text(name: X509_get_issuer_name(certificate))
    serial = Self.text(serial: X509_get0_serialNumber(certificate))
    names = AlternativeNames(certificate)
    notBefore = Self.seconds(X509_get0_notBefore(certificate)) ?? 253_402_300_799
    notAfter = Self.seconds(X509_get0_notAfter(certificate)) ?? 0
    keyKind = Self.kind(key: X509_get0_pubkey(certificate))
    keyUsages = Self.keyUsages(certificate)
    extendedKeyUsages = Self.extendedKeyUsages(certificate)
    isAuthority = X509_get_extension_flags(certificate) & UInt32(EXFLAG_CA) != 0
    fingerprint = Self.digest(certificate)
    // Extensions that cannot be parsed leave their errors behind, and the next failure would be blamed on them.
    ERR_clear_error()
  }

  /// A time as RFC 3339 in UTC: `2026-11-28T12:00:00Z`.
  /// - Parameter time: Unix seconds, of the years 0 to 9999.
  public static func text(time: Int64) -> String {
    var moment = time_t(time)
    var parts = tm()
    guard gmtime_r(&moment, &parts) != nil else { return "\(time)" }
    func padded(_ number: Int32, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    return "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
      + "T\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))Z"
  }

  /// The DNS names of the subject alternative name.
  public var dnsNames: [String] { names.dnsNames }
  /// Its URIs.
  public var uris: [String] { names.uris }
  /// Its IP addresses.
  public var addresses: [String] { names.addresses }
  /// How many other names there are in it.
  public var otherNameCount: Int { names.otherNameCount }

  // MARK: - Parts

  private static func text(name: OpaquePointer?) -> String {
    guard let name, let bio = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(bio) }
    guard copenssl_print_name(bio, name) >= 0 else { return "" }
    var bytes: UnsafeMutablePointer<CChar>?
    let count = copenssl_memory(bio, &bytes)
    guard let bytes, count > 0 else { return "" }
    return escaped(UnsafeRawBufferPointer(start: bytes, count: count), backslash: false)
  }

  private static func text(serial: UnsafePointer<ASN1_INTEGER>?) -> String {
    guard let number = ASN1_INTEGER_to_BN(serial, nil) else { return "" }
    defer { BN_free(number) }
    guard let digits = BN_bn2hex(number) else { return "" }
    defer { copenssl_free(digits) }
    return String(cString: digits)
  }

  private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
    var parts = tm()
    // Without a time, ASN1_TIME_to_tm would give the present.
    guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    return Int64(timegm(&parts))
  }

  private static func kind(key: OpaquePointer?) -> String {
    guard let key else { return "unknown" }
    let bits = EVP_PKEY_get_bits(key)
    switch EVP_PKEY_get_base_id(key) {
    case EVP_PKEY_RSA: return "RSA \(bits)"
    case EVP_PKEY_RSA_PSS: return "RSA-PSS \(bits)"
    case EVP_PKEY_EC:
      let curve = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 80) { buffer -> String in
        guard let base = buffer.baseAddress, EVP_PKEY_get_group_name(key, base, buffer.count, nil) == 1 else { return "\(bits)" }
        return String(cString: base)
      }
      // NIST's names, which EC_curve_nid2nist gives; OpenSSL itself says prime256v1.
      if let name = EC_curve_nid2nist(OBJ_txt2nid(curve)) { return "EC \(String(cString: name))" }
      return "EC \(curve)"
    case EVP_PKEY_ED25519: return "Ed25519"
    case EVP_PKEY_ED448: return "Ed448"
    default: return EVP_PKEY_get0_type_name(key).map { "\(String(cString: $0)) \(bits)" } ?? "unknown"
    }
  }

  private static func keyUsages(_ certificate: OpaquePointer) -> [String]? {
    guard X509_get_extension_flags(certificate) & UInt32(EXFLAG_KUSAGE) != 0 else { return nil }
    let bits = X509_get_key_usage(certificate)
    let names: [(Int32, String)] = [
      (KU_DIGITAL_SIGNATURE, "digitalSignature"), (KU_NON_REPUDIATION, "nonRepudiation"), (KU_KEY_ENCIPHERMENT, "keyEncipherment"),
      (KU_DATA_ENCIPHERMENT, "dataEncipherment"), (KU_KEY_AGREEMENT, "keyAgreement"), (KU_KEY_CERT_SIGN, "keyCertSign"),
      (KU_CRL_SIGN, "cRLSign"), (KU_ENCIPHER_ONLY, "encipherOnly"), (KU_DECIPHER_ONLY, "decipherOnly"),
    ]
    return names.filter { bits & UInt32($0.0) != 0 }.map(\.1)
  }

  private static func extendedKeyUsages(_ certificate: OpaquePointer) -> [String]? {
    guard let raw = X509_get_ext_d2i(certificate, NID_ext_key_usage, nil, nil) else { return nil }
    let usages = OpaquePointer(raw)
    defer { EXTENDED_KEY_USAGE_free(usages) }
    return (0..<max(0, copenssl_usage_count(usages))).map { index in
      let object = copenssl_usage(usages, index)
      let nid = OBJ_obj2nid(object)
      if nid != NID_undef, let name = OBJ_nid2sn(nid) { return String(cString: name) }
      return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        guard let base = buffer.baseAddress, OBJ_obj2txt(base, Int32(buffer.count), object, 1) > 0 else { return "unknown" }
        return String(cString: base)
      }
    }
  }

  private static func digest(_ certificate: OpaquePointer) -> String {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(EVP_MAX_MD_SIZE)) { buffer in
      var count: UInt32 = 0
      guard X509_digest(certificate, EVP_sha256(), buffer.baseAddress, &count) == 1 else { return "" }
      return buffer.prefix(Int(count)).map(hexadecimal).joined(separator: ":")
    }
  }

  /// Printable ASCII as it is, any other byte as `\xNN`.
  static func escaped(_ bytes: UnsafeRawBufferPointer, backslash: Bool = true) -> String {
    var text = ""
    for byte in bytes {
      if (0x20...0x7E).contains(byte), !backslash || byte != UInt8(ascii: "\\") {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "\\x\(hexadecimal(byte))"
      }
    }
    return text
  }

  static func hexadecimal(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
  }
}
