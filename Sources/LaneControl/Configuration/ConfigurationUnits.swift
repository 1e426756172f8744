/// Durations and sizes as people write them.
enum ConfigurationUnits {
  private static let durations: [(suffix: String, length: Duration)] = [
    ("h", .seconds(3600)), ("m", .seconds(60)), ("s", .seconds(1)), ("ms", .milliseconds(1)),
  ]
  private static let sizes: [(suffix: String, bytes: Int)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

  /// Reads `250ms`, `5s`, `2m`, `1h`; nil for anything else. A zero needs no unit.
  static func duration(_ text: String) -> Duration? {
    let (digits, suffix) = split(text)
    // An upper bound that no key's range reaches keeps the product far from overflow.
    guard let number = whole(digits), number <= 1_000_000_000 else { return nil }
    if number == 0, suffix.isEmpty { return .zero }
    guard let unit = durations.first(where: { $0.suffix == suffix }) else { return nil }
    return unit.length * number
  }

  /// The shortest exact form of a duration, down to milliseconds.
  static func text(_ duration: Duration) -> String {
    if duration == .zero { return "0s" }
    let milliseconds = duration.wholeNanoseconds / 1_000_000
    for (suffix, length) in durations {
      let unit = length.wholeNanoseconds / 1_000_000
      if unit > 0, milliseconds % unit == 0 { return "\(milliseconds / unit)\(suffix)" }
    }
    return "\(milliseconds)ms"
  }

  /// Reads `4096`, `64KiB`, `16MiB`, `1GiB`; nil for anything else.
  static func bytes(_ text: String) -> Int? {
    let (digits, suffix) = split(text)
    guard let number = whole(digits) else { return nil }
    if suffix.isEmpty { return number }
    guard let unit = sizes.first(where: { $0.suffix == suffix }) else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
    return overflow ? nil : product
  }

  /// The shortest exact form of a size.
  static func text(bytes: Int) -> String {
    for (suffix, unit) in sizes where bytes > 0 && bytes % unit == 0 { return "\(bytes / unit)\(suffix)" }
    return "\(bytes)"
  }

  /// Reads decimal digits: no sign, no leading zero (some readers take 010 for 8); nil for anything else.
  static func whole(_ text: some StringProtocol) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    if text.utf8.count > 1, text.utf8.first == UInt8(ascii: "0") { return nil }
    return Int(text)
  }

  /// Reads decimal digits, or `0x` and hexadecimal ones; nil for anything else or above 32 bits.
  static func number32(_ text: String) -> UInt32? {
    guard text.hasPrefix("0x") || text.hasPrefix("0X") else { return whole(text).flatMap { UInt32(exactly: $0) } }
    let digits = text.dropFirst(2)
    // Swift's own reader takes a sign.
    guard digits.utf8.first.map({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) ?? false else { return nil }
    return UInt32(digits, radix: 16)
  }

  private static func split(_ text: String) -> (digits: Substring, suffix: Substring) {
    let end = text.utf8.firstIndex { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? text.endIndex
    return (text[..<end], text[end...])
  }
}

extension Duration {
  /// The duration in nanoseconds, what is below one cut off; 0 for a negative one, the largest number for more than 584 years.
  public var wholeNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    if seconds < 0 || attoseconds < 0 { return 0 }
    let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = product.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
    return overflow || carry ? .max : sum
  }
}
