import Testing

@testable import LaneLab

@Suite struct SidecarLogTests {
  @Test func readsReasonsAlertsAndAccounts() throws {
    let log = SidecarLog(
      """
      {"event":"reply.dropped","reason":"stamp-unknown","alert":"reply.dropped","partition":7,"observed":"12"}
      {"event":"reply.unsolicited","reason":"reply-surplus","alert":"reply.unsolicited","observed":"OpX OpOk ReqID 1 partition 9 extent 0, 57 bytes"}
      {"event":"process.started"}
      not json
      {"event":"accounting","started":10,"delivered":4,"errorReply":3,"reset":1,"abandoned":2,"noneDue":0}

      """)
    #expect(log.reasons == [7: ["stamp-unknown"], 9: ["reply-surplus"]])
    #expect(log.alerts.map(\.partition) == [7, 9])
    #expect(log.foreign == ["not json"])
    #expect(try #require(log.accounting).isBalanced)
  }

  @Test func conflictsAreCountedByReason() {
    let held = #"{"event":"conflict.held","reason":"delete-during-repair","durationMicroseconds":1500}"#
    let many = #"{"event":"conflict.held","reason":"delete-during-repair-task","durationMicroseconds":200,"folded":4}"#
    let limit = #"{"event":"conflict.limit","reason":"delete-during-repair","alert":"conflict.limit","durationMicroseconds":2000000}"#
    let detected = #"{"event":"conflict.detected","reason":"ghost-extent","alert":"conflict.detected"}"#
    let log = SidecarLog([held, many, limit, limit, detected, #"{"event":"gate.ready"}"#].joined(separator: "\n"))
    let expected = SidecarLog.Conflicts(
      reasons: ["delete-during-repair": 3, "delete-during-repair-task": 4, "ghost-extent": 1], held: 5, atLimit: 2,
      heldMicroseconds: 1_500 + 4 * 200 + 2 * 2_000_000, limitExample: limit)
    #expect(log.conflicts == expected && expected.seen == 8)
    let twice = log.conflicts + log.conflicts
    #expect(twice.seen == 16 && twice.held == 10 && twice.atLimit == 4 && twice.heldMicroseconds == 8_004_600)
  }

  @Test func anAccountThatDoesNotAddUpIsSeen() throws {
    let log = SidecarLog("{\"event\":\"accounting\",\"started\":10,\"delivered\":9}")
    #expect(try !#require(log.accounting).isBalanced)
  }

  @Test(arguments: ["", "{", "[1,]", "{\"a\":}", "nul", "\"\\", "[[[[", "{\"a\" 1}", "01a", "\u{1}"])
  func brokenJSONIsRefused(_ text: String) { #expect(LabJSON(Array(text.utf8)) == nil) }

  @Test func jsonValuesAreRead() {
    let json = LabJSON(Array(#" {"a":[1,-2.5e3,true,null,"x\n\u00e9\"y"],"b":{"c":18446744073709551615}} "#.utf8))
    #expect(json?["b"]?["c"]?.unsigned == .max)
    #expect(json?["a"] == .array([.number("1"), .number("-2.5e3"), .bool(true), .null, .string("x\n\u{e9}\"y")]))
  }

  @Test func aHostileDepthIsRefused() { #expect(LabJSON([UInt8](repeating: UInt8(ascii: "["), count: 100_000)) == nil) }
}
