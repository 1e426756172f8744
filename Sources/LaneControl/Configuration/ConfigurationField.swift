import NetEndpoint

/// One key: how its value is read and written, what is allowed, and what it means. `Root` is the structure that holds it.
///
/// The decoder, the documentation and the default file all use these rows, so none can know a key that another does not.
struct ConfigurationField<Root>: Sendable {
  typealias Path<Value> = any WritableKeyPath<Root, Value> & Sendable

  /// The key, dotted, from the place where `Root` stands.
  var name: String
  /// Unit or kind of the value.
  let unit: String
  /// What is accepted, for people.
  let allowed: String
  /// What the key does.
  let meaning: String
  /// A value for keys without a default.
  let example: String
  /// Stores the value that a text stands for; otherwise tells what is wrong with it.
  let read: @Sendable (inout Root, _ text: String, _ quoted: Bool) -> String?
  /// The value as text; nil where there is none.
  let write: @Sendable (Root) -> String?
  /// For a list of values: `read` takes them one by one.
  var list: List?

  /// A list of values under one key.
  struct List: Sendable {
    /// How many it may have.
    let count: ClosedRange<Int>
    /// Empties it before its values are read.
    let clear: @Sendable (inout Root) -> Void
  }

  /// The same row without the first parts of its key; nil where the key does not begin with them.
  func without(prefix: String) -> Self? {
    guard name.hasPrefix(prefix) else { return nil }
    var field = self
    field.name = String(name.dropFirst(prefix.count))
    return field
  }
}

extension ConfigurationField {
  /// A time span.
  /// - Parameters:
  ///   - zero: what 0 means, where it is allowed outside the range.
  ///   - wholeSeconds: the kernel takes no fractions.
  static func duration(
    _ name: String, _ path: Path<Duration>, _ range: ClosedRange<Duration>, zero: String? = nil, wholeSeconds: Bool = false,
    _ meaning: String
  ) -> Self {
    let bounds = "\(ConfigurationUnits.text(range.lowerBound)) to \(ConfigurationUnits.text(range.upperBound))"
    return Self(
      name: name, unit: "duration",
      allowed: bounds + (wholeSeconds ? " in whole seconds" : "") + (zero.map { ", or 0 (\($0))" } ?? ""),
      meaning: meaning, example: ConfigurationUnits.text(range.lowerBound),
      read: { root, text, _ in
        guard let value = ConfigurationUnits.duration(text) else {
          return ConfigurationUnits.whole(text) == nil
            ? "not a duration; write a whole number and ms, s, m or h, as in 250ms or 5s"
            : "a duration needs a unit; write \(escapedExcerpt(text))s or \(escapedExcerpt(text))ms"
        }
        guard range.contains(value) || (value == .zero && zero != nil) else { return "out of range" }
        if wholeSeconds, value.components.attoseconds != 0 { return "the kernel takes whole seconds here" }
        root[keyPath: path] = value
        return nil
      },
      write: { ConfigurationUnits.text($0[keyPath: path]) })
  }

  /// A size in bytes.
  static func bytes(_ name: String, _ path: Path<Int>, _ range: ClosedRange<Int>, example: Int? = nil, _ meaning: String) -> Self {
    Self(
      name: name, unit: "bytes",
      allowed: "\(ConfigurationUnits.text(bytes: range.lowerBound)) to \(ConfigurationUnits.text(bytes: range.upperBound))",
      meaning: meaning, example: ConfigurationUnits.text(bytes: example ?? range.upperBound),
      read: { root, text, _ in
        guard let value = ConfigurationUnits.bytes(text) else {
          return "not a size; write a whole number of bytes, or one with KiB, MiB or GiB, as in 64KiB"
        }
        guard range.contains(value) else { return "out of range" }
        root[keyPath: path] = value
        return nil
      },
      write: { ConfigurationUnits.text(bytes: $0[keyPath: path]) })
  }

  /// A count of something.
  /// - Parameter zero: what 0 means, where that is no count.
  static func count<Value: FixedWidthInteger & Sendable>(
    _ name: String, _ path: Path<Value>, _ range: ClosedRange<Value>, unit: String, zero: String? = nil, _ meaning: String
  ) -> Self {
    Self(
      name: name, unit: unit, allowed: "\(range.lowerBound) to \(range.upperBound)" + (zero.map { "; 0: \($0)" } ?? ""), meaning: meaning,
      example: "\(range.lowerBound)",
      read: { root, text, _ in
        guard let number = ConfigurationUnits.whole(text) else { return "not a whole number" }
        guard let value = Value(exactly: number), range.contains(value) else { return "out of range" }
        root[keyPath: path] = value
        return nil
      },
      write: { "\($0[keyPath: path])" })
  }

  /// A number of 32 bits but 0, decimal or hexadecimal, or none.
  static func mark(_ name: String, _ path: Path<UInt32?>, example: String, _ meaning: String) -> Self {
    Self(
      name: name, unit: "number", allowed: "1 to 4294967295, decimal or 0x...; no key for none", meaning: meaning, example: example,
      read: { root, text, _ in
        guard let value = ConfigurationUnits.number32(text) else { return "not a number of 32 bits" }
        guard value != 0 else { return "0 means no mark; leave the key out instead" }
        root[keyPath: path] = value
        return nil
      },
      write: { $0[keyPath: path].map { "\($0)" } })
  }

  /// One word of a closed set.
  static func choice<Value: CaseIterable & RawRepresentable & Sendable>(
    _ name: String, _ path: Path<Value>, _ meaning: String
  ) -> Self where Value.RawValue == String {
    let words = Value.allCases.map(\.rawValue)
    let example = words.last ?? ""
    return Self(
      name: name, unit: "word", allowed: words.joined(separator: ", "), meaning: meaning, example: example,
      read: { root, text, _ in
        guard let value = Value(rawValue: text) else {
          return nearest(to: text, among: words).map { "unknown value; did you mean \($0)?" } ?? "unknown value"
        }
        root[keyPath: path] = value
        return nil
      },
      write: { $0[keyPath: path].rawValue })
  }

  /// `true` or `false`, or none.
  static func flag(_ name: String, _ path: Path<Bool?>, _ meaning: String) -> Self {
    flag(name, meaning, store: { $0[keyPath: path] = $1 }, write: { $0[keyPath: path].map { "\($0)" } })
  }

  /// `true` or `false`.
  static func flag(_ name: String, _ path: Path<Bool>, _ meaning: String) -> Self {
    flag(name, meaning, store: { $0[keyPath: path] = $1 }, write: { "\($0[keyPath: path])" })
  }

  private static func flag(
    _ name: String, _ meaning: String, store: @escaping @Sendable (inout Root, Bool) -> Void, write: @escaping @Sendable (Root) -> String?
  ) -> Self {
    Self(
      name: name, unit: "flag", allowed: "true, false", meaning: meaning, example: "true",
      read: { root, text, quoted in
        switch text {
        case "true" where !quoted: store(&root, true)
        case "false" where !quoted: store(&root, false)
        case "true", "false": return "write it without quotes"
        default: return "not a flag"
        }
        return nil
      },
      write: write)
  }

  /// What an address is for.
  enum EndpointUse {
    /// To listen on.
    case listen
    /// To listen on, for processes of this host only.
    case listenOnLoopback
    /// To dial.
    case dial

    fileprivate var allowed: String {
      switch self {
      case .listen: "a.b.c.d:port"
      case .listenOnLoopback: "127.b.c.d:port"
      case .dial: "a.b.c.d:port with a port of 1 to 65535 and an address other than 0.0.0.0"
      }
    }

    fileprivate func problem(_ endpoint: Endpoint) -> String? {
      switch self {
      case .listen: nil
      case .listenOnLoopback: endpoint.isLoopback ? nil : "not a loopback address; anyone in the network could read it"
      case .dial: endpoint.address == 0 || endpoint.port == 0 ? "nothing can be dialled there" : nil
      }
    }
  }

  /// An IPv4 address and a port.
  static func endpoint(_ name: String, _ path: Path<Endpoint?>, to use: EndpointUse, example: String, _ meaning: String) -> Self {
    Self(
      name: name, unit: "address", allowed: use.allowed,
      meaning: meaning, example: example,
      read: { root, text, _ in
        guard let value = Endpoint(text) else { return "not an IPv4 address and port" }
        if let problem = use.problem(value) { return problem }
        root[keyPath: path] = value
        return nil
      },
      write: { $0[keyPath: path].map { "\($0)" } })
  }

  /// Free text within rules of its own.
  /// - Parameter accepts: nil for a text that is fine, otherwise what is wrong.
  static func text(
    _ name: String, _ path: Path<String>, allowed: String, example: String, hasDefault: Bool, _ meaning: String,
    accepts: @escaping @Sendable (String) -> String?
  ) -> Self {
    Self(
      name: name, unit: "text", allowed: allowed, meaning: meaning, example: example,
      read: { root, text, _ in
        if let problem = accepts(text) { return problem }
        root[keyPath: path] = text
        return nil
      },
      // A bare - is a list entry in YAML.
      write: { hasDefault ? quotedExcerpt($0[keyPath: path]) : nil })
  }

  /// A path, or none.
  static func optionalPath(_ name: String, _ path: Path<String?>, example: String, _ meaning: String) -> Self {
    Self(
      name: name, unit: "text", allowed: ConfigurationFields.pathAllowed, meaning: meaning, example: example,
      read: { root, text, _ in
        if let problem = ConfigurationFields.pathProblem(text) { return problem }
        root[keyPath: path] = text
        return nil
      },
      write: { $0[keyPath: path].map { quotedExcerpt($0) } })
  }

  /// A text with a reader of its own, or none.
  /// - Parameters:
  ///   - parse: throws something that describes what is wrong with the text.
  ///   - write: the value as text; nil where there is none.
  static func parsed<Value: Sendable>(
    _ name: String, _ path: Path<Value>, unit: String, allowed: String, example: String, _ meaning: String,
    parse: @escaping @Sendable (String) throws -> Value, write: @escaping @Sendable (Value) -> String?
  ) -> Self {
    Self(
      name: name, unit: unit, allowed: allowed, meaning: meaning, example: example,
      read: { root, text, _ in
        do { root[keyPath: path] = try parse(text) } catch { return "\(error)" }
        return nil
      },
      write: { write($0[keyPath: path]) })
  }

  /// A list of texts, each read likewise, none twice. An empty one is written only where it may be.
  static func list<Value: Equatable & Sendable>(
    _ name: String, _ path: Path<[Value]>, _ count: ClosedRange<Int>, unit: String, allowed: String, example: String, _ meaning: String,
    parse: @escaping @Sendable (String) throws -> Value
  ) -> Self {
    Self(
      name: name, unit: unit, allowed: "a list of \(count.lowerBound) to \(count.upperBound), each \(allowed)", meaning: meaning,
      example: example,
      read: { root, text, _ in
        do {
          let value = try parse(text)
          if root[keyPath: path].contains(value) { return "already in the list" }
          root[keyPath: path].append(value)
        } catch {
          return "\(error)"
        }
        return nil
      },
      write: { root in
        let values = root[keyPath: path]
        return count.contains(values.count) ? "[\(values.map { "\($0)" }.joined(separator: ", "))]" : nil
      },
      list: List(count: count) { $0[keyPath: path] = [] })
  }
}
