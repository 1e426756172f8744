import Testing

@testable import LaneControl

@Suite struct UnitsTests {
  @Test(arguments: [
    ("250ms", 250_000_000), ("5s", 5_000_000_000), ("2m", 120_000_000_000), ("1h", 3_600_000_000_000), ("0", 0), ("0s", 0), ("0ms", 0),
  ])
  func durations(text: String, nanoseconds: UInt64) throws {
    #expect(try #require(ConfigurationUnits.duration(text)).wholeNanoseconds == nanoseconds)
  }

  @Test(arguments: [
    "", "5", "s", "5 s", "-5s", "+5s", "1.5s", "05s", "5S", "5us", "5sec", "1m30s", "99999999999h", "18446744073709551616s", "٥s",
  ])
  func noDurations(text: String) {
    #expect(ConfigurationUnits.duration(text) == nil)
  }

  @Test(arguments: [
    ("0s", Duration.zero), ("250ms", .milliseconds(250)), ("25s", .seconds(25)), ("90s", .seconds(90)), ("30m", .seconds(1800)),
    ("24h", .seconds(86_400)),
  ])
  func durationsAreWrittenInTheLargestWholeUnit(text: String, duration: Duration) {
    #expect(ConfigurationUnits.text(duration) == text)
  }

  @Test(arguments: [("0", 0), ("57", 57), ("64KiB", 65_536), ("16MiB", 16_777_216), ("1GiB", 1_073_741_824)])
  func sizes(text: String, bytes: Int) {
    #expect(ConfigurationUnits.bytes(text) == bytes)
    #expect(ConfigurationUnits.text(bytes: bytes) == text)
  }

  @Test(arguments: ["", "KiB", "64KB", "64kib", "64 KiB", "-1", "1.5MiB", "0x10", "010", "9223372036854775807GiB", "9223372036854775808"])
  func noSizes(text: String) {
    #expect(ConfigurationUnits.bytes(text) == nil)
  }

  @Test(arguments: [("1", 1), ("0xFF", 255), ("0xffffffff", 4_294_967_295), ("4294967295", 4_294_967_295)] as [(String, UInt32)])
  func numbersOf32Bits(text: String, number: UInt32) {
    #expect(ConfigurationUnits.number32(text) == number)
  }

  @Test(arguments: ["", "0x", "0x+1", "0x-1", "0x100000000", "4294967296", "-1", "ff", "1_000", "010"])
  func noNumbersOf32Bits(text: String) {
    #expect(ConfigurationUnits.number32(text) == nil)
  }

  @Test func nanosecondsOfExtremesDoNotTrap() {
    #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
    #expect(Duration.seconds(-1).wholeNanoseconds == 0)
    #expect(Duration(secondsComponent: 1, attosecondsComponent: 999_999_999_999_999_999).wholeNanoseconds == 1_999_999_999)
  }

  @Test(arguments: [("listners", "listeners"), ("Node", "node"), ("idelTimeout", "idleTimeout"), ("mod", "mode")])
  func nearNamesAreFound(text: String, name: String) {
    #expect(nearest(to: text, among: ["node", "mode", "listeners", "idleTimeout"]) == name)
  }

  @Test(arguments: ["", "zzzz", String(repeating: "n", count: 100_000)])
  func farNamesAreNot(text: String) {
    #expect(nearest(to: text, among: ["node", "mode"]) == nil)
  }

  @Test func editDistances() {
    let distance = { (left: String, right: String) in editDistance(Array(left.utf8), Array(right.utf8)) }
    #expect(distance("", "") == 0)
    #expect(distance("", "abc") == 3)
    #expect(distance("abc", "") == 3)
    #expect(distance("kitten", "sitting") == 3)
    #expect(distance("ab", "ba") == 1)
  }

  @Test func excerptsAreBoundedAndPrintable() {
    #expect(quotedExcerpt("a\"b\\c\n\u{1B}\u{202E}ü") == #""a\"b\\c\n\u{1B}\u{202E}\u{FC}""#)
    #expect(quotedExcerpt(String(repeating: "x", count: 1000)) == "\"\(String(repeating: "x", count: 64))...\"")
  }

  @Test func hostNamesBecomeNodeNames() {
    #expect(HostName.usable(Array("node_1.example".utf8)) == "node_1.example")
    #expect(HostName.usable(Array("a b/c".utf8)) == "a-b-c")
    #expect(HostName.usable([]) == "localhost")
    #expect(ConfigurationFields.isNodeName(HostName.current))
  }
}
