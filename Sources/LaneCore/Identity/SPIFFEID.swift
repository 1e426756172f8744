/// `spiffe://TRUST-DOMAIN/PATH`: who a workload is (SPIFFE-ID section 2). A leaf certificate's id has a path
/// (X509-SVID section 5.2), so one without is none here.
public struct SPIFFEID: Sendable, Hashable {
  /// A trust domain's name in lower case.
  public struct TrustDomain: Sendable, Hashable {
    private let text: String

    /// Takes 1 to 255 letters, digits, `.`, `-` and `_`; nil for anything else: a port, a user, a wildcard.
    public init?(_ text: some StringProtocol) {
      guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy(isPlain) else { return nil }
      self.text = text.lowercased()
    }
  }

  /// The longest id, bytes (SPIFFE-ID section 2.3).
  public static let limit = 2048

  /// Who vouches for the workload.
  public let trustDomain: TrustDomain
  /// The workload within its trust domain, from the first slash; case counts.
  public let path: String

  /// Reads an id; scheme and trust domain in any case. The path has segments of letters, digits, `.`, `-` and `_`, none empty,
  /// `.` or `..`: nil for anything else, percent signs, queries, fragments and wildcards included.
  public init?(_ text: some StringProtocol) {
    guard text.utf8.count <= Self.limit, Self.hasScheme(text) else { return nil }
    let rest = text.utf8.dropFirst(Self.scheme.utf8.count)
    guard let slash = rest.firstIndex(of: UInt8(ascii: "/")), let trustDomain = TrustDomain(text[rest.startIndex..<slash]) else {
      return nil
    }
    let segments = rest[rest.index(after: slash)...].split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard segments.allSatisfy({ Self.isSegment(Array($0)) }) else { return nil }
    self.trustDomain = trustDomain
    path = String(text[slash...])
  }

  private static let scheme = "spiffe://"

  /// Whether a URI has SPIFFE's scheme, whatever follows.
  static func hasScheme(_ text: some StringProtocol) -> Bool {
    text.utf8.prefix(scheme.utf8.count).elementsEqual(scheme.utf8) { byte, wanted in
      byte == wanted || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) && byte | 0x20 == wanted
    }
  }

  private static func isSegment(_ bytes: [UInt8]) -> Bool {
    !bytes.isEmpty && bytes.allSatisfy(isPlain) && bytes != Array(".".utf8) && bytes != Array("..".utf8)
  }
}

/// Whether a byte may stand in a trust domain or in a segment of a path.
private func isPlain(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
    UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
    true
  default: false
  }
}

extension SPIFFEID: CustomStringConvertible {
  /// `spiffe://trust-domain/path`.
  public var description: String { "spiffe://\(trustDomain)\(path)" }
}

extension SPIFFEID.TrustDomain: CustomStringConvertible {
  /// The name in lower case.
  public var description: String { text }
}
