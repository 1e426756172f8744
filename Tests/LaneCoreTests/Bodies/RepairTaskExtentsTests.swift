import LaneCore
import NetEndpoint
import TestBytes
import Testing

/// Which extents a NotifyReplicasToRepair creates and repairs.
@Suite struct RepairTaskExtentsTests {
  private func scan(_ body: [UInt8], pieces: () -> Int) -> RepairTaskScanner.Extents? {
    var scanner = RepairTaskScanner()
    inPieces(body, pieces) { scanner.take($0) }
    return scanner.extents()
  }

  private func scan(_ text: String) -> RepairTaskScanner.Extents? {
    let whole = scan(Array(text.utf8)) { .max }
    #expect(scan(Array(text.utf8)) { 1 } == whole, "in pieces of one byte: \(text)")
    return whole
  }

  private func extents(created: [UInt64], named: [UInt64]) -> RepairTaskScanner.Extents {
    RepairTaskScanner.Extents(created: ExtentSet(created), named: ExtentSet(named))
  }

  @Test(arguments: ["v3.3.0", "v3.4.0", "v3.5.3"])
  func bodiesOfTheRealCodeAreRead(release: String) throws {
    let body = try #require(fixtureBody("\(release)/notifyreplicastorepair_req.bin"))
    #expect(scan(String(decoding: body, as: UTF8.self)) == extents(created: [1029], named: [1029]))
    var scanner = RepairTaskScanner()
    body.withUnsafeBytes { scanner.take($0) }
    #expect(scanner.finish() == .size(4800, leader: Endpoint(address: 0x7F00_000B, port: 17310)))
  }

  @Test(arguments: ["live-v3.3.0", "live-v3.5.3"])
  func bodiesThatRealServersTookAreRead(folder: String) throws {
    let empty = try #require(fixtureBody("\(folder)/notifyreplicastorepair_empty.req.bin"))
    #expect(scan(String(decoding: empty, as: UTF8.self)) == extents(created: [], named: []))
    let bad = try #require(fixtureBody("\(folder)/notifyreplicastorepair_badjson.req.bin"))
    #expect(scan(String(decoding: bad, as: UTF8.self)) == nil)
  }

  @Test func eitherListMayBeAbsentOrNull() {
    #expect(scan("{}") == extents(created: [], named: []))
    #expect(scan(#"{"ExtentsToBeCreated":null,"ExtentsToBeRepaired":null}"#) == extents(created: [], named: []))
    #expect(scan(#"{"ExtentsToBeCreated":[{"fileId":5}]}"#) == extents(created: [5], named: [5]))
    #expect(scan(#"{"ExtentsToBeRepaired":[{"fileId":5},null,{},{"size":3}]}"#) == extents(created: [], named: [5]))
    #expect(scan(#"{"ExtentsToBeRepaired":[{"fileId":6}],"ExtentsToBeCreated":[{"fileId":5}]}"#) == extents(created: [5], named: [5, 6]))
  }

  @Test func theLastOfEqualNamesCounts() {
    #expect(
      scan(#"{"ExtentsToBeCreated":[{"fileId":1}],"extentstobecreated":[{"fileId":2,"FILEID":3}],"ExtentsToBeRepaired":[{"fileId":4}]}"#)
        == extents(created: [3], named: [3, 4]))
    #expect(scan(#"{"ExtentsToBeRepaired":[{"fileId":4}],"ExtentsToBeRepaired":null}"#) == extents(created: [], named: []))
  }

  /// Only the ids of the two lists' own objects.
  @Test func otherIdsAreNotTaken() {
    #expect(
      scan(
        #"{"fileId":1,"x":[{"fileId":2}],"ExtentsToBeRepaired":[{"a":{"fileId":3},"b":[{"fileId":4}],"fileId":5}],"y":[{"fileId":6}],"z":{"ExtentsToBeCreated":[{"fileId":7}]}}"#
      ) == extents(created: [], named: [5]))
  }

  @Test(arguments: [
    "", "[]", "null", #"{"ExtentsToBeCreated":5}"#, #"{"ExtentsToBeCreated":{}}"#, #"{"ExtentsToBeRepaired":{"fileId":5}}"#,
    #"{"ExtentsToBeRepaired":"x"}"#, #"{"ExtentsToBeRepaired":[5]}"#, #"{"ExtentsToBeRepaired":[[]]}"#,
    #"{"ExtentsToBeRepaired":[[{"fileId":5}]]}"#, #"{"ExtentsToBeRepaired":[{"fileId":"5"}]}"#, #"{"ExtentsToBeRepaired":[{"fileId":-5}]}"#,
    #"{"ExtentsToBeRepaired":[{"fileId":5.5}]}"#, #"{"ExtentsToBeCreated":[{"fileId":18446744073709551616}]}"#,
    #"{"ExtentsToBeCreated":[true],"ExtentsToBeCreated":[]}"#, #"{"ExtentsToBeRepaired":[{"fileId":5}]"#,
    #"{"ExtentsToBeRepaired":[{"fileId":5}]}}"#, #"{"LeaderAddr":5,"ExtentsToBeRepaired":[{"fileId":5}]}"#,
  ])
  func whatTheReceiverRefusesHasNone(text: String) { #expect(scan(text) == nil) }

  /// Lists that say nothing of extents say nothing against the leader's file.
  @Test func oddListsDoNotHideTheSize() {
    var scanner = RepairTaskScanner()
    Array(#"{"ExtentsToBeCreated":[5],"LeaderAddr":"10.0.12.1:17310","LeaderTinyDeleteRecordFileSize":3}"#.utf8).withUnsafeBytes {
      scanner.take($0)
    }
    #expect(scanner.extents() == nil)
    #expect(scanner.finish() == .size(3, leader: Endpoint(address: 0x0A00_0C01, port: 17310)))
  }

  @Test func theExtentsThatWereWrittenAreFound() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    for _ in 0..<300 {
      var created: Set<UInt64> = []
      var repaired: Set<UInt64> = []
      let members: [JSONText.Member] = [
        .init("\"TaskType\"", .token("1")), .init("\"LeaderAddr\"", .token("\"10.0.12.1:17310\"")), .init("\"x\"", .noise(&random)),
        .init(JSONText.name("ExtentsToBeCreated", &random), list(&created, &random)),
        .init(JSONText.name("ExtentsToBeRepaired", &random), list(&repaired, &random)), .init("\"a\\\\\"", .noise(&random)),
      ]
      let body = JSONText.object(members.shuffled(using: &random)).bytes(&random)
      let expected = extents(created: Array(created), named: Array(created.union(repaired)))
      let text = String(decoding: body, as: UTF8.self)
      #expect(scan(body) { .max } == expected, "seed \(seed): \(text)")
      #expect(scan(body) { 1 } == expected, "seed \(seed), bytes: \(text)")
      #expect(scan(body) { Int.random(in: 1...20, using: &random) } == expected, "seed \(seed), pieces: \(text)")
    }
  }

  private func list(_ ids: inout Set<UInt64>, _ random: inout SeededGenerator) -> JSONText {
    .array(
      (0..<Int.random(in: 0...12, using: &random)).map { _ -> JSONText in
        if Int.random(in: 0..<12, using: &random) == 0 { return .token("null") }
        let id = JSONText.id(&random)
        ids.insert(id.value)
        var members: [JSONText.Member] = [.init(JSONText.name("fileId", &random), id.text)]
        for name in ["size", "Crc", "deleted", "modTime", "src", "snapSize", "applyID"] where Bool.random(using: &random) {
          members.append(.init("\"\(name)\"", .noise(&random)))
        }
        return .object(members.shuffled(using: &random))
      })
  }

  @Test func whereABodyIsCutDoesNotMatter() throws {
    let body = try #require(fixtureBody("v3.5.3/notifyreplicastorepair_req.bin"))
    for cut in 0..<body.count {
      var sizes = [cut, body.count - cut].filter { $0 > 0 }
      #expect(scan(body) { sizes.removeFirst() } == extents(created: [1029], named: [1029]), "cut at \(cut)")
      #expect(scan(Array(body[..<cut])) { .max } == nil, "\(cut) bytes")
    }
  }

  @Test func manyExtentsAreFoundOrCountAsAll() {
    func body(created: some Sequence<UInt64>, repaired: some Sequence<UInt64>) -> [UInt8] {
      func list(_ ids: some Sequence<UInt64>) -> String { ids.map { "{\"fileId\":\($0),\"size\":1}" }.joined(separator: ",") }
      return Array("{\"ExtentsToBeCreated\":[\(list(created))],\"ExtentsToBeRepaired\":[\(list(repaired))]}".utf8)
    }
    let some = Array(UInt64(1025)..<1025 + 40_000)
    #expect(scan(body(created: some, repaired: some)) { .max } == extents(created: some, named: some))
    // Each list alone is not too long.
    #expect(
      scan(body(created: some, repaired: 100_000..<140_000)) { 9999 }
        == RepairTaskScanner.Extents(created: ExtentSet(some), named: .all))
    #expect(scan(body(created: 1...66_000, repaired: [])) { .max } == RepairTaskScanner.Extents(created: .all, named: .all))
  }
}
