import NetEndpoint

/// Turns nodes into values by the rows of `ConfigurationFields`, and collects everything that is wrong on the way.
struct ConfigurationDecoder {
  /// Keys of a section that have no row of their own.
  struct OpenKeys {
    /// For suggestions.
    var names: [String]
    /// Whether a key is one of them.
    var accepts: (String) -> Bool

    /// A closed list.
    init(_ names: [String]) { self.init(names) { names.contains($0) } }

    /// Any key that passes.
    init(_ names: [String], accepts: @escaping (String) -> Bool) {
      self.names = names
      self.accepts = accepts
    }
  }

  /// What was found so far.
  var issues = ConfigurationIssueList()
  /// The line of each key that was given a good value.
  private(set) var lines: [String: Int] = [:]

  /// Reads a mapping into `root`.
  /// - Parameters:
  ///   - path: the section's own key; empty at the top.
  ///   - fields: rows, their names relative to the section.
  ///   - open: by section, the keys that the caller reads itself.
  /// - Returns: those keys, with their full paths.
  mutating func section<Root>(
    _ node: YAMLNode, at path: String, _ fields: [ConfigurationField<Root>], open: [String: OpenKeys] = [:], into root: inout Root
  ) -> [(path: String, entry: YAMLEntry)] {
    guard let entries = mapping(node, at: path) else { return [] }
    let openKeys = open[path]
    let firstParts = Self.unique(fields.map { String($0.name.prefix { $0 != "." }) })
    var rest: [(path: String, entry: YAMLEntry)] = []
    for entry in entries {
      let key = entry.key
      let inside = Self.join(path, key)
      if let field = fields.first(where: { $0.name == key }) {
        scalar(entry.value, at: inside, line: entry.position.line, field, into: &root)
      } else if firstParts.contains(key) {
        let nested = fields.compactMap { $0.without(prefix: "\(key).") }
        rest += section(entry.value, at: inside, nested, open: open, into: &root)
      } else if openKeys?.accepts(key) ?? false {
        rest.append((inside, entry))
      } else {
        unknown(entry, at: inside, known: firstParts, open: openKeys?.names ?? [])
      }
    }
    return rest
  }

  /// Reads one value by its row.
  mutating func scalar<Root>(
    _ node: YAMLNode, at path: String, line: Int, _ field: ConfigurationField<Root>, into root: inout Root
  ) {
    if let list = field.list { return self.list(list, node, at: path, line: line, field, into: &root) }
    guard case .scalar(let text, let quoted) = node.content, !node.isNull else {
      let message = node.isNull ? "no value; leave the key out for its default" : "one value is wanted here"
      error(at: path, line: line, message, got: node.excerpt, allowed: field.allowed)
      return
    }
    if let problem = field.read(&root, text, quoted) {
      error(at: path, line: node.position.line, problem, got: node.excerpt, allowed: field.allowed)
    } else {
      lines[path] = line
    }
  }

  private mutating func list<Root>(
    _ list: ConfigurationField<Root>.List, _ node: YAMLNode, at path: String, line: Int, _ field: ConfigurationField<Root>,
    into root: inout Root
  ) {
    guard case .sequence(let items) = node.content, list.count.contains(items.count) else {
      var message = "a list is wanted here"
      if node.isNull { message = "no value; leave the key out for its default" }
      if case .sequence(let items) = node.content { message = items.isEmpty ? "an empty list" : "too many entries" }
      return error(at: path, line: node.isNull ? line : node.position.line, message, got: node.excerpt, allowed: field.allowed)
    }
    list.clear(&root)
    var isGood = true
    for (index, item) in items.enumerated() {
      var problem: String? = "one value is wanted here"
      if case .scalar(let text, let quoted) = item.content, !item.isNull { problem = field.read(&root, text, quoted) }
      guard let problem else { continue }
      isGood = false
      error(at: "\(path)[\(index)]", line: item.position.line, problem, got: item.excerpt, allowed: field.allowed)
    }
    if isGood { lines[path] = line }
  }

  /// The entries of a mapping; an empty value has none. Anything else is an error.
  mutating func mapping(_ node: YAMLNode, at path: String) -> [YAMLEntry]? {
    if case .mapping(let entries) = node.content { return entries }
    if !node.isNull { error(at: path, line: node.position.line, "keys with values are wanted here", got: node.excerpt, allowed: nil) }
    return nil
  }

  /// Takes an error.
  mutating func error(at path: String, line: Int, _ message: String, got: String? = nil, allowed: String? = nil) {
    issues.add(ConfigurationIssue(path: path, line: line, message: message, got: got, allowed: allowed))
  }

  private mutating func unknown(_ entry: YAMLEntry, at path: String, known: [String], open: [String]) {
    var message = "unknown key"
    if issues.isFull {
      // Nobody will read a suggestion, and a hostile file has tens of thousands of keys.
      return error(at: path, line: entry.position.line, message)
    }
    if let name = nearest(to: entry.key, among: known + open) {
      message += "; did you mean \(name)?"
    } else if let elsewhere = Self.documented(near: entry.key) {
      message += "; did you mean \(elsewhere)?"
    }
    // Opcodes would fill the screen.
    let allowed = open.count > 16 ? known + ["opcodes (\(open.prefix(3).joined(separator: ", ")) ..., 0x03)"] : known + open
    error(at: path, line: entry.position.line, message, allowed: allowed.joined(separator: ", "))
  }

  /// The documented key, wherever it belongs, whose last part is near.
  private static func documented(near key: String) -> String? {
    let leaves = Configuration.documentation.map { String($0.path.split(separator: ".").last ?? "") }
    guard let leaf = nearest(to: key, among: leaves.filter { !$0.hasPrefix("<") }) else { return nil }
    return leaves.firstIndex(of: leaf).map { Configuration.documentation[$0].path }
  }

  /// `path.key`; a key that could not be one of ours is quoted and bounded.
  static func join(_ path: String, _ key: String) -> String {
    let plain = (1...64).contains(key.utf8.count) && key.utf8.allSatisfy(ConfigurationFields.isNodeByte)
    let part = plain ? key : quotedExcerpt(key)
    return path.isEmpty ? part : "\(path).\(part)"
  }

  private static func unique(_ names: [String]) -> [String] {
    names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
