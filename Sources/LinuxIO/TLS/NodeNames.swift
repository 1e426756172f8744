internal import NetEndpoint

/// A name, or a list of names, that a certificate cannot bear.
public struct CertificateNameFailure: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong and what would be right. The names in it are as they were given.
  public let description: String
}

/// The names that a node's certificate bears.
public struct NodeNames: Sendable, Equatable {
  /// The node's own name: the subject's common name, and the files'.
  public let node: String
  /// DNS subject alternative names.
  public let dnsNames: [String]
  /// IPv4 subject alternative names, `a.b.c.d`.
  public let addresses: [String]
  /// URI subject alternative names.
  public let uris: [String]

  /// Checks the names. Where the three lists are empty, the node's name is the only DNS name.
  public init(
    node: String, dnsNames: [String] = [], addresses: [String] = [], uris: [String] = []
  ) throws(CertificateNameFailure) {
    try Self.check(node: node)
    let isDefault = dnsNames.isEmpty && addresses.isEmpty && uris.isEmpty
    if isDefault, let problem = Self.problem(dns: node) {
      throw CertificateNameFailure(description: "'\(node)' is no DNS name (\(problem)): give --dns, --address or --uri")
    }
    for name in dnsNames {
      if let problem = Self.problem(dns: name) {
        throw CertificateNameFailure(description: "--dns '\(name)': \(problem)")
      }
    }
    for address in addresses where Endpoint(address + ":0") == nil {
      throw CertificateNameFailure(description: "--address '\(address)': no IPv4 address, a.b.c.d without leading zeros is needed")
    }
    for uri in uris {
      if let problem = Self.problem(uri: uri) {
        throw CertificateNameFailure(description: "--uri '\(uri)': \(problem)")
      }
    }
    self.node = node
    self.dnsNames = Self.unique(isDefault ? [node] : dnsNames)
    self.addresses = Self.unique(addresses)
    self.uris = Self.unique(uris)
  }

  /// The name becomes a file's. 64 characters are the most that a common name has (RFC 5280, ub-common-name).
  private static func check(node: String) throws(CertificateNameFailure) {
    let isPlain = node.utf8.allSatisfy { isAlphanumeric($0) || $0 == dot || $0 == hyphen || $0 == underscore }
    guard isPlain, (1...64).contains(node.utf8.count), let first = node.utf8.first, first != dot, first != hyphen else {
      throw CertificateNameFailure(
        description: "--name '\(node)': 1 to 64 characters of A-Z a-z 0-9 . _ - are needed, the first neither . nor -")
    }
    guard node.lowercased() != "ca" else {
      throw CertificateNameFailure(description: "--name '\(node)': the authority's own files have that name, another is needed")
    }
  }

  /// Letters, digits and hyphens in labels of 1 to 63, 253 in all (RFC 1123 section 2.1); nil where it is such a name.
  private static func problem(dns name: String) -> String? {
    guard (1...253).contains(name.utf8.count) else { return "1 to 253 characters are needed" }
    let labels = name.utf8.split(separator: dot, omittingEmptySubsequences: false)
    for label in labels {
      guard (1...63).contains(label.count) else { return "1 to 63 characters are needed between dots" }
      guard label.allSatisfy({ isAlphanumeric($0) || $0 == hyphen }), label.first != hyphen, label.last != hyphen else {
        return "A-Z a-z 0-9 and inner hyphens are needed between dots"
      }
    }
    if labels.last?.allSatisfy(isDigit) ?? true { return "a DNS name's last part is no number; an IPv4 address goes with --address" }
    return nil
  }

  /// A scheme, a colon and more, of RFC 3986's characters; SPIFFE ids as their own standard has them. Nil where it is such a URI.
  private static func problem(uri: String) -> String? {
    guard uri.utf8.count <= 2048 else { return "at most 2048 characters are needed" }
    guard let colon = uri.utf8.firstIndex(of: UInt8(ascii: ":")) else { return "a scheme is needed, such as spiffe://domain/path" }
    let scheme = uri.utf8[..<colon]
    guard let first = scheme.first, isAlphanumeric(first), !isDigit(first),
      scheme.allSatisfy({ isAlphanumeric($0) || "+-.".utf8.contains($0) })
    else { return "a scheme is a letter and more of A-Z a-z 0-9 + - ." }
    let rest = uri.utf8[colon...].dropFirst()
    guard !rest.isEmpty else { return "something is needed after the scheme" }
    guard rest.allSatisfy({ isAlphanumeric($0) || "-._~:/?#[]@!$&'()*+,;=%".utf8.contains($0) }) else {
      return "only the characters of RFC 3986 may stand in it, others as %XX"
    }
    return String(decoding: scheme, as: UTF8.self).lowercased() == "spiffe" ? problem(spiffe: uri) : nil
  }

  /// spiffe.io, "The SPIFFE Identity and Verifiable Identity Document", section 2.
  private static func problem(spiffe id: String) -> String? {
    let prefix = "spiffe://"
    let form = "a SPIFFE id is spiffe://domain/path"
    guard id.hasPrefix(prefix) else { return form }
    let parts = id.utf8.dropFirst(prefix.utf8.count).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard let domain = parts.first, (1...255).contains(domain.count),
      domain.allSatisfy({ isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || "-._".utf8.contains($0) })
    else { return "\(form), the domain of a-z 0-9 . _ -" }
    for segment in parts.dropFirst() {
      guard !segment.isEmpty, !segment.elementsEqual(".".utf8), !segment.elementsEqual("..".utf8),
        segment.allSatisfy({ isAlphanumeric($0) || "-._".utf8.contains($0) })
      else { return "\(form), the path's parts of A-Z a-z 0-9 . _ -, none empty, . or .." }
    }
    return nil
  }

  private static func unique(_ names: [String]) -> [String] {
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
  }

  private static let dot = UInt8(ascii: ".")
  private static let hyphen = UInt8(ascii: "-")
  private static let underscore = UInt8(ascii: "_")
  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) && byte >= UInt8(ascii: "A")
  }
}
