/// Why a text is no rule about a peer's names.
public enum PeerNameProblem: Error, Equatable, Sendable {
  /// It begins with none of the words that tell what kind of name follows.
  case kindUnknown
  /// Likewise, and it is clear which is meant.
  case kindMissing(write: String)
  /// What follows `dns:` is no DNS name.
  case notADNSName
  /// What follows `dns:` is an address, which certificates bear as another kind of name.
  case addressAsDNSName
  /// What follows `dns:` has a `*` where none may be.
  case wildcardMisplaced
  /// What follows `uri:` has SPIFFE's scheme, and is no SPIFFE id.
  case notASPIFFEID
  /// What follows `uri:` is a SPIFFE id without a path, which no peer has.
  case pathMissing(SPIFFEID.TrustDomain)
  /// What follows `uri:` is no URI.
  case notAURI
  /// What follows `trustDomain:` is no trust domain.
  case notATrustDomain
}

extension PeerNameProblem: CustomStringConvertible {
  /// What is wrong, and what would be right where that can be told.
  public var description: String {
    switch self {
    case .kindUnknown: "the kind of name is not told"
    case .kindMissing(let kind): "the kind of name is not told; put \(kind) before it"
    case .notADNSName: "not a DNS name; write labels of letters, digits, - and _ between dots, without a dot at the end"
    case .addressAsDNSName: "an address is no DNS name; peerName: address has peers bear theirs"
    case .wildcardMisplaced: "* may stand only once in tls.allow, as the whole first label with a name behind it: dns:*.storage.example"
    case .notASPIFFEID: "not a SPIFFE id; write spiffe://TRUST-DOMAIN/PATH in letters, digits, . - and _, without a / at the end"
    case .pathMissing(let trustDomain): "a SPIFFE id without a path names no peer; for all of them write trustDomain:\(trustDomain)"
    case .notAURI: "not a URI; write SCHEME:REST in printable ASCII without spaces and *"
    case .notATrustDomain: "not a trust domain; write its name alone, in letters, digits, . - and _"
    }
  }
}

extension DNSName {
  /// Reads the name in a rule.
  init(pattern text: Substring) throws(PeerNameProblem) {
    if let name = DNSName(text) {
      self = name
    } else if text.utf8.contains(UInt8(ascii: "*")) {
      throw .wildcardMisplaced
    } else {
      throw Self.looksLikeAnAddress(text) ? .addressAsDNSName : .notADNSName
    }
  }

  private static func looksLikeAnAddress(_ text: Substring) -> Bool {
    !text.isEmpty
      && (text.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        || text.utf8.contains(UInt8(ascii: ":")))
  }
}
