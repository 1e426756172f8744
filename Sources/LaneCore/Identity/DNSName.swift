/// A host's name as certificates bear it, in lower case: names are compared without regard to case (RFC 9525 section 6.3).
public struct DNSName: Sendable, Hashable {
  private let text: String

  /// Takes 1 to 253 bytes: labels of 1 to 63 letters, digits, `-` and `_` between dots, none with `-` at an end, the last with a
  /// character that is no digit (otherwise it could be an address). Nil for anything else: wildcards, a dot at the end, NULs.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard (1...253).contains(bytes.count) else { return nil }
    let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard labels.allSatisfy(Self.isLabel), let last = labels.last, !last.allSatisfy(Self.isDigit) else { return nil }
    self.text = text.lowercased()
  }

  /// Whether one label or more stand before `suffix` in this name: `a.b.example` is below `example`, `example` is not.
  public func isBelow(_ suffix: DNSName) -> Bool {
    text.utf8.count > suffix.text.utf8.count && text.hasSuffix(".\(suffix.text)")
  }

  private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
    guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else { return false }
    return label.allSatisfy { isDigit($0) || isLetter($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  // 0x20 tells a small letter from a capital one.
  private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
}

extension DNSName: CustomStringConvertible {
  /// The name in lower case.
  public var description: String { text }
}
