import LaneCore
import TestBytes
import Testing

/// The bodies of deletes: PROTOCOL.md section 6, "Bodies".
@Suite struct ExtentKeyScannerTests {
  private func scan(_ body: [UInt8], pieces: () -> Int) -> ExtentSet? {
    var scanner = ExtentKeyScanner()
    inPieces(body, pieces) { scanner.take($0) }
    return scanner.finish()
  }

  private func scan(_ text: String) -> ExtentSet? {
    let whole = scan(Array(text.utf8)) { .max }
    #expect(scan(Array(text.utf8)) { 1 } == whole, "in pieces of one byte: \(text)")
    return whole
  }

  private func extents(_ ids: UInt64...) -> ExtentSet { ExtentSet(ids) }

  @Test(arguments: ["v3.3.0", "v3.4.0", "v3.5.3"])
  func bodiesOfTheRealCodeAreRead(release: String) throws {
    for leg in ["client", "follower"] {
      let batch = try #require(fixtureBody("\(release)/batchdeleteextent_\(leg)_req.bin"))
      #expect(scan(String(decoding: batch, as: UTF8.self)) == extents(3, 1029))
      let tiny = try #require(fixtureBody("\(release)/markdelete_tiny_\(leg)_req.bin"))
      #expect(scan(String(decoding: tiny, as: UTF8.self)) == extents(3))
      #expect(fixtureBody("\(release)/markdelete_normal_\(leg)_req.bin") == [])
    }
  }

  @Test(arguments: [("live-v3.3.0", 1027, 5), ("live-v3.5.3", 1029, 60)])
  func bodiesThatRealServersTookAreRead(folder: String, batch: UInt64, tiny: UInt64) throws {
    let body = try #require(fixtureBody("\(folder)/batchdelete_leader.req.bin"))
    #expect(scan(String(decoding: body, as: UTF8.self)) == extents(batch))
    let key = try #require(fixtureBody("\(folder)/markdelete_tiny_follower.req.bin"))
    #expect(scan(String(decoding: key, as: UTF8.self)) == extents(tiny))
  }

  @Test func whatNamesNoExtentIsEmpty() {
    for text in ["[]", " [ ] ", "null", "[null]", "[{}]", "{}", #"[{"ExtentId":0}]"#, #"[{"ExtentId":null},null]"#, #"{"fileId":5}"#] {
      #expect(scan(text) == extents(), "\(text)")
    }
  }

  @Test func namesAreThoseOfGosDecoder() {
    #expect(scan(#"[{"EXTENTID":1},{"extentid":2},{"e\u0078tentI\u0044":3},{"ExtentID":4}]"#) == extents(1, 2, 3, 4))
    #expect(
      scan(#"[{"ExtentIds":1},{"ExtentI":2},{"xExtentId":3},{"":4},{"Extent\u0000Id":5},{"Extent\nId":6},{"ExtentId\"":7}]"#) == extents())
    #expect(
      scan(#"[{"ExtentId":1,"ExtentId":2,"extentid":3},{"ExtentId":4,"ExtentId":null},{"ExtentId":7,"x":{"ExtentId":8}}]"#)
        == extents(3, 4, 7))
  }

  @Test(arguments: [
    "", " ", "5", "-", "\"ExtentId\"", "true", "[", "]", "{", "[{]", "[{}", "[{}}", "[{},]", "[,{}]", "[{}{}]", "[]]", "[][]", "[] x",
    "{}{}", "nul", "nullx", "[5]", "[\"ExtentId\"]", "[true]", "[[]]", "[[{\"ExtentId\":5}]]", "[{\"ExtentId\":5},6]", "\u{FEFF}[]",
    "[{\"ExtentId\"}]", "[{ExtentId:5}]", "[{\"ExtentId\":}]", "[{\"ExtentId\":5,}]", "[{\"ExtentId\":\"5\"}]", "[{\"ExtentId\":5.0}]",
    "[{\"ExtentId\":5e0}]", "[{\"ExtentId\":-5}]", "[{\"ExtentId\":-0}]", "[{\"ExtentId\":05}]", "[{\"ExtentId\":+5}]",
    "[{\"ExtentId\":5.}]", "[{\"ExtentId\":[5]}]", "[{\"ExtentId\":{}}]", "[{\"ExtentId\":true}]",
    "[{\"ExtentId\":18446744073709551616}]", "[{\"ExtentId\":99999999999999999999999}]", "[{\"ExtentId\":\"5\",\"ExtentId\":5}]",
    "{\"ExtentId\":1.5}", "[{\"Size\":01}]", "[{\"a\":\"\u{1}\"}]", "[{\"a\":\"\\u12\"}]",
  ])
  func whatTheReceiverRefusesIsUnreadable(text: String) { #expect(scan(text) == nil) }

  /// Keys in any order, with anything around them: the test knows which extents it wrote.
  @Test func theExtentsThatWereWrittenAreFound() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    for round in 0..<400 {
      let alone = round % 8 == 0
      var ids: Set<UInt64> = []
      let keys = (0..<(alone ? 1 : Int.random(in: 0...30, using: &random))).map { _ in key(&ids, &random) }
      let body = (alone ? keys[0] : JSONText.array(keys)).bytes(&random)
      let expected = ExtentSet(Array(ids))
      let text = String(decoding: body, as: UTF8.self)
      #expect(scan(body) { .max } == expected, "seed \(seed): \(text)")
      #expect(scan(body) { 1 } == expected, "seed \(seed), bytes: \(text)")
      #expect(scan(body) { Int.random(in: 1...20, using: &random) } == expected, "seed \(seed), pieces: \(text)")
    }
  }

  private func key(_ ids: inout Set<UInt64>, _ random: inout SeededGenerator) -> JSONText {
    var members: [JSONText.Member] = []
    for name in ["FileOffset", "PartitionId", "ExtentOffset", "Size", "CRC", "SnapInfo", "IsSnapshotDeletion", "E\\\"x"] {
      if Bool.random(using: &random) { members.append(.init("\"\(name)\"", .noise(&random))) }
    }
    members.shuffle(using: &random)
    var last: UInt64?
    var place = 0
    for _ in 0..<[0, 1, 1, 1, 1, 1, 2, 3].randomElement(using: &random)! {
      place = Int.random(in: place...members.count, using: &random)
      let isNull = Int.random(in: 0..<6, using: &random) == 0
      let id = JSONText.id(&random)
      if !isNull { last = id.value }
      members.insert(.init(JSONText.name("ExtentId", &random), isNull ? .token("null") : id.text), at: place)
      place += 1
    }
    if let last { ids.insert(last) }
    return .object(members)
  }

  @Test func whereABodyIsCutDoesNotMatter() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    var ids: Set<UInt64> = []
    let body = JSONText.array((0..<8).map { _ in key(&ids, &random) } + [.object([.init("\"ExtentId\"", .token("1025"))])]).bytes(&random)
    ids.insert(1025)
    let end = body.lastIndex(of: UInt8(ascii: "]"))!
    for cut in 0...body.count {
      var sizes = [cut, body.count - cut].filter { $0 > 0 }
      #expect(scan(body) { sizes.removeFirst() } == ExtentSet(Array(ids)), "seed \(seed), cut at \(cut)")
      // A beginning says nothing.
      if cut <= end { #expect(scan(Array(body[..<cut])) { .max } == nil, "seed \(seed), \(cut) bytes") }
    }
  }

  @Test func manyKeysAreFoundOrCountAsAll() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    func body(_ ids: [UInt64]) -> [UInt8] {
      var result: [UInt8] = [UInt8(ascii: "[")]
      for id in ids {
        result += Array(#"{"ExtentId":"#.utf8) + Array(String(id).utf8) + Array("},".utf8)
      }
      result[result.count - 1] = UInt8(ascii: "]")
      return result
    }
    let most = Array(UInt64(1025)..<1025 + 65_536)
    // Each twice, and four times one of them: still not more than are listed.
    let doubled = (most + most + [1025, 1025]).shuffled(using: &random)
    #expect(scan(body(doubled)) { .max } == ExtentSet(most), "seed \(seed)")
    #expect(scan(body((most + [7]).shuffled(using: &random))) { .max } == .all, "seed \(seed)")
    let tooMany = body((1...132_000).shuffled(using: &random))
    #expect(scan(tooMany) { 4096 } == .all, "seed \(seed)")
    // Long after the first came too many, one that is odd still counts.
    #expect(scan(Array(tooMany.dropLast() + Array(",5]".utf8))) { .max } == nil)
  }

  @Test func depthIsBounded() {
    func nested(_ depth: Int) -> String {
      #"[{"a":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + #","ExtentId":9}]"#
    }
    // With array and key, 32.
    #expect(scan(nested(30)) == extents(9))
    #expect(scan(nested(31)) == nil)
    #expect(scan(Array(nested(1_000_000).utf8)) { 65_536 } == nil)
    #expect(scan(Array(String(repeating: "{\"ExtentId\":", count: 1_000_000).utf8)) { 65_536 } == nil)
  }

  @Test func longTokensAreNotRemembered() {
    let long = String(repeating: "ExtentId", count: 100_000)
    #expect(scan(Array("[{\"\(long)\":\"\(long)\",\"ExtentId\":3}]".utf8)) { 1000 } == extents(3))
    let zeros = String(repeating: "0", count: 100_000)
    #expect(scan(Array("[{\"a\":1\(zeros),\"ExtentId\":3}]".utf8)) { 1000 } == extents(3))
    #expect(scan(Array("[{\"ExtentId\":1\(zeros)}]".utf8)) { 1000 } == nil)
  }

  /// Any bytes, in any pieces: never a trap, and the pieces do not matter.
  @Test func mutationsNeverTrap() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    for _ in 0..<1000 {
      var ids: Set<UInt64> = []
      var bytes = JSONText.array((0..<3).map { _ in key(&ids, &random) }).bytes(&random)
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let at = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: at)
        default: bytes.insert(Array("{}[]\",:\\0u".utf8).randomElement(using: &random)!, at: at)
        }
        if bytes.isEmpty { bytes = [0] }
      }
      let whole = scan(bytes) { .max }
      #expect(scan(bytes) { Int.random(in: 1...9, using: &random) } == whole, "seed \(seed)")
      let garbage = random.bytes(60)
      #expect(scan(garbage) { 7 } == nil, "seed \(seed)")
    }
  }
}
