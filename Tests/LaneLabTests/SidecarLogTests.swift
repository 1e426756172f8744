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
