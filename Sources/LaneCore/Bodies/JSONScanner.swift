/// What a `JSONScanner` tells of a text as it passes by.
protocol JSONReader {
  /// A member of an object begins.
  /// - Parameter depth: how many objects and arrays are open.
  mutating func name(_ name: JSONToken, depth: Int)

  /// A value: a string, a number or a word that was read whole, or an object or array that begins.
  /// - Parameter depth: how many objects and arrays are open around it.
  /// - Returns: false where a text that is looked for has no such value here; the scan has failed then.
  mutating func value(_ value: JSONValue, depth: Int) -> Bool

  /// An object or array is over.
  /// - Parameter depth: how many objects and arrays are open around it.
  mutating func close(depth: Int)
}

/// A value in a text.
enum JSONValue {
  case object, array
  case string(JSONToken)
  /// A number; nil where it is not one that Go's decoder takes for a uint64: with a sign, a fraction or an exponent, or too great.
  case number(UInt64?)
  case null, boolean
}

/// A string in a text, as far as it is kept.
struct JSONToken {
  // The longest name that is looked for has 30, and an IPv4 address and port 21.
  private var kept = InlineArray<32, UInt8>(repeating: 0)
  /// How many bytes it has, kept or not.
  private var length = 0
  private var isOdd = false

  /// Its bytes; nil where it is longer than what is kept, or has an escape.
  var bytes: [UInt8]? { isWhole ? (0..<length).map { kept[$0] } : nil }

  private var isWhole: Bool { length <= kept.count && !isOdd }

  fileprivate mutating func clear() {
    length = 0
    isOdd = false
  }

  @inline(__always)
  fileprivate mutating func append(_ byte: UInt8) {
    if length < kept.count { kept[length] = byte }
    length += 1
  }

  /// It has something that is not kept.
  fileprivate mutating func leaveOut() { isOdd = true }

  /// Whether it is that name for Go's decoder, to which upper and lower case are equal, and the long s (U+017F) is an s.
  /// - Parameter lowercased: the name in lower case, ASCII.
  func isName(_ lowercased: StaticString) -> Bool {
    guard isWhole, length >= lowercased.utf8CodeUnitCount else { return false }
    var place = 0
    for index in 0..<lowercased.utf8CodeUnitCount {
      guard place < length else { return false }
      var byte = kept[place]
      if byte == 0xC5, place + 1 < length, kept[place + 1] == 0xBF {
        byte = UInt8(ascii: "s")
        place += 1
      } else if byte >= UInt8(ascii: "A"), byte <= UInt8(ascii: "Z") {
        byte |= 0x20
      }
      guard byte == lowercased.utf8Start[index] else { return false }
      place += 1
    }
    return place == length
  }
}

/// The grammar of JSON (RFC 8259), for a text that comes in pieces of any size from whoever connects: it keeps one short token and one
/// bit for each level that is open, and never asks for a byte twice.
///
/// As for Go's decoder the bytes of a string need not be UTF-8.
struct JSONScanner<Reader: JSONReader> {
  private enum State: UInt8 {
    case value, firstElement, firstKey, key, colon, afterValue, done
    case string, escape, hexadecimal
    case minus, zero, digits, point, fraction, exponent, exponentSign, exponentDigits
    case literal
    case failed
  }

  /// Levels that may be open: the bodies that are read have four at most.
  static var deepest: Int { 32 }

  /// Who is told.
  var reader: Reader
  private var state = State.value
  private var depth = 0
  /// Of each open level one bit, the innermost lowest: 1 for an object.
  private var objects: UInt32 = 0
  private var isKey = false
  private var token = JSONToken()
  private var digitsLeft: UInt8 = 0
  private var escaped: UInt16 = 0
  private var word: StaticString = "null"
  private var wordPlace = 0
  private var number: UInt64 = 0
  private var numberIsOdd = false

  /// A scanner at the first byte of a text.
  init(_ reader: Reader) { self.reader = reader }

  /// A whole text was read, and nothing after it.
  var isDone: Bool { state == .done }

  /// Takes the next piece of the text.
  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    var place = 0
    while place < bytes.count, state != .failed {
      if state == .string {
        place = takeString(bytes, from: place)
      } else {
        step(bytes[place])
        place += 1
      }
    }
  }

  private mutating func step(_ byte: UInt8) {
    switch state {
    case .string: break
    case .escape: inEscape(byte)
    case .hexadecimal: inHexadecimal(byte)
    case .minus, .zero, .digits, .point, .fraction, .exponent, .exponentSign, .exponentDigits: inNumber(byte)
    case .literal:
      guard byte == word.utf8Start[wordPlace] else { return fail() }
      wordPlace += 1
      if wordPlace == word.utf8CodeUnitCount { valueEnds(word.utf8Start[0] == UInt8(ascii: "n") ? .null : .boolean) }
    case .value, .firstElement, .firstKey, .key, .colon, .afterValue, .done:
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): return
      default: between(byte)
      }
    case .failed: return
    }
  }

  private mutating func between(_ byte: UInt8) {
    switch (state, byte) {
    case (.firstElement, UInt8(ascii: "]")): close(object: false)
    case (.value, _), (.firstElement, _): valueBegins(byte)
    case (.firstKey, UInt8(ascii: "}")): close(object: true)
    case (.firstKey, UInt8(ascii: "\"")), (.key, UInt8(ascii: "\"")): stringBegins(isKey: true)
    case (.colon, UInt8(ascii: ":")): state = .value
    case (.afterValue, UInt8(ascii: ",")): state = objects & 1 == 1 ? .key : .value
    case (.afterValue, UInt8(ascii: "}")): close(object: true)
    case (.afterValue, UInt8(ascii: "]")): close(object: false)
    default: fail()
    }
  }

  private mutating func valueBegins(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "{"): open(.object, isObject: true)
    case UInt8(ascii: "["): open(.array, isObject: false)
    case UInt8(ascii: "\""): stringBegins(isKey: false)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      number = 0
      numberIsOdd = byte == UInt8(ascii: "-")
      state = .minus
      if !numberIsOdd { inNumber(byte) }
    case UInt8(ascii: "t"): wordBegins("true")
    case UInt8(ascii: "f"): wordBegins("false")
    case UInt8(ascii: "n"): wordBegins("null")
    default: fail()
    }
  }

  private mutating func wordBegins(_ expected: StaticString) {
    word = expected
    wordPlace = 1
    state = .literal
  }

  private mutating func open(_ value: JSONValue, isObject: Bool) {
    guard depth < Self.deepest, reader.value(value, depth: depth) else { return fail() }
    objects = objects << 1 | (isObject ? 1 : 0)
    depth += 1
    state = isObject ? .firstKey : .firstElement
  }

  private mutating func close(object: Bool) {
    guard depth > 0, (objects & 1 == 1) == object else { return fail() }
    objects >>= 1
    depth -= 1
    state = depth == 0 ? .done : .afterValue
    reader.close(depth: depth)
  }

  private mutating func valueEnds(_ value: JSONValue) {
    guard reader.value(value, depth: depth) else { return fail() }
    state = depth == 0 ? .done : .afterValue
  }

  private mutating func fail() { state = .failed }

  // MARK: Strings

  private mutating func stringBegins(isKey: Bool) {
    self.isKey = isKey
    token.clear()
    state = .string
  }

  /// Returns the place of the first byte that is not taken.
  private mutating func takeString(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    var end = start
    while end < bytes.count, bytes[end] >= 0x20, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\") {
      token.append(bytes[end])
      end += 1
    }
    guard end < bytes.count else { return end }
    switch bytes[end] {
    case UInt8(ascii: "\""): stringEnds()
    case UInt8(ascii: "\\"): state = .escape
    default: fail()
    }
    return end + 1
  }

  private mutating func inEscape(_ byte: UInt8) {
    // No value that is wanted needs one, and no name has what the short ones stand for.
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
      UInt8(ascii: "r"), UInt8(ascii: "t"):
      token.leaveOut()
      state = .string
    case UInt8(ascii: "u"):
      if !isKey { token.leaveOut() }
      digitsLeft = 4
      escaped = 0
      state = .hexadecimal
    default: fail()
    }
  }

  private mutating func inHexadecimal(_ byte: UInt8) {
    let digit: UInt8
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte & 0xF
    case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte & 0xF + 9
    default: return fail()
    }
    escaped = escaped << 4 | UInt16(digit)
    digitsLeft -= 1
    guard digitsLeft == 0 else { return }
    state = .string
    switch escaped {
    case 0..<0x80: token.append(UInt8(truncatingIfNeeded: escaped))
    case 0x17F:
      token.append(0xC5)
      token.append(0xBF)
    default: token.leaveOut()
    }
  }

  private mutating func stringEnds() {
    guard isKey else { return valueEnds(.string(token)) }
    state = .colon
    reader.name(token, depth: depth)
  }

  // MARK: Numbers

  private mutating func inNumber(_ byte: UInt8) {
    switch (state, byte) {
    case (.minus, UInt8(ascii: "0")): state = .zero
    case (.minus, UInt8(ascii: "1")...UInt8(ascii: "9")), (.digits, UInt8(ascii: "0")...UInt8(ascii: "9")):
      state = .digits
      let (product, over) = number.multipliedReportingOverflow(by: 10)
      let (sum, overAgain) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
      number = sum
      if over || overAgain { numberIsOdd = true }
    case (.zero, UInt8(ascii: ".")), (.digits, UInt8(ascii: ".")):
      numberIsOdd = true
      state = .point
    case (.point, UInt8(ascii: "0")...UInt8(ascii: "9")), (.fraction, UInt8(ascii: "0")...UInt8(ascii: "9")): state = .fraction
    case (.zero, UInt8(ascii: "e")), (.digits, UInt8(ascii: "e")), (.fraction, UInt8(ascii: "e")), (.zero, UInt8(ascii: "E")),
      (.digits, UInt8(ascii: "E")), (.fraction, UInt8(ascii: "E")):
      numberIsOdd = true
      state = .exponent
    case (.exponent, UInt8(ascii: "+")), (.exponent, UInt8(ascii: "-")): state = .exponentSign
    case (.exponent, UInt8(ascii: "0")...UInt8(ascii: "9")), (.exponentSign, UInt8(ascii: "0")...UInt8(ascii: "9")),
      (.exponentDigits, UInt8(ascii: "0")...UInt8(ascii: "9")):
      state = .exponentDigits
    case (.zero, _), (.digits, _), (.fraction, _), (.exponentDigits, _):
      valueEnds(.number(numberIsOdd ? nil : number))
      // The byte after a number belongs to what follows it.
      if state != .failed { step(byte) }
    default: fail()
    }
  }
}
