import LaneJSON
import Testing

@Suite struct JSONWriterTests {
  @Test func nestingPutsCommasWhereTheyBelong() {
    var json = JSONWriter()
    json.object {
      $0.member("a", 1)
      $0.key("b")
      $0.array {
        $0.number(-2)
        $0.object { _ in }
        $0.array { _ in }
        $0.null()
      }
      $0.member("c", true)
      $0.member("d", 1.5)
      $0.member("e", "x")
    }
    #expect(json.text == #"{"a":1,"b":[-2,{},[],null],"c":true,"d":1.5,"e":"x"}"#)
  }

  @Test func textOfAnyKindIsEscaped() {
    var json = JSONWriter()
    json.string("q\" b\\ n\n r\r t\t z\u{0} e\u{1B} d\u{7F} ü 😀")
    #expect(json.text == #""q\" b\\ n\n r\r t\t z\u0000 e\u001b d\u007f ü 😀""#)
  }

  @Test func numbersThatJSONCannotSayAreNull() {
    var json = JSONWriter()
    json.array {
      $0.number(Double.nan)
      $0.number(Double.infinity)
      $0.number(UInt64.max)
      $0.number(Int64.min)
    }
    #expect(json.text == "[null,null,18446744073709551615,-9223372036854775808]")
  }

  @Test func aWriterCanBeUsedAgain() {
    var json = JSONWriter()
    json.array { $0.number(1) }
    json.removeAll()
    json.object { $0.member("k", "v") }
    #expect(json.text == #"{"k":"v"}"#)
  }
}
