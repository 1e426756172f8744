/// A range of IPv4 addresses as CIDR writes it (RFC 4632 section 3.1): the leading bits that they share.
public struct AddressPrefix: Hashable, Sendable {
  /// The first address of the range, host byte order; bits beyond `length` are 0.
  public let address: UInt32
  /// How many leading bits count, 0 to 32.
  public let length: UInt8

  /// The range of that length around an address.
  init(around address: UInt32, length: UInt8) {
    self.address = address & Self.mask(length)
    self.length = length
  }

  /// Reads `a.b.c.d/length`; a bare `a.b.c.d` is that one address.
  public init(_ text: some StringProtocol) throws(AddressPrefixProblem) {
    let slash = text.utf8.firstIndex(of: UInt8(ascii: "/"))
    // The rules of an endpoint's address hold here, too.
    guard let address = Endpoint("\(text[..<(slash ?? text.endIndex)]):0")?.address else { throw .notAnAddress }
    guard let slash else {
      self.init(around: address, length: 32)
      return
    }
    guard let length = Self.length(text[text.utf8.index(after: slash)...]) else { throw .lengthOutOfRange }
    self.init(around: address, length: length)
    guard self.address == address else { throw .hostBitsSet(self) }
  }

  /// Whether the address, in host byte order, is in the range.
  public func contains(_ address: UInt32) -> Bool { address & Self.mask(length) == self.address }

  // Swift shifts by 32 and more to 0.
  private static func mask(_ length: UInt8) -> UInt32 { ~0 << (32 - UInt32(length)) }

  private static func length(_ text: some StringProtocol) -> UInt8? {
    let digits = Array(text.utf8)
    guard (1...2).contains(digits.count), digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    if digits.count == 2, digits[0] == UInt8(ascii: "0") { return nil }
    let length = digits.reduce(0) { $0 * 10 + ($1 - UInt8(ascii: "0")) }
    return length <= 32 ? length : nil
  }
}

extension AddressPrefix: CustomStringConvertible {
  /// `a.b.c.d/length`.
  public var description: String {
    "\(address >> 24).\(address >> 16 & 0xFF).\(address >> 8 & 0xFF).\(address & 0xFF)/\(length)"
  }
}

/// Why a text is no address prefix.
public enum AddressPrefixProblem: Error, Equatable, Sendable {
  /// What stands before the slash is no IPv4 address.
  case notAnAddress
  /// What stands behind the slash is no whole number from 0 to 32.
  case lengthOutOfRange
  /// The address has bits beyond the length; the prefix without them.
  case hostBitsSet(AddressPrefix)
}

extension AddressPrefixProblem: CustomStringConvertible {
  /// What is wrong, and what would be right where that can be told.
  public var description: String {
    switch self {
    case .notAnAddress: "not an IPv4 address or prefix"
    case .lengthOutOfRange: "the length behind / is not a whole number from 0 to 32"
    case .hostBitsSet(let prefix): "bits beyond the length are set; write \(prefix)"
    }
  }
}
