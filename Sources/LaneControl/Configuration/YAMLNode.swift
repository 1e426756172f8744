/// Where something stands in a text: line and column, both from 1.
struct YAMLPosition: Equatable, Sendable {
  /// Line, from 1.
  var line: Int
  /// Column in characters, from 1.
  var column: Int
}

/// One value of a YAML (or JSON) document, with its place.
struct YAMLNode: Equatable, Sendable {
  /// What kind of value it is.
  indirect enum Content: Equatable, Sendable {
    /// Text as written, its quotes and escapes resolved.
    case scalar(String, quoted: Bool)
    /// A list.
    case sequence([YAMLNode])
    /// Keys and values in the order of the document; keys differ.
    case mapping([YAMLEntry])
  }

  /// The value.
  var content: Content
  /// Where it begins.
  var position: YAMLPosition
}

/// One key of a mapping, with its value.
struct YAMLEntry: Equatable, Sendable {
  /// The key's text.
  var key: String
  /// Where the key begins.
  var position: YAMLPosition
  /// The value.
  var value: YAMLNode
}

extension YAMLNode {
  /// True for an empty value: nothing at all, `~` or `null` without quotes.
  var isNull: Bool {
    if case .scalar(let text, quoted: false) = content { return text.isEmpty || text == "~" || text == "null" }
    return false
  }

  /// The value for a message: bounded, escaped, on one line.
  var excerpt: String {
    switch content {
    case .scalar(let text, quoted: false) where text.isEmpty: "nothing"
    case .scalar(let text, _): quotedExcerpt(text)
    case .sequence(let items): "a list of \(items.count)"
    case .mapping(let entries): "a mapping of \(entries.count)"
    }
  }
}

/// The text in quotes for one line of a message: at most 64 characters, anything outside printable ASCII escaped.
func quotedExcerpt(_ text: String) -> String { "\"\(escapedExcerpt(text))\"" }

/// As `quotedExcerpt`, without the quotes.
func escapedExcerpt(_ text: String) -> String {
  let limit = 64
  var result = ""
  for (index, scalar) in text.unicodeScalars.enumerated() {
    if index == limit { return result + "..." }
    switch scalar {
    case "\"", "\\": result += "\\\(scalar)"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case " "..."~": result.unicodeScalars.append(scalar)
    default: result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
    }
  }
  return result
}
