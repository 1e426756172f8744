/// The alternative names of a peer's leaf certificate (RFC 5280 section 4.2.1.6) as they stand in it. The subject's common name
/// is no name here (RFC 9525 section 2).
public struct CertificateNames: Sendable, Equatable {
  /// dNSName entries, whole: a NUL or anything else that is no part of a name is left in, and keeps the entry from matching.
  public var dns: [String]
  /// uniformResourceIdentifier entries, likewise.
  public var uris: [String]
  /// iPAddress entries of 4 bytes, in host byte order.
  public var addresses: [UInt32]

  /// These names.
  public init(dns: [String] = [], uris: [String] = [], addresses: [UInt32] = []) {
    self.dns = dns
    self.uris = uris
    self.addresses = addresses
  }
}
