/// How much a document may ask of the parser.
struct YAMLBounds: Sendable {
  /// Largest document, bytes.
  var bytes = 1 << 20
  /// Most mappings and lists inside each other.
  var depth = 32
  /// Most values, keys included.
  var nodes = 100_000
  /// Most duplicate keys that are listed before the parser gives up.
  var duplicates = 100
}

/// Why a text is no document that Lanekeeper reads.
struct YAMLFailure: Error, Equatable, Sendable {
  /// The closed set of reasons.
  enum Reason: Equatable, Sendable {
    /// Over the size limit; bytes.
    case tooLarge(bytes: Int, limit: Int)
    /// Mappings and lists inside each other beyond the limit.
    case tooDeep(limit: Int)
    /// More values than the limit.
    case tooManyNodes(limit: Int)
    /// `&name`, `*name`: a few lines of these can stand for billions of values.
    case anchorOrAlias
    /// `!name`.
    case tag
    /// A key that is a list or a mapping.
    case keyNotScalar
    /// The same key twice in one mapping.
    case duplicateKey(String, firstLine: Int)
    /// More than one document in the text.
    case secondDocument
    /// A byte that is no UTF-8; offset in bytes from 0.
    case notUTF8(offset: Int)
    /// The text breaks YAML's grammar; the words are libyaml's.
    case syntax(String)
    /// No memory for the parser.
    case outOfMemory
  }

  /// Why.
  var reason: Reason
  /// Where.
  var position: YAMLPosition
}

extension YAMLFailure: CustomStringConvertible {
  /// What was found and what would be right, without the place.
  var description: String {
    switch reason {
    case .tooLarge(let bytes, let limit): "the text has \(bytes) bytes; at most \(limit) are read"
    case .tooDeep(let limit): "more than \(limit) levels inside each other"
    case .tooManyNodes(let limit): "more than \(limit) values"
    case .anchorOrAlias: "anchors (&name) and aliases (*name) are refused: write the value out"
    case .tag: "tags (!name) are refused: write the bare value"
    case .keyNotScalar: "a key is a list or a mapping; it must be a name"
    case .duplicateKey(let key, let line): "the key \(quotedExcerpt(key)) is already set on line \(line)"
    case .secondDocument: "a second document begins here; a configuration is one document"
    case .notUTF8(let offset): "the byte at offset \(offset) is not UTF-8"
    case .syntax(let problem): "not YAML: \(problem)"
    case .outOfMemory: "no memory for the parser"
    }
  }
}
