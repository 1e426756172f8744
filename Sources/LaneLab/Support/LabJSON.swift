/// A small reader of JSON (RFC 8259), for watermark bodies and for the sidecar's log lines.
indirect enum LabJSON: Equatable, Sendable {
  case null
  case bool(Bool)
  /// The digits as written: ids of 64 bits must not pass through a Double.
  case number(String)
  case string(String)
  case array([LabJSON])
  case object([String: LabJSON])

  /// Nesting beyond this is refused: the reader recurses.
  private static let deepest = 64

  /// The value of a whole text; nil where it is no JSON.
  init?(_ bytes: [UInt8]) {
    var reader = Reader(bytes: bytes)
    reader.skipSpace()
    guard let value = reader.value(depth: 0) else { return nil }
    reader.skipSpace()
    guard reader.position == bytes.count else { return nil }
    self = value
  }

  /// True where the bytes are one JSON text.
  static func isValid(_ bytes: [UInt8]) -> Bool { LabJSON(bytes) != nil }

  /// The numbers of an array of them; nil for anything else.
  static func numbers(_ bytes: [UInt8]) -> [UInt64]? {
    guard case .array(let items) = LabJSON(bytes) else { return nil }
    return items.compactMap { $0.unsigned }
  }

  /// A member of an object; nil where there is none, or no object.
  subscript(_ name: String) -> LabJSON? {
    guard case .object(let members) = self else { return nil }
    return members[name]
  }

  /// The text of a string or of a number.
  var text: String? {
    switch self {
    case .string(let text), .number(let text): text
    default: nil
    }
  }

  /// A whole number not below 0, also where it was written as a string.
  var unsigned: UInt64? { text.flatMap { UInt64($0) } }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
      while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func take(_ byte: Character) -> Bool {
      guard let ascii = byte.asciiValue, current == ascii else { return false }
      position += 1
      return true
    }

    mutating func word(_ text: String, _ value: LabJSON) -> LabJSON? {
      guard bytes[position...].starts(with: text.utf8) else { return nil }
      position += text.utf8.count
      return value
    }

    mutating func value(depth: Int) -> LabJSON? {
      guard depth < LabJSON.deepest, let byte = current else { return nil }
      switch byte {
      case UInt8(ascii: "{"): return object(depth)
      case UInt8(ascii: "["): return array(depth)
      case UInt8(ascii: "\""): return string().map { .string($0) }
      case UInt8(ascii: "t"): return word("true", .bool(true))
      case UInt8(ascii: "f"): return word("false", .bool(false))
      case UInt8(ascii: "n"): return word("null", .null)
      default: return number()
      }
    }

    mutating func number() -> LabJSON? {
      let start = position
      while let byte = current, (0x30...0x39).contains(byte) || "+-.eE".utf8.contains(byte) { position += 1 }
      let text = String(decoding: bytes[start..<position], as: UTF8.self)
      return Double(text) == nil ? nil : .number(text)
    }

    mutating func string() -> String? {
      guard take("\"") else { return nil }
      var text: [UInt8] = []
      while let byte = current {
        position += 1
        switch byte {
        case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
        case 0..<0x20: return nil
        case UInt8(ascii: "\\"):
          guard let escape = current else { return nil }
          position += 1
          switch escape {
          case UInt8(ascii: "n"): text.append(0x0A)
          case UInt8(ascii: "t"): text.append(0x09)
          case UInt8(ascii: "r"): text.append(0x0D)
          case UInt8(ascii: "b"): text.append(0x08)
          case UInt8(ascii: "f"): text.append(0x0C)
          case UInt8(ascii: "u"):
            guard position + 4 <= bytes.count,
              let code = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
            else { return nil }
            position += 4
            text.append(contentsOf: String(Unicode.Scalar(code).map { Character($0) } ?? "\u{FFFD}").utf8)
          default: text.append(escape)
          }
        default: text.append(byte)
        }
      }
      return nil
    }

    mutating func array(_ depth: Int) -> LabJSON? {
      guard take("[") else { return nil }
      var items: [LabJSON] = []
      skipSpace()
      if take("]") { return .array([]) }
      while true {
        skipSpace()
        guard let item = value(depth: depth + 1) else { return nil }
        items.append(item)
        skipSpace()
        if take("]") { return .array(items) }
        guard take(",") else { return nil }
      }
    }

    mutating func object(_ depth: Int) -> LabJSON? {
      guard take("{") else { return nil }
      var members: [String: LabJSON] = [:]
      skipSpace()
      if take("}") { return .object([:]) }
      while true {
        skipSpace()
        guard let name = string() else { return nil }
        skipSpace()
        guard take(":") else { return nil }
        skipSpace()
        guard let item = value(depth: depth + 1) else { return nil }
        members[name] = item
        skipSpace()
        if take("}") { return .object(members) }
        guard take(",") else { return nil }
      }
    }
  }
}
