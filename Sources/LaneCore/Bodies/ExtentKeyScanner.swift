/// Finds the extents that a delete names, in its body as it passes by: `ExtentId` of each object of the array in BatchDeleteExtent
/// and GcBatchDeleteExtent, or of the one object in a MarkDelete of a tiny extent and a SplitMarkDelete (PROTOCOL.md section 6,
/// "Bodies"; CubeFS `proto/extent_key.go` `ExtentKey`, `datanode/wrap_operator.go` `handleBatchMarkDeletePacket`).
///
/// `handleMarkDeletePacket` takes place and size from the body, and which extent from the packet's header; the two are equal as
/// CubeFS writes them. A MarkDelete of a normal extent has no body.
public struct ExtentKeyScanner {
  private var json = JSONScanner(KeyReader())

  /// A scanner at the first byte of a body.
  public init() {}

  /// Takes the next piece of the body.
  public mutating func take(_ bytes: UnsafeRawBufferPointer) { json.take(bytes) }

  /// The body is over. Returns the extents that it names; nil where it is not JSON as a leader or client writes it: the receiver answers
  /// that with an error and deletes nothing.
  public func finish() -> ExtentSet? {
    let keys = json.reader.keys
    return json.isDone && !keys.isOdd ? keys.extents() : nil
  }
}

private struct KeyReader: JSONReader {
  private(set) var keys = ExtentList()
  /// How many levels are open around a key: 1 in an array, 0 where it is alone.
  private var around = 1

  mutating func name(_ name: JSONToken, depth: Int) {
    if depth == around + 1 { keys.name(isID: name.isName("extentid")) }
  }

  mutating func value(_ value: JSONValue, depth: Int) -> Bool {
    if depth == 0 {
      switch value {
      case .array, .null: return true
      case .object: around = 0
      case .string, .number, .boolean: return false
      }
    }
    if depth == around { keys.element(value) } else if depth == around + 1 { keys.member(value) }
    return true
  }

  mutating func close(depth: Int) {
    if depth == around { keys.elementEnds() }
  }
}
