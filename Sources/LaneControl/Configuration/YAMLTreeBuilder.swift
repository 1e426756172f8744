/// Puts a parser's events together into one tree, and holds the bounds.
struct YAMLTreeBuilder {
  private struct Frame {
    var isMapping: Bool
    var position: YAMLPosition
    var items: [YAMLNode] = []
    var entries: [YAMLEntry] = []
    var key: (text: String, position: YAMLPosition)?
    var firstLines: [String: Int] = [:]
  }

  /// The finished document; nil while there is none.
  private(set) var root: YAMLNode?
  /// Keys that were set twice; the first setting stays.
  private(set) var duplicates: [YAMLFailure] = []

  private let bounds: YAMLBounds
  private var frames: [Frame] = []
  private var nodes = 0
  private var documents = 0

  /// An empty tree.
  init(bounds: YAMLBounds) { self.bounds = bounds }

  /// A document begins.
  mutating func beginDocument(at place: YAMLPosition) throws(YAMLFailure) {
    documents += 1
    if documents > 1 { throw YAMLFailure(reason: .secondDocument, position: place) }
  }

  /// A key or a value that is text.
  mutating func scalar(_ text: String, quoted: Bool, at place: YAMLPosition) throws(YAMLFailure) {
    try count(at: place)
    if let top = frames.indices.last, frames[top].isMapping, frames[top].key == nil {
      frames[top].key = (text, place)
      return
    }
    try add(YAMLNode(content: .scalar(text, quoted: quoted), position: place))
  }

  /// A list or a mapping begins.
  mutating func open(mapping: Bool, at place: YAMLPosition) throws(YAMLFailure) {
    try count(at: place)
    if let top = frames.last, top.isMapping, top.key == nil {
      throw YAMLFailure(reason: .keyNotScalar, position: place)
    }
    if frames.count >= bounds.depth { throw YAMLFailure(reason: .tooDeep(limit: bounds.depth), position: place) }
    frames.append(Frame(isMapping: mapping, position: place))
  }

  /// The innermost list or mapping ends.
  mutating func close() throws(YAMLFailure) {
    guard let frame = frames.popLast() else { return }
    try add(YAMLNode(content: frame.isMapping ? .mapping(frame.entries) : .sequence(frame.items), position: frame.position))
  }

  private mutating func count(at place: YAMLPosition) throws(YAMLFailure) {
    nodes += 1
    if nodes > bounds.nodes { throw YAMLFailure(reason: .tooManyNodes(limit: bounds.nodes), position: place) }
  }

  private mutating func add(_ node: YAMLNode) throws(YAMLFailure) {
    guard let top = frames.indices.last else {
      root = node
      return
    }
    guard frames[top].isMapping else {
      frames[top].items.append(node)
      return
    }
    guard let key = frames[top].key else { return }
    frames[top].key = nil
    if let line = frames[top].firstLines[key.text] {
      let failure = YAMLFailure(reason: .duplicateKey(key.text, firstLine: line), position: key.position)
      if duplicates.count >= bounds.duplicates { throw failure }
      duplicates.append(failure)
    } else {
      frames[top].firstLines[key.text] = key.position.line
      frames[top].entries.append(YAMLEntry(key: key.text, position: key.position, value: node))
    }
  }
}
