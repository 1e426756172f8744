/// A strict reader of one JSON text (RFC 8259) for tests: it keeps members in order, refuses duplicates, raw control
/// characters, bad numbers and trailing bytes.
indirect enum JSONValue: Equatable {
  case string(String)
  case number(String)
  case bool(Bool)
  case null
  case array([JSONValue])
  case object([String], [JSONValue])

  subscript(_ key: String) -> JSONValue? {
    guard case .object(let keys, let values) = self, let index = keys.firstIndex(of: key) else { return nil }
    return values[index]
  }

  var keys: [String] {
    if case .object(let keys, _) = self { keys } else { [] }
  }

  var text: String? {
    if case .string(let text) = self { text } else { nil }
  }

  var integer: UInt64? {
    if case .number(let text) = self { UInt64(text) } else { nil }
  }
}

struct StrictJSON {
  struct Invalid: Error { var at: Int }

  private let bytes: [UInt8]
  private var at = 0

  static func parse(_ text: String) throws -> JSONValue {
    var reader = StrictJSON(bytes: Array(text.utf8))
    let value = try reader.value()
    guard reader.at == reader.bytes.count else { throw Invalid(at: reader.at) }
    return value
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func take(_ text: String) throws {
    for byte in text.utf8 {
      guard next == byte else { throw Invalid(at: at) }
      at += 1
    }
  }

  private mutating func value() throws -> JSONValue {
    switch next {
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "t"):
      try take("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try take("false")
      return .bool(false)
    case UInt8(ascii: "n"):
      try take("null")
      return .null
    default: return .number(try number())
    }
  }

  private mutating func object() throws -> JSONValue {
    try take("{")
    var keys: [String] = []
    var values: [JSONValue] = []
    while next != UInt8(ascii: "}") {
      if !keys.isEmpty { try take(",") }
      let key = try string()
      guard !keys.contains(key) else { throw Invalid(at: at) }
      keys.append(key)
      try take(":")
      values.append(try value())
    }
    try take("}")
    return .object(keys, values)
  }

  private mutating func array() throws -> JSONValue {
    try take("[")
    var values: [JSONValue] = []
    while next != UInt8(ascii: "]") {
      if !values.isEmpty { try take(",") }
      values.append(try value())
    }
    try take("]")
    return .array(values)
  }

  private mutating func number() throws -> String {
    let start = at
    if next == UInt8(ascii: "-") { at += 1 }
    let first = at
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
    guard at > first, at == first + 1 || bytes[first] != UInt8(ascii: "0") else { throw Invalid(at: at) }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private mutating func string() throws -> String {
    try take("\"")
    var result: [UInt8] = []
    while let byte = next, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20, byte != 0x7F else { throw Invalid(at: at) }
      at += 1
      guard byte == UInt8(ascii: "\\") else {
        result.append(byte)
        continue
      }
      guard let escape = next else { throw Invalid(at: at) }
      at += 1
      switch escape {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): result.append(escape)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"):
        guard at + 4 <= bytes.count, let code = UInt8(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16) else {
          throw Invalid(at: at)
        }
        at += 4
        result.append(code)
      default: throw Invalid(at: at)
      }
    }
    try take("\"")
    return String(decoding: result, as: UTF8.self)
  }
}
