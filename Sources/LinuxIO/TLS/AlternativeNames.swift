internal import COpenSSL
internal import Glibc

/// The subject alternative name of a certificate (RFC 5280 section 4.2.1.6) by kinds of names: whose it is, without the rest of what
/// it says.
public struct AlternativeNames: Sendable, Equatable {
  /// The DNS names. A byte other than printable ASCII stands as `\xNN`, and so does a backslash: such a name equals no DNS name.
  public private(set) var dnsNames: [String] = []
  /// The URIs, such as SPIFFE ids; escaped likewise.
  public private(set) var uris: [String] = []
  /// The IP addresses, IPv4 or IPv6.
  public private(set) var addresses: [String] = []
  /// How many other names there are (e-mail, directory and others).
  public private(set) var otherNameCount = 0

  /// Reads an `X509 *`, which stays the caller's.
  init(_ certificate: OpaquePointer) {
    // An extension that cannot be parsed leaves its errors behind, and the next failure would be blamed on them.
    defer { ERR_clear_error() }
    guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return }
    let names = OpaquePointer(raw)
    defer { GENERAL_NAMES_free(names) }
    for index in 0..<max(0, copenssl_general_name_count(names)) {
      guard let name = copenssl_general_name(names, index) else { continue }
      switch name.pointee.type {
      case GEN_DNS: dnsNames.append(Self.text(name.pointee.d.dNSName))
      case GEN_URI: uris.append(Self.text(name.pointee.d.uniformResourceIdentifier))
      case GEN_IPADD: addresses.append(Self.address(name.pointee.d.iPAddress))
      default: otherNameCount += 1
      }
    }
  }

  private static func bytes(_ string: UnsafePointer<ASN1_STRING>?) -> UnsafeRawBufferPointer {
    guard let string else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(max(0, ASN1_STRING_length(string))))
  }

  private static func text(_ string: UnsafePointer<ASN1_STRING>?) -> String { CertificateDescription.escaped(bytes(string)) }

  private static func address(_ string: UnsafePointer<ASN1_STRING>?) -> String {
    let bytes = bytes(string)
    let family = bytes.count == 4 ? AF_INET : AF_INET6
    guard bytes.count == 4 || bytes.count == 16 else {
      return "0x" + bytes.map(CertificateDescription.hexadecimal).joined()
    }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
      guard let base = buffer.baseAddress, inet_ntop(family, bytes.baseAddress, base, socklen_t(buffer.count)) != nil else { return "" }
      return String(cString: base)
    }
  }
}
