import NetEndpoint

/// `--name value` pairs and bare `--flag`s of one subcommand.
///
/// Each look-up takes its option out, so that what is left at the end was not understood.
struct Arguments {
  private var values: [String: String] = [:]
  private var flags: Set<String> = []

  /// Splits the words; throws `BenchError.usage` on a word that is no option, an option given twice, or a missing value.
  init(_ words: ArraySlice<String>, flags known: Set<String>) throws {
    var rest = words
    while let word = rest.popFirst() {
      guard word.hasPrefix("--"), word.utf8.count > 2 else {
        throw BenchError.usage("`\(word)` is not an option: options begin with --")
      }
      if known.contains(word) {
        flags.insert(word)
        continue
      }
      guard let value = rest.popFirst() else { throw BenchError.usage("\(word) needs a value") }
      guard values.updateValue(value, forKey: word) == nil else { throw BenchError.usage("\(word) is given twice") }
    }
  }

  mutating func flag(_ name: String) -> Bool { flags.remove(name) != nil }

  mutating func text(_ name: String) -> String? { values.removeValue(forKey: name) }

  mutating func endpoint(_ name: String) throws -> Endpoint {
    guard let text = text(name) else { throw BenchError.usage("\(name) is missing: it takes an address such as 127.0.0.1:17310") }
    guard let endpoint = Endpoint(text) else {
      throw BenchError.usage("\(name) `\(text)` is not an IPv4 address and port such as 127.0.0.1:17310")
    }
    return endpoint
  }

  mutating func number(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
    guard let text = text(name) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw BenchError.usage("\(name) `\(text)` is not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// Throws where an option is left that no look-up asked for.
  func finish() throws {
    if let unknown = (Array(values.keys) + Array(flags)).min() {
      throw BenchError.usage("unknown option \(unknown)")
    }
  }
}
