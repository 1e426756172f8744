import Testing

@testable import LaneControl

@Suite struct YAMLParserTests {
  private func reason(_ text: String) -> YAMLFailure.Reason? { YAMLParser.parse(Array(text.utf8)).failures.first?.reason }

  private func place(_ text: String) -> YAMLPosition? { YAMLParser.parse(Array(text.utf8)).failures.first?.position }

  @Test func valuesKeepTheirPlaceOrderAndQuotes() throws {
    let result = YAMLParser.parse(Array("b: 1\na:\n  - \"2\"\n  - {c: 'x'}\n".utf8))
    #expect(result.failures.isEmpty)
    guard case .mapping(let entries) = try #require(result.root).content else {
      Issue.record("no mapping")
      return
    }
    #expect(entries.map(\.key) == ["b", "a"])
    #expect(entries.map(\.position) == [YAMLPosition(line: 1, column: 1), YAMLPosition(line: 2, column: 1)])
    #expect(entries[0].value == YAMLNode(content: .scalar("1", quoted: false), position: YAMLPosition(line: 1, column: 4)))
    guard case .sequence(let items) = entries[1].value.content, case .mapping(let inner) = items[1].content else {
      Issue.record("no list")
      return
    }
    #expect(items[0] == YAMLNode(content: .scalar("2", quoted: true), position: YAMLPosition(line: 3, column: 5)))
    #expect(inner[0].value.content == .scalar("x", quoted: true))
  }

  @Test(arguments: ["", "\n\n", "# only a comment\n", "\u{FEFF}"])
  func nothingIsAnEmptyDocument(text: String) {
    let result = YAMLParser.parse(Array(text.utf8))
    #expect(result.root == nil || result.root?.isNull == true)
    #expect(result.failures.isEmpty)
  }

  @Test func syntaxErrorsHaveAPlaceAndLibyamlsWords() throws {
    guard case .syntax(let words) = try #require(reason("a: 1\nb: [1, 2\nc: 3\n")) else {
      Issue.record("no syntax error")
      return
    }
    #expect(words.contains("did not find expected ',' or ']'"))
    #expect(words.contains("on line 2"))
    #expect(place("a: 1\nb: \"x\n") == YAMLPosition(line: 3, column: 1))
    #expect(place("a: 1\n\tb: 2\n") == YAMLPosition(line: 2, column: 1))
  }

  @Test func aByteOrderMarkAndCarriageReturnsAreNothing() throws {
    let plain = YAMLParser.parse(Array("a:\n  b: 1\n".utf8))
    #expect(plain.root != nil)
    #expect(YAMLParser.parse(Array("\u{FEFF}a:\n  b: 1\n".utf8)).root == plain.root)
    #expect(YAMLParser.parse(Array("a:\r\n  b: 1\r\n".utf8)).root == plain.root)
    // A row of them is no way into deep recursion: the second one is no mark any more.
    let marks = Array(String(repeating: "\u{FEFF}", count: 300_000).utf8)
    #expect(YAMLParser.parse(marks).failures.count <= 1)
  }

  @Test func compactJSONIsRead() throws {
    let result = YAMLParser.parse(Array(#"{"a":{"b":[1,true,"\/x\u00e9"]},"c":null}"#.utf8))
    #expect(result.failures.isEmpty)
    guard case .mapping(let entries)? = result.root?.content, case .mapping(let inner) = entries[0].value.content,
      case .sequence(let items) = inner[0].value.content
    else {
      Issue.record("not read")
      return
    }
    #expect(items.map(\.content) == [.scalar("1", quoted: false), .scalar("true", quoted: false), .scalar("/xé", quoted: true)])
    #expect(entries[1].value.isNull)
  }

  @Test func aLoneDashAsAValueGetsAHint() throws {
    guard case .syntax(let words) = try #require(reason("log:\n  path: -\n")) else {
      Issue.record("no syntax error")
      return
    }
    #expect(words.hasSuffix("; a value that is or begins with - needs quotes"))
  }

  @Test func controlCharactersAreRefusedWithTheirLine() throws {
    guard case .syntax(let words) = try #require(reason("a: 1\nb: \u{1}\n")) else {
      Issue.record("no syntax error")
      return
    }
    #expect(words == "control characters are not allowed")
    #expect(place("a: 1\nb: \u{1}\n") == YAMLPosition(line: 2, column: 4))
  }

  @Test func bytesThatAreNoUTF8AreRefusedWithTheirOffset() {
    let result = YAMLParser.parse(Array("ä: 1\nb: ".utf8) + [0xC3, 0x28])
    #expect(result.failures == [YAMLFailure(reason: .notUTF8(offset: 9), position: YAMLPosition(line: 2, column: 4))])
    // UTF-16 must not be taken for a document of another encoding.
    #expect(YAMLParser.parse([0xFF, 0xFE, 0x61, 0x00]).failures.map(\.reason) == [.notUTF8(offset: 0)])
  }

  @Test func everyDuplicateKeyIsListedAndTheFirstStays() {
    let result = YAMLParser.parse(Array("a: 1\na: 2\nb: {c: 1, c: 2}\n".utf8))
    #expect(result.failures.map(\.reason) == [.duplicateKey("a", firstLine: 1), .duplicateKey("c", firstLine: 3)])
    #expect(result.failures.map(\.position) == [YAMLPosition(line: 2, column: 1), YAMLPosition(line: 3, column: 11)])
    guard case .mapping(let entries)? = result.root?.content else {
      Issue.record("no mapping")
      return
    }
    #expect(entries.first?.value.content == .scalar("1", quoted: false))
  }

  @Test func whatAConfigurationDoesNotNeedIsRefused() {
    #expect(reason("a: &x 1\nb: *x\n") == .anchorOrAlias)
    #expect(reason("a: *x\n") == .anchorOrAlias)
    #expect(reason("a: &x [1]\n") == .anchorOrAlias)
    #expect(reason("a: !!int 1\n") == .tag)
    #expect(reason("a: !!map {}\n") == .tag)
    #expect(reason("[a]: 1\n") == .keyNotScalar)
    #expect(reason("? {a: 1}\n: 1\n") == .keyNotScalar)
    #expect(reason("a: 1\n---\nb: 2\n") == .secondDocument)
    #expect(place("a: 1\n---\nb: 2\n")?.line == 2)
  }

  @Test func aBombOfAliasesIsRefusedAtItsFirstAnchor() {
    var text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for level in 1..<30 { text += "a\(level): &a\(level) [*a\(level - 1),*a\(level - 1),*a\(level - 1)]\n" }
    #expect(reason(text) == .anchorOrAlias)
    #expect(place(text) == YAMLPosition(line: 1, column: 5))
  }

  @Test func depthIsBounded() {
    let nested = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    #expect(reason(nested(32)) == nil)
    #expect(reason(nested(33)) == .tooDeep(limit: 32))
    #expect(reason(String(repeating: "{a: ", count: 33) + String(repeating: "}", count: 33)) == .tooDeep(limit: 32))
  }

  @Test func theNumberOfValuesIsBounded() {
    let list = { (count: Int) in "[" + String(repeating: "1,", count: count) + "]" }
    // The list itself counts, too.
    #expect(reason(list(99_999)) == nil)
    #expect(reason(list(100_000)) == .tooManyNodes(limit: 100_000))
  }

  @Test func theSizeIsBounded() {
    let size = 1 << 20
    #expect(YAMLParser.parse([UInt8](repeating: UInt8(ascii: "\n"), count: size)).failures.isEmpty)
    let one = YAMLParser.parse([UInt8](repeating: UInt8(ascii: "\n"), count: size + 1))
    #expect(one.failures.map(\.reason) == [.tooLarge(bytes: size + 1, limit: size)])
  }

  @Test(arguments: [
    "[", "{", "- ", "? ", "a: ", "\"", "'", "[a,", "&a ", "*a ", "|\n ", "\n- a", "\na:\n - b", "%", "---\n", "\r", " ", "a\n ",
  ])
  func aMebibyteOfOnePieceEnds(piece: String) {
    let unit = Array(piece.utf8)
    let text = (0..<(1 << 20)).map { unit[$0 % unit.count] }
    let start = ContinuousClock.now
    _ = YAMLParser.parse(text)
    // A guard against quadratic behaviour, generous for a busy machine.
    #expect(ContinuousClock.now - start < .seconds(30))
  }
}
