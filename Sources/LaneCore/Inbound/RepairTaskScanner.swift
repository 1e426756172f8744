public import NetEndpoint

/// Finds, in the body of a NotifyReplicasToRepair as it passes by, where the reader of tiny-delete records will stop: the task's
/// `LeaderTinyDeleteRecordFileSize` and `LeaderAddr` (PROTOCOL.md section 6, "Bodies"). The partition is in the packet's header.
///
/// The body is JSON, up to 64 MiB of it, and comes in pieces of any size from whoever connects. The scanner keeps one short token
/// and one bit for each level that is open, and never asks for a byte twice.
public struct RepairTaskScanner {
  /// What the body says.
  public enum Outcome: Equatable, Sendable {
    /// The leader's file has that size, bytes; 0 where the task names none.
    case size(UInt64, leader: Endpoint)
    /// It is a task, and names neither a leader nor a file.
    case none
    /// It is not JSON as a leader writes it, or the leader's address is not an IPv4 address and port.
    case unreadable
  }

  private enum State: UInt8 {
    case value, firstElement, firstKey, key, colon, afterValue, done
    case string, escape, hexadecimal
    case minus, zero, digits, point, fraction, exponent, exponentSign, exponentDigits
    case literal
    case failed
  }

  private enum Member: UInt8 {
    case other, size, leader
  }

  /// Levels that may be open: a task has three.
  static let deepest = 32
  /// The longest token that is looked at, bytes; the longer of the two names has 30.
  private static let longestToken = 32
  private static let sizeName = Array("LeaderTinyDeleteRecordFileSize".utf8)
  private static let leaderName = Array("LeaderAddr".utf8)

  private var state = State.value
  private var depth = 0
  /// Of each open level one bit, the innermost lowest: 1 for an object.
  private var objects: UInt32 = 0
  private var isKey = false
  private var member = Member.other
  /// The token that is being read is wanted.
  private var keeps = false
  private var token: [UInt8] = []
  private var tokenIsOdd = false
  private var digitsLeft: UInt8 = 0
  private var word: StaticString = "null"
  private var wordPlace = 0
  private var number: UInt64 = 0
  private var numberIsOdd = false
  private var size: UInt64?
  private var leader: [UInt8]?

  /// A scanner at the first byte of a body.
  public init() {}

  /// Takes the next piece of the body.
  public mutating func take(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      if state == .failed { return }
      step(byte)
    }
  }

  /// The body is over.
  public consuming func finish() -> Outcome {
    guard state == .done else { return .unreadable }
    guard let leader, let endpoint = Endpoint(String(decoding: leader, as: UTF8.self)), endpoint.port > 0 else {
      return size ?? 0 == 0 ? .none : .unreadable
    }
    return .size(size ?? 0, leader: endpoint)
  }

  // MARK: The grammar: RFC 8259

  private mutating func step(_ byte: UInt8) {
    switch state {
    case .string: inString(byte)
    case .escape: inEscape(byte)
    case .hexadecimal:
      guard Self.isHexadecimal(byte) else { return fail() }
      digitsLeft -= 1
      if digitsLeft == 0 { state = .string }
    case .minus, .zero, .digits, .point, .fraction, .exponent, .exponentSign, .exponentDigits: inNumber(byte)
    case .literal:
      guard byte == word.utf8Start[wordPlace] else { return fail() }
      wordPlace += 1
      if wordPlace == word.utf8CodeUnitCount { valueEnds() }
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
    case (.firstKey, UInt8(ascii: "\"")), (.key, UInt8(ascii: "\"")):
      isKey = true
      begin(keeps: depth == 1)
      state = .string
    case (.colon, UInt8(ascii: ":")): state = .value
    case (.afterValue, UInt8(ascii: ",")): state = objects & 1 == 1 ? .key : .value
    case (.afterValue, UInt8(ascii: "}")): close(object: true)
    case (.afterValue, UInt8(ascii: "]")): close(object: false)
    default: fail()
    }
  }

  private mutating func valueBegins(_ byte: UInt8) {
    // The task itself is an object.
    guard depth > 0 || byte == UInt8(ascii: "{") else { return fail() }
    // What a later member of the same name says counts, as for Go's decoder.
    if depth == 1 && member == .size { size = nil }
    if depth == 1 && member == .leader { leader = nil }
    switch byte {
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      guard depth < Self.deepest, depth != 1 || member == .other else { return fail() }
      objects = objects << 1 | (byte == UInt8(ascii: "{") ? 1 : 0)
      depth += 1
      state = byte == UInt8(ascii: "{") ? .firstKey : .firstElement
    case UInt8(ascii: "\""):
      guard depth != 1 || member != .size else { return fail() }
      isKey = false
      begin(keeps: depth == 1 && member == .leader)
      state = .string
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      guard depth != 1 || member != .leader else { return fail() }
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

  private mutating func close(object: Bool) {
    guard depth > 0, (objects & 1 == 1) == object else { return fail() }
    objects >>= 1
    depth -= 1
    valueEnds()
  }

  private mutating func valueEnds() {
    state = depth == 0 ? .done : .afterValue
    if depth == 1 { member = .other }
  }

  private mutating func fail() {
    state = .failed
    token = []
  }

  // MARK: Strings

  private mutating func begin(keeps: Bool) {
    self.keeps = keeps
    tokenIsOdd = false
    token.removeAll(keepingCapacity: true)
  }

  private mutating func inString(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""): stringEnds()
    case UInt8(ascii: "\\"): state = .escape
    case 0..<0x20: fail()
    default:
      guard keeps else { return }
      if token.count < Self.longestToken { token.append(byte) } else { tokenIsOdd = true }
    }
  }

  private mutating func inEscape(_ byte: UInt8) {
    // Neither the names nor an address needs one.
    tokenIsOdd = true
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
      UInt8(ascii: "r"), UInt8(ascii: "t"):
      state = .string
    case UInt8(ascii: "u"):
      digitsLeft = 4
      state = .hexadecimal
    default: fail()
    }
  }

  private mutating func stringEnds() {
    if isKey {
      state = .colon
      guard keeps else { return }
      member = tokenIsOdd ? .other : token == Self.sizeName ? .size : token == Self.leaderName ? .leader : .other
      return
    }
    // An empty or odd address is told from none at the end.
    if keeps { leader = tokenIsOdd ? [] : token }
    valueEnds()
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
    default: false
    }
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
      numberEnds()
      // The byte after a number belongs to what follows it.
      if state != .failed { step(byte) }
    default: fail()
    }
  }

  private mutating func numberEnds() {
    if depth == 1 && member == .size {
      // Go's int64, and no file has a negative size.
      guard !numberIsOdd, number <= UInt64(Int64.max) else { return fail() }
      size = number
    }
    valueEnds()
  }
}
