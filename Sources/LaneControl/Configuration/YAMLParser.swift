import CYaml

/// Reads one YAML document (JSON passes, being YAML's flow style) into nodes, within bounds.
///
/// The only file that touches libyaml. Its event interface is used because its document interface expands aliases
/// before anyone can count them.
enum YAMLParser {
  /// What came of a text.
  struct Result {
    /// The document; nil for an empty one, and after a failure other than a duplicate key.
    var root: YAMLNode?
    /// All duplicate keys, or the one reason why the text was given up.
    var failures: [YAMLFailure]
  }

  /// Reads the text. Never throws or traps, whatever the bytes.
  static func parse(_ text: [UInt8], bounds: YAMLBounds = YAMLBounds()) -> Result {
    let start = YAMLPosition(line: 1, column: 1)
    if text.count > bounds.bytes {
      let reason = YAMLFailure.Reason.tooLarge(bytes: text.count, limit: bounds.bytes)
      return Result(root: nil, failures: [YAMLFailure(reason: reason, position: start)])
    }
    if let offset = firstInvalidUTF8(text) {
      let place = position(of: offset, in: text)
      return Result(root: nil, failures: [YAMLFailure(reason: .notUTF8(offset: offset), position: place)])
    }
    var builder = YAMLTreeBuilder(bounds: bounds)
    // A byte order mark counts for nothing; libyaml drops it only where it may guess the encoding.
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    do {
      try feed(text.starts(with: mark) ? Array(text.dropFirst(mark.count)) : text, to: &builder)
    } catch {
      return Result(root: nil, failures: builder.duplicates + [error])
    }
    return Result(root: builder.root, failures: builder.duplicates)
  }

  /// The offset of the first byte that is no UTF-8; nil where all is.
  static func firstInvalidUTF8(_ text: [UInt8]) -> Int? {
    var parser = Unicode.UTF8.ForwardParser()
    var bytes = text.makeIterator()
    var offset = 0
    while true {
      switch parser.parseScalar(from: &bytes) {
      case .valid(let encoded): offset += encoded.count
      case .error: return offset
      case .emptyInput: return nil
      }
    }
  }

  private static func position(of offset: Int, in text: [UInt8]) -> YAMLPosition {
    let before = text.prefix(offset)
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    let line = before.count { $0 == UInt8(ascii: "\n") } + 1
    // Continuation bytes are not characters of their own.
    let column = before[lineStart...].count { $0 & 0xC0 != 0x80 } + 1
    return YAMLPosition(line: line, column: column)
  }

  private static func feed(_ text: [UInt8], to builder: inout YAMLTreeBuilder) throws(YAMLFailure) {
    // libyaml asserts on a null input.
    if text.isEmpty { return }
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    defer { parser.deallocate() }
    guard yaml_parser_initialize(parser) == 1 else {
      throw YAMLFailure(reason: .outOfMemory, position: YAMLPosition(line: 1, column: 1))
    }
    defer { yaml_parser_delete(parser) }
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    // libyaml keeps the pointer from one event to the next, so the loop runs inside its lifetime.
    let failure: YAMLFailure? = text.withUnsafeBufferPointer { bytes in
      yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
      do throws(YAMLFailure) {
        while try next(parser, text, &builder) {}
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// Takes one event; false at the end of the text.
  private static func next(
    _ parser: UnsafeMutablePointer<yaml_parser_t>, _ text: [UInt8], _ builder: inout YAMLTreeBuilder
  ) throws(YAMLFailure) -> Bool {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxFailure(parser.pointee, text) }
    defer { yaml_event_delete(&event) }
    let place = position(event.start_mark)
    switch event.type {
    case YAML_STREAM_END_EVENT:
      return false
    case YAML_DOCUMENT_START_EVENT:
      try builder.beginDocument(at: place)
    case YAML_ALIAS_EVENT:
      throw YAMLFailure(reason: .anchorOrAlias, position: place)
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      try refuse(anchor: scalar.anchor, tag: scalar.tag, at: place)
      let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      let quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE
      try builder.scalar(String(decoding: bytes, as: UTF8.self), quoted: quoted, at: place)
    case YAML_SEQUENCE_START_EVENT:
      try refuse(anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag, at: place)
      try builder.open(mapping: false, at: place)
    case YAML_MAPPING_START_EVENT:
      try refuse(anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag, at: place)
      try builder.open(mapping: true, at: place)
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
      try builder.close()
    default:
      break
    }
    return true
  }

  private static func refuse(
    anchor: UnsafeMutablePointer<yaml_char_t>?, tag: UnsafeMutablePointer<yaml_char_t>?, at place: YAMLPosition
  ) throws(YAMLFailure) {
    if anchor != nil { throw YAMLFailure(reason: .anchorOrAlias, position: place) }
    if tag != nil { throw YAMLFailure(reason: .tag, position: place) }
  }

  private static func syntaxFailure(_ parser: yaml_parser_t, _ text: [UInt8]) -> YAMLFailure {
    let problem = parser.problem.map { String(cString: $0) } ?? "cannot be read"
    switch parser.error {
    case YAML_MEMORY_ERROR:
      return YAMLFailure(reason: .outOfMemory, position: position(parser.mark))
    case YAML_READER_ERROR:
      // The reader knows the byte only, not the line.
      return YAMLFailure(reason: .syntax(problem), position: position(of: min(parser.problem_offset, text.count), in: text))
    default:
      let context = parser.context.map { " (\(String(cString: $0)) on line \(clamped(parser.context_mark.line) + 1))" } ?? ""
      // Libyaml's words for `key: -`.
      let hint = problem.hasPrefix("block sequence entries are not allowed") ? "; a value that is or begins with - needs quotes" : ""
      return YAMLFailure(reason: .syntax(problem + context + hint), position: position(parser.problem_mark))
    }
  }

  private static func position(_ mark: yaml_mark_t) -> YAMLPosition {
    YAMLPosition(line: clamped(mark.line) + 1, column: clamped(mark.column) + 1)
  }

  // No document within bounds has as many lines.
  private static func clamped(_ number: Int) -> Int { min(max(number, 0), Int(Int32.max)) }
}
