import LaneControl

/// The words after a subcommand. A subcommand takes off what it knows, in any order, then calls `finish()`, which refuses
/// whatever is left and names what would have been allowed.
///
/// `--name value` and `--name=value` mean the same; everything after `--` is positional; a single `-` is positional, too.
struct Arguments {
  private let words: [String]
  private var taken: [Bool]
  /// Where the word `--` stands, or the end.
  private let optionsEnd: Int
  private var asked: [String] = []

  /// None of the words taken yet.
  init(_ words: [String]) {
    self.words = words
    optionsEnd = words.firstIndex(of: "--") ?? words.count
    taken = words.map { _ in false }
    if optionsEnd < words.count { taken[optionsEnd] = true }
  }

  /// True where `--help` or `-h` stands among the options.
  var asksForHelp: Bool { words[..<optionsEnd].contains { $0 == "--help" || $0 == "-h" } }

  /// Takes a flag off.
  /// - Parameter name: with its dashes.
  /// - Returns: true where it was given. Throws `UsageError` where it was given twice or with a value.
  mutating func flag(_ name: String) throws -> Bool {
    asked.append(name)
    guard let index = try only(name) else { return false }
    guard words[index] == name else { throw UsageError(reason: "\(name) takes no value, found '\(printable(words[index]))'") }
    taken[index] = true
    return true
  }

  /// Takes an option and its value off.
  /// - Parameter name: with its dashes.
  /// - Returns: the value, nil where the option was not given. Throws `UsageError` where it was given twice or without a value.
  mutating func option(_ name: String) throws -> String? {
    asked.append(name)
    guard let index = try only(name) else { return nil }
    return try takeValue(name, at: index)
  }

  /// Takes an option off that may be given several times, with a value each time.
  /// - Returns: the values in their order. Throws `UsageError` where one has none.
  mutating func options(_ name: String) throws -> [String] {
    asked.append(name)
    var values: [String] = []
    for index in words[..<optionsEnd].indices where !taken[index] && (words[index] == name || words[index].hasPrefix(name + "=")) {
      values.append(try takeValue(name, at: index))
    }
    return values
  }

  /// Takes an option off whose value is one of a closed set.
  /// - Returns: the value, nil where the option was not given. Throws `UsageError` for any other value.
  mutating func option<Value: RawRepresentable & CaseIterable>(_ name: String, as type: Value.Type) throws -> Value?
  where Value.RawValue == String {
    guard let text = try option(name) else { return nil }
    if let value = Value(rawValue: text) { return value }
    let allowed = Value.allCases.map(\.rawValue)
    throw UsageError(
      reason: "\(name) '\(printable(text))' is unknown\(suggestion(for: text, among: allowed)); allowed: \(allowed.joined(separator: ", "))"
    )
  }

  /// Takes an option off whose value is a whole number.
  /// - Returns: the number, nil where the option was not given. Throws `UsageError` where it is none or out of the range.
  mutating func option<Number: FixedWidthInteger>(_ name: String, in range: ClosedRange<Number>) throws -> Number? {
    guard let text = try option(name) else { return nil }
    guard let number = Number(text), range.contains(number) else {
      throw UsageError(
        reason: "\(name) '\(printable(text))' is no whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// Takes the first positional off that is left. Options must have been taken before.
  /// - Parameter what: its name in messages, such as `FILE`.
  /// - Returns: the word. Throws `UsageError` where none is left, or where an option is left that nobody asked for.
  mutating func positional(_ what: String) throws -> String {
    try refuseUnknownOptions()
    guard let index = words.indices.first(where: { !taken[$0] }) else { throw UsageError(reason: "\(what) is missing") }
    taken[index] = true
    return words[index]
  }

  /// Takes the positionals off that are left, in their order. Options must have been taken before.
  /// - Parameter what: the name of one in messages, such as `FILE`.
  /// - Returns: at least one. Throws `UsageError` as `positional` does.
  mutating func positionals(_ what: String) throws -> [String] {
    var found = [try positional(what)]
    while taken.contains(false) { found.append(try positional(what)) }
    return found
  }

  /// Takes the first word off, which says what the others mean.
  /// - Returns: the word's value. Throws `UsageError` where it is missing or none of the set.
  mutating func verb<Value: RawRepresentable & CaseIterable>(as type: Value.Type) throws -> Value where Value.RawValue == String {
    let allowed = Value.allCases.map(\.rawValue)
    guard let word = words.first, optionsEnd > 0 else {
      throw UsageError(reason: "\(allowed.joined(separator: " or ")) is missing")
    }
    guard let value = Value(rawValue: word) else {
      throw UsageError(
        reason: "'\(printable(word))' is unknown\(suggestion(for: word, among: allowed)); allowed: \(allowed.joined(separator: ", "))")
    }
    taken[0] = true
    return value
  }

  /// Throws `UsageError` where any word is left.
  mutating func finish() throws {
    try refuseUnknownOptions()
    if let index = words.indices.first(where: { !taken[$0] }) {
      throw UsageError(reason: "unexpected argument '\(printable(words[index]))'")
    }
  }

  /// The value of the option that stands there, in the same word or the next.
  private mutating func takeValue(_ name: String, at index: Int) throws -> String {
    taken[index] = true
    if words[index] != name { return String(words[index].dropFirst(name.count + 1)) }
    let next = index + 1
    guard next < optionsEnd, !Self.isOption(words[next]) else { throw UsageError(reason: "\(name) needs a value") }
    taken[next] = true
    return words[next]
  }

  private func refuseUnknownOptions() throws {
    for index in words[..<optionsEnd].indices where !taken[index] && Self.isOption(words[index]) {
      let name = words[index].prefix { $0 != "=" }
      let allowed = asked + ["--help"]
      throw UsageError(
        reason: "unknown option '\(printable(String(name)))'\(suggestion(for: String(name), among: allowed)); allowed: "
          + allowed.joined(separator: ", "))
    }
  }

  /// Where the option stands; nil where it does not.
  private func only(_ name: String) throws -> Int? {
    let found = words[..<optionsEnd].indices.filter { words[$0] == name || words[$0].hasPrefix(name + "=") }
    if found.count > 1 { throw UsageError(reason: "\(name) is given \(found.count) times, allowed is once") }
    return found.first
  }

  /// `-x` and `--x` are options; `-` and `-5` are not.
  private static func isOption(_ word: String) -> Bool {
    guard word.hasPrefix("-"), let second = word.dropFirst().first else { return false }
    return !second.isNumber
  }
}

/// `, did you mean 'x'?` where one of the candidates is near, else nothing.
func suggestion(for word: String, among candidates: [String]) -> String {
  nearest(to: word, among: candidates).map { ", did you mean '\($0)'?" } ?? ""
}

/// The text with control characters made visible and its length bounded: what a user typed may go to a terminal or a log.
/// - Parameter limit: so many of its Unicode scalars are left.
func printable(_ text: String, limit: Int = 256) -> String {
  var result = ""
  for scalar in text.unicodeScalars.prefix(limit) {
    if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
      result += "\\u{\(String(scalar.value, radix: 16))}"
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
  return result
}
