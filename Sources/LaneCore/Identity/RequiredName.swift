/// The name that the certificate of a peer we dial must bear. That the allow-list allows it is another condition.
public enum RequiredName: Sendable, Hashable {
  /// `address`: the address that was dialled, as iPAddress.
  case address
  /// `dns:NAME`: this name, as dNSName. A wildcard in the certificate does not stand for it.
  case name(DNSName)
  /// `any`: none in particular.
  case any

  /// Whether the names hold the required one.
  /// - Parameter address: the peer's, host byte order.
  public func accepts(_ names: CertificateNames, address: UInt32) -> Bool {
    switch self {
    case .address: names.addresses.contains(address)
    case .name(let name): names.dns.contains { DNSName($0) == name }
    case .any: true
    }
  }
}

extension RequiredName {
  /// Reads `address`, `any` or `dns:NAME`.
  public init(_ text: String) throws(PeerNameProblem) {
    switch text {
    case "address": self = .address
    case "any": self = .any
    case _ where text.hasPrefix("dns:"): self = .name(try DNSName(pattern: text.dropFirst(4)))
    default: throw DNSName(text) == nil ? .kindUnknown : .kindMissing(write: "dns:")
    }
  }
}

extension RequiredName: CustomStringConvertible {
  /// The rule as configuration writes it.
  public var description: String {
    switch self {
    case .address: "address"
    case .name(let name): "dns:\(name)"
    case .any: "any"
    }
  }
}
