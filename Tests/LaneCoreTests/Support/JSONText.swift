import TestBytes

@testable import LaneCore

/// JSON as a test writes it: names and values as they stand, white space anywhere between.
indirect enum JSONText {
  case object([Member])
  case array([JSONText])
  /// A name or value, quotes included.
  case token(String)

  /// A member of an object.
  struct Member {
    var name: String
    var value: JSONText

    /// - Parameter name: as it stands, quotes included.
    init(_ name: String, _ value: JSONText) {
      self.name = name
      self.value = value
    }
  }

  func bytes(_ random: inout SeededGenerator) -> [UInt8] {
    var result: [UInt8] = []
    write(&result, &random)
    return result
  }

  private func write(_ result: inout [UInt8], _ random: inout SeededGenerator) {
    Self.space(&result, &random)
    switch self {
    case .token(let text): result += Array(text.utf8)
    case .array(let elements):
      Self.list(elements.count, "[]", &result, &random) { index, result, random in elements[index].write(&result, &random) }
    case .object(let members):
      Self.list(members.count, "{}", &result, &random) { index, result, random in
        JSONText.token(members[index].name).write(&result, &random)
        result.append(UInt8(ascii: ":"))
        members[index].value.write(&result, &random)
      }
    }
    Self.space(&result, &random)
  }

  private static func list(
    _ count: Int, _ brackets: String, _ result: inout [UInt8], _ random: inout SeededGenerator,
    write: (Int, inout [UInt8], inout SeededGenerator) -> Void
  ) {
    let brackets = Array(brackets.utf8)
    result.append(brackets[0])
    if count == 0 { space(&result, &random) }
    for index in 0..<count {
      if index > 0 { result.append(UInt8(ascii: ",")) }
      write(index, &result, &random)
    }
    result.append(brackets[1])
  }

  private static func space(_ result: inout [UInt8], _ random: inout SeededGenerator) {
    while Int.random(in: 0..<4, using: &random) == 0 { result.append(Array(" \t\r\n".utf8).randomElement(using: &random)!) }
  }

  /// A name as another encoder may write it: letters of either case, some of them escaped.
  static func name(_ name: String, _ random: inout SeededGenerator) -> String {
    let spelled = name.map { letter -> String in
      switch Int.random(in: 0..<24, using: &random) {
      case 0: letter.uppercased()
      case 1: letter.lowercased()
      case 2: "\\u00" + String(letter.asciiValue!, radix: 16, uppercase: Bool.random(using: &random))
      case 3 where letter == "s": "\u{17F}"
      case 4 where letter == "s": "\\u017f"
      default: String(letter)
      }
    }
    return "\"\(spelled.joined())\""
  }

  /// Strings, numbers and words that mean nothing to a scanner, however they look.
  static func noise(_ random: inout SeededGenerator) -> JSONText {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: .object([Member("\"ExtentId\"", .token("77777")), Member("\"fileId\"", .token("77777"))])
    case 1: .array([.token("-0.5e+7"), .object([]), .array([])])
    default: .token(noiseTokens.randomElement(using: &random)!)
    }
  }

  private static let noiseTokens = [
    "null", "true", "false", "0", "-0", "12", "1.50", "1e9", "-3E-2", "18446744073709551616", "\"\"", "\"}]\\\",{[\"",
    "\"\\\\\\\"ExtentId\\\":5\"", "\"\\u0022\\u005C\\ud83d\\ude00\"", "\"\u{E9}\u{1F600}\u{7F}\"", "\"\\b\\f\\n\\r\\t\\/\"",
  ]

  /// An id that an extent may have, and how it is written: few, so that some come twice.
  static func id(_ random: inout SeededGenerator) -> (value: UInt64, text: JSONText) {
    let value: UInt64 =
      switch Int.random(in: 0..<8, using: &random) {
      case 0: .max
      case 1: UInt64.random(in: 1 ... .max, using: &random)
      case 2, 3: UInt64.random(in: 1...64, using: &random)
      default: UInt64.random(in: 1025...1060, using: &random)
      }
    return (value, .token(String(value)))
  }
}

/// Hands a body to a scanner in pieces.
func inPieces(_ body: [UInt8], _ size: () -> Int, take: (UnsafeRawBufferPointer) -> Void) {
  var rest = body[...]
  while !rest.isEmpty {
    // A copy: a scanner that reads past a piece reads past its memory.
    let piece = Array(rest.prefix(size()))
    piece.withUnsafeBytes(take)
    rest = rest.dropFirst(piece.count)
  }
}
