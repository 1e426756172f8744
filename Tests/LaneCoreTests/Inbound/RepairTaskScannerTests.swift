import LaneCore
import NetEndpoint
import TestBytes
import Testing

/// The body of a NotifyReplicasToRepair: PROTOCOL.md section 6, "Bodies".
@Suite struct RepairTaskScannerTests {
  private static let leader = Endpoint(address: 0x0A00_0C01, port: 17310)

  private func scan(_ body: some Sequence<UInt8>, pieces: Int = .max) -> RepairTaskScanner.Outcome {
    var scanner = RepairTaskScanner()
    var rest = Array(body)[...]
    while !rest.isEmpty {
      let piece = Array(rest.prefix(pieces))
      piece.withUnsafeBytes { scanner.take($0) }
      rest = rest.dropFirst(piece.count)
    }
    return scanner.finish()
  }

  private func scan(_ text: String) -> RepairTaskScanner.Outcome {
    let whole = scan(text.utf8)
    #expect(scan(text.utf8, pieces: 1) == whole, "in pieces of one byte: \(text)")
    return whole
  }

  /// As v3.4 and later write it: two extents, fields the scanner knows nothing of, the two that it wants at the end.
  private static let task = #"""
    {"TaskType":1,"ExtentsToBeCreated":[{"fileId":1025,"size":131072,"Crc":5,"deleted":false,"modTime":-1,"src":"10.0.12.1:17310",
    "LeaderAddr":"9.9.9.9:9","snapSize":1.5e3}],"ExtentsToBeRepaired":[{"a":{"LeaderTinyDeleteRecordFileSize":7}},null,true,[[]],{}],
    "note":"a \"quoted\" \\ \u00e9 LeaderAddr\/","LeaderTinyDeleteRecordFileSize":4800024,"LeaderAddr":"10.0.12.1:17310"}
    """#

  @Test func sizeAndLeaderOfATaskAreFound() {
    #expect(scan(Self.task) == .size(4_800_024, leader: Self.leader))
    #expect(scan("\n \(Self.task) \r\n\t") == .size(4_800_024, leader: Self.leader))
    #expect(scan(#"{"LeaderAddr":"10.0.12.1:17310","LeaderTinyDeleteRecordFileSize":1}"#) == .size(1, leader: Self.leader))
    // The greatest that Go's int64 takes.
    #expect(
      scan(#"{"LeaderTinyDeleteRecordFileSize":9223372036854775807,"LeaderAddr":"10.0.12.1:17310"}"#)
        == .size(UInt64(Int64.max), leader: Self.leader))
  }

  @Test func aTaskWithoutASizeForgetsTheLastOne() {
    #expect(scan(#"{"LeaderTinyDeleteRecordFileSize":0,"LeaderAddr":"10.0.12.1:17310"}"#) == .size(0, leader: Self.leader))
    #expect(scan(#"{"LeaderAddr":"10.0.12.1:17310"}"#) == .size(0, leader: Self.leader))
    #expect(scan(#"{"LeaderTinyDeleteRecordFileSize":null,"LeaderAddr":"10.0.12.1:17310"}"#) == .size(0, leader: Self.leader))
    #expect(scan("{}") == .none)
    #expect(scan(#"{"TaskType":1,"LeaderAddr":""}"#) == .none)
  }

  /// Go's decoder keeps the last of members with one name.
  @Test func theLastOfEqualNamesCounts() {
    #expect(
      scan(
        #"{"LeaderAddr":"1.2.3.4:5","LeaderTinyDeleteRecordFileSize":5,"LeaderTinyDeleteRecordFileSize":6,"LeaderAddr":"10.0.12.1:17310"}"#)
        == .size(6, leader: Self.leader))
  }

  @Test(arguments: [
    "", " ", "null", "[]", "\"LeaderAddr\"", "5", "{", "}", "{]", "[}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}",
    "{\"a\":1}}", "{\"a\":1}{", "{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":-}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":.5}", "{\"a\":+1}",
    "{\"a\":nul}", "{\"a\":nulls}", "{\"a\":tru", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\n\"}", "{\"a\":\"", "{\"a\":[1,]}",
    "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":{\"b\":1]}", "\u{FEFF}{}",
    "{\"LeaderTinyDeleteRecordFileSize\":\"5\"}", "{\"LeaderTinyDeleteRecordFileSize\":-5}", "{\"LeaderTinyDeleteRecordFileSize\":5.0}",
    "{\"LeaderTinyDeleteRecordFileSize\":5e2}", "{\"LeaderTinyDeleteRecordFileSize\":9223372036854775808}",
    "{\"LeaderTinyDeleteRecordFileSize\":99999999999999999999999999}", "{\"LeaderTinyDeleteRecordFileSize\":[5]}",
    "{\"LeaderAddr\":5}", "{\"LeaderAddr\":{}}",
  ])
  func whatIsNoTaskIsUnreadable(text: String) { #expect(scan(text) == .unreadable) }

  /// A size without a leader that connections can be told by.
  @Test(arguments: [
    "", "datanode-1:17310", "10.0.12.1", "10.0.12.1:0", "10.0.12.1:17310 ", "10.0.12.1:17310999999999999999999999999999999",
  ])
  func anAddressOfAnotherKindIsUnreadable(address: String) {
    #expect(scan("{\"LeaderTinyDeleteRecordFileSize\":5,\"LeaderAddr\":\"\(address)\"}") == .unreadable)
    #expect(scan("{\"LeaderTinyDeleteRecordFileSize\":5,\"LeaderAddr\":\"10.0.12.\\u0031:17310\"}") == .unreadable)
  }

  /// Whole tasks, and none of their beginnings.
  @Test func everyTruncationIsUnreadable() {
    let bytes = Array(Self.task.utf8)
    for count in 0..<bytes.count { #expect(scan(bytes[..<count]) == .unreadable, "\(count) bytes") }
  }

  @Test func depthIsBounded() {
    func nested(_ depth: Int) -> [UInt8] {
      Array("{\"a\":".utf8) + [UInt8](repeating: UInt8(ascii: "["), count: depth) + [UInt8](repeating: UInt8(ascii: "]"), count: depth)
        + Array(",\"LeaderTinyDeleteRecordFileSize\":3,\"LeaderAddr\":\"10.0.12.1:17310\"}".utf8)
    }
    // With the task itself, 32.
    #expect(scan(nested(31)) == .size(3, leader: Self.leader))
    #expect(scan(nested(32)) == .unreadable)
    #expect(scan(nested(100_000)) == .unreadable)
    // Which kind each level is, is remembered at every depth.
    let mixed = String(repeating: "[{\"b\":", count: 15) + "1" + String(repeating: "}]", count: 15)
    #expect(scan("{\"a\":\(mixed)}") == .none)
    #expect(scan("{\"a\":\(mixed.replacing("1}]", with: "1]}"))}") == .unreadable)
  }

  @Test func longNamesAndTextsAreNoLongerRemembered() {
    let long = String(repeating: "LeaderAddr", count: 20_000)
    #expect(
      scan("{\"\(long)\":\"\(long)\",\"LeaderAddr\":\"10.0.12.1:17310\",\"LeaderTinyDeleteRecordFileSize\":2}".utf8)
        == .size(2, leader: Self.leader))
    #expect(scan("{\"LeaderAddr\":\"\(long)\",\"LeaderTinyDeleteRecordFileSize\":2}".utf8) == .unreadable)
  }

  /// Any bytes, in any pieces: never a trap, and the pieces do not matter.
  @Test func mutationsNeverTrap() {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed of RepairTaskScannerTests.mutationsNeverTrap: \(seed)")
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      var bytes = Array(Self.task.utf8)
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let at = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes.remove(at: at)
        default: bytes.insert(Array("{}[]\",:\\0".utf8).randomElement(using: &generator)!, at: at)
        }
      }
      let whole = scan(bytes)
      #expect(scan(bytes, pieces: Int.random(in: 1...9, using: &generator)) == whole, "seed \(seed)")
    }
  }
}
