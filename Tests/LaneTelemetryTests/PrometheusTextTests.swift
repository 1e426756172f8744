import LaneTelemetry
import Testing

@Suite struct PrometheusTextTests {
  private func written(_ body: (inout PrometheusText) -> Void) -> String {
    var text = PrometheusText()
    body(&text)
    return String(decoding: text.text, as: UTF8.self)
  }

  @Test func aFamilyHasHelpTypeAndSamples() {
    let text = written {
      $0.family("a_total", .counter, "What it counts.")
      $0.sample(value: 3 as UInt64)
      $0.sample(("event", "reply.dropped"), ("class", ""), value: UInt64.max)
      $0.family("b", .gauge, "A level.")
      $0.sample(value: 1.5)
    }
    #expect(
      text == """
        # HELP a_total What it counts.
        # TYPE a_total counter
        a_total 3
        a_total{event="reply.dropped",class=""} 18446744073709551615
        # HELP b A level.
        # TYPE b gauge
        b 1.5

        """)
  }

  /// The page of the format: label values escape backslash, quote and line feed; help escapes backslash and line feed only.
  @Test func whatTheFormatUsesItselfIsEscaped() {
    let text = written {
      $0.family("a", .gauge, "back\\slash \"quoted\"\nnext")
      $0.sample(("l", "a\\b\"c\nd é"), value: 0 as UInt64)
    }
    #expect(
      text == "# HELP a back\\\\slash \"quoted\"\\nnext\n# TYPE a gauge\na{l=\"a\\\\b\\\"c\\nd é\"} 0\n")
  }

  @Test func bucketsAreCumulative() {
    let text = written {
      $0.family("w_seconds", .histogram, "Waits.")
      $0.histogram(bounds: [1_000, 1_000_000, 2_500_000_000], counts: [1, 0, 4, 2], sum: 7_000_000_500)
    }
    #expect(
      text == """
        # HELP w_seconds Waits.
        # TYPE w_seconds histogram
        w_seconds_bucket{le="1e-06"} 1
        w_seconds_bucket{le="0.001"} 1
        w_seconds_bucket{le="2.5"} 5
        w_seconds_bucket{le="+Inf"} 7
        w_seconds_sum 7.0000005
        w_seconds_count 7

        """)
  }

  @Test(arguments: [(Double.infinity, "+Inf"), (-Double.infinity, "-Inf"), (.nan, "NaN"), (0, "0.0"), (-0.25, "-0.25")])
  func numbersAreThoseOfTheFormat(value: Double, expected: String) {
    #expect(written { $0.sample(value: value) } == " \(expected)\n")
  }
}
