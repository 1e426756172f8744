/// Which peers may speak, by the names in their certificates. An empty list allows nobody.
public struct AllowList: Sendable, Equatable {
  /// One rule. A name of a certificate that has a wildcard, a NUL, a control byte, a space or a byte outside ASCII matches none.
  public enum Pattern: Sendable, Hashable {
    /// `dns:NAME`: this DNS name.
    case name(DNSName)
    /// `dns:*.SUFFIX`: any DNS name with one label or more before the suffix; the suffix itself is not meant.
    case below(DNSName)
    /// `uri:spiffe://TRUST-DOMAIN/PATH`: this SPIFFE id, if the certificate has no other URI.
    case spiffe(SPIFFEID)
    /// `trustDomain:NAME`: any SPIFFE id of this trust domain, if the certificate has no other URI.
    case trustDomain(SPIFFEID.TrustDomain)
    /// `uri:URI`: this URI of another scheme, byte for byte.
    case uri(String)
  }

  /// The rules; one that matches is enough.
  public var patterns: [Pattern]

  /// These rules.
  public init(_ patterns: [Pattern] = []) { self.patterns = patterns }

  /// Whether a rule matches.
  public func allows(_ names: CertificateNames) -> Bool { match(names) != nil }

  /// The first rule that matches; nil where none does.
  public func match(_ names: CertificateNames) -> Pattern? {
    let dns = names.dns.compactMap { DNSName($0) }
    // X509-SVID section 5.2: more than one URI makes it no SPIFFE identity.
    let identity = names.uris.count == 1 ? SPIFFEID(names.uris[0]) : nil
    return patterns.first { pattern in
      switch pattern {
      case .name(let name): dns.contains(name)
      case .below(let suffix): dns.contains { $0.isBelow(suffix) }
      case .spiffe(let wanted): identity == wanted
      case .trustDomain(let wanted): identity?.trustDomain == wanted
      // Bytes, not characters: a pattern is printable ASCII, and so is what equals it.
      case .uri(let wanted): names.uris.contains { $0.utf8.elementsEqual(wanted.utf8) }
      }
    }
  }
}

extension AllowList.Pattern {
  /// Reads `dns:NAME`, `dns:*.SUFFIX`, `uri:URI` or `trustDomain:NAME`.
  public init(_ text: String) throws(PeerNameProblem) {
    let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
    let rest = text[colon...].dropFirst()
    switch text[..<colon] {
    case "dns":
      let isBelow = rest.hasPrefix("*.")
      let name = try DNSName(pattern: isBelow ? rest.dropFirst(2) : rest)
      self = isBelow ? .below(name) : .name(name)
    case "uri": self = try Self.uri(rest)
    case "trustDomain":
      guard let trustDomain = SPIFFEID.TrustDomain(rest) else { throw .notATrustDomain }
      self = .trustDomain(trustDomain)
    case "spiffe": throw .kindMissing(write: "uri:")
    default: throw .kindUnknown
    }
  }

  private static func uri(_ text: Substring) throws(PeerNameProblem) -> Self {
    if SPIFFEID.hasScheme(text) {
      if let identity = SPIFFEID(text) { return .spiffe(identity) }
      if let trustDomain = SPIFFEID.TrustDomain(text.dropFirst("spiffe://".count)) { throw .pathMissing(trustDomain) }
      throw .notASPIFFEID
    }
    guard isURI(Array(text.utf8)) else { throw .notAURI }
    return .uri(String(text))
  }

  /// `scheme:rest` in printable ASCII (RFC 3986 section 3) without `*`, which would look like a pattern.
  private static func isURI(_ bytes: [UInt8]) -> Bool {
    guard bytes.count <= SPIFFEID.limit, let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon > 0, colon + 1 < bytes.count else {
      return false
    }
    let scheme = bytes[..<colon]
    guard (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(bytes[0] | 0x20) else { return false }
    return scheme.allSatisfy(isSchemeByte) && bytes.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "*") }
  }

  private static func isSchemeByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
      true
    default: false
    }
  }
}

extension AllowList.Pattern: CustomStringConvertible {
  /// The rule as configuration writes it.
  public var description: String {
    switch self {
    case .name(let name): "dns:\(name)"
    case .below(let suffix): "dns:*.\(suffix)"
    case .spiffe(let identity): "uri:\(identity)"
    case .trustDomain(let name): "trustDomain:\(name)"
    case .uri(let text): "uri:\(text)"
    }
  }
}
