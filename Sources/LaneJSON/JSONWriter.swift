/// Writes one JSON text (RFC 8259), left to right, into a byte array that keeps its capacity from one use to the next.
///
/// The writer puts the commas; the caller nests. Text is escaped so that the result is valid UTF-8 without control
/// characters, whatever bytes the text was made of.
public struct JSONWriter {
  /// What has been written.
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false

  /// Nothing written.
  public init() {}

  /// Starts anew; the memory stays.
  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    needsComma = false
  }

  /// The text as a string.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  /// An object: what `body` writes, in braces.
  public mutating func object(_ body: (inout JSONWriter) -> Void) { nest(UInt8(ascii: "{"), UInt8(ascii: "}"), body) }

  /// An array: what `body` writes, in brackets.
  public mutating func array(_ body: (inout JSONWriter) -> Void) { nest(UInt8(ascii: "["), UInt8(ascii: "]"), body) }

  /// A member's name; its value must follow.
  public mutating func key(_ name: some StringProtocol) {
    separate()
    quote(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  /// A string.
  public mutating func string(_ value: some StringProtocol) {
    separate()
    quote(value)
    needsComma = true
  }

  /// A whole number.
  public mutating func number(_ value: some BinaryInteger) { raw(String(value)) }

  /// A number with a fraction; `null` where it is not finite, which JSON cannot say.
  public mutating func number(_ value: Double) { raw(value.isFinite ? "\(value)" : "null") }

  /// `true` or `false`.
  public mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }

  /// `null`.
  public mutating func null() { raw("null") }

  /// A member with a string.
  public mutating func member(_ name: String, _ value: some StringProtocol) {
    key(name)
    string(value)
  }

  /// A member with a whole number.
  public mutating func member(_ name: String, _ value: some BinaryInteger) {
    key(name)
    number(value)
  }

  /// A member with a fraction.
  public mutating func member(_ name: String, _ value: Double) {
    key(name)
    number(value)
  }

  /// A member with a truth value.
  public mutating func member(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }

  private mutating func raw(_ text: String) {
    separate()
    bytes.append(contentsOf: text.utf8)
    needsComma = true
  }

  private mutating func nest(_ open: UInt8, _ close: UInt8, _ body: (inout JSONWriter) -> Void) {
    separate()
    bytes.append(open)
    needsComma = false
    body(&self)
    bytes.append(close)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = false
  }

  private mutating func quote(_ text: some StringProtocol) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
      case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
      case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
      // DEL is legal in JSON and is no friend of a terminal.
      case 0..<0x20, 0x7F:
        bytes.append(contentsOf: "\\u00".utf8)
        bytes.append(Self.hexadecimal(byte >> 4))
        bytes.append(Self.hexadecimal(byte & 0xF))
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private static func hexadecimal(_ digit: UInt8) -> UInt8 {
    digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
  }
}
