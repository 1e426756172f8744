import LaneCore
import Testing

@testable import LaneControl

@Suite struct ConfigurationIssueTests {
  /// One wrong value, and what its only issue must say. `@` stands for the listener's line.
  struct Wrong: CustomTestStringConvertible, Sendable {
    var text: String
    var issue: String

    init(_ text: String, _ issue: String) {
      self.text = text
      self.issue = issue
    }

    var testDescription: String { text }
  }

  @Test(arguments: [
    Wrong("node: \"a b\"", "2: node: not a node name (got \"a b\"; allowed 1 to 255 characters of A-Z a-z 0-9 . _ : -)"),
    Wrong("node: \"\"", "2: node: empty (got \"\"; allowed"),
    Wrong("node:", "2: node: no value; leave the key out for its default (got nothing; allowed"),
    Wrong("node: [a]", "2: node: one value is wanted here (got a list of 1; allowed"),
    Wrong(
      "cubefsRelease: 3.3.1", "2: cubefsRelease: unknown value; did you mean 3.3.0? (got \"3.3.1\"; allowed auto, 3.3.0, 3.4.0, 3.5.3)"),
    Wrong("judge: {mode: enforced}", "2: judge.mode: unknown value; did you mean enforce? (got \"enforced\"; allowed enforce, observe)"),
    Wrong("judge: {classes: {read: off}}", "2: judge.classes.read: unknown value (got \"off\"; allowed enforce, observe)"),
    Wrong("judge: {classes: {raed: observe}}", "2: judge.classes.raed: unknown key; did you mean read? (allowed repair-stream,"),
    Wrong("judge: [observe]", "2: judge: keys with values are wanted here (got a list of 1)"),
    Wrong("lanes: {read: {maxConnections: 0}}", "2: lanes.read.maxConnections: out of range (got \"0\"; allowed 1 to 65535)"),
    Wrong("lanes: {read: {maxConnections: -1}}", "2: lanes.read.maxConnections: not a whole number (got \"-1\"; allowed 1 to 65535)"),
    Wrong("lanes: {default: {maxConnections: 0x10}}", "2: lanes.default.maxConnections: not a whole number (got \"0x10\""),
    Wrong("lanes: {reading: {}}", "2: lanes.reading: unknown key (allowed default, repair-stream, repair-control, deletion,"),
    Wrong(
      "lanes: {other: {queueTimeout: 5}}",
      "2: lanes.other.queueTimeout: a duration needs a unit; write 5s or 5ms (got \"5\"; allowed 1ms to 10m)"),
    Wrong("lanes: {other: {queueTimeout: 1d}}", "2: lanes.other.queueTimeout: not a duration; write a whole number and ms, s, m or h"),
    Wrong("lanes: {other: {idleTimeout: 0s}}", "2: lanes.other.idleTimeout: out of range (got \"0s\"; allowed 10ms to 1h)"),
    Wrong("limits: {OpWrite: 16MB}", "2: limits.OpWrite: not a size; write a whole number of bytes, or one with KiB, MiB or GiB"),
    Wrong("limits: {OpWrite: 4GiB}", "2: limits.OpWrite: out of range (got \"4GiB\"; allowed 0 to 4294967295)"),
    Wrong("limits: {OpWrit: 1MiB}", "2: limits.OpWrit: unknown key; did you mean OpWrite? (allowed maxConnections, maxInFlight, argument,"),
    Wrong("limits: {0x100: 1MiB}", "2: limits.0x100: unknown key"),
    Wrong("limits: {OpWrite: 1MiB, 0x03: 2MiB}", "2: limits.0x03: the same opcode is already limited as limits.OpWrite"),
    Wrong("limits: {0x14: 1MiB, OpOk: 2MiB}", "2: limits.OpOk: limits.0x14 limits these replies already"),
    Wrong("limits: {argument: 1}", "2: limits.argument: out of range (got \"1\"; allowed 1KiB to 16MiB)"),
    Wrong("limits: {pendingOutput: {}}", "2: limits.pendingOutput: one value is wanted here (got a mapping of 0; allowed 4KiB to 64MiB)"),
    Wrong("timeouts: {backPressure: 5s}", "2: timeouts.backPressure: out of range (got \"5s\"; allowed 10ms to 4s)"),
    Wrong("timeouts: {idleCaller: 1ms}", "2: timeouts.idleCaller: out of range (got \"1ms\"; allowed 10ms to 24h, or 0 (never))"),
    Wrong("timeouts: {keepAlive: {idle: 1500ms}}", "2: timeouts.keepAlive.idle: the kernel takes whole seconds here (got \"1500ms\""),
    Wrong("timeouts: {keepAlive: 30s}", "2: timeouts.keepAlive: keys with values are wanted here (got \"30s\")"),
    Wrong("timeouts: {keepAlive: {count: 128}}", "2: timeouts.keepAlive.count: out of range (got \"128\"; allowed 1 to 127)"),
    Wrong("log: {path: \"a\\0b\"}", "2: log.path: not a path (got \"a\\u{0}b\"; allowed \"-\" for standard output"),
    Wrong("log: {level: warn}", "2: log.level: unknown value (got \"warn\"; allowed debug, info, warning, error)"),
    Wrong("log: {levle: info}", "2: log.levle: unknown key; did you mean level? (allowed path, level, queue)"),
    Wrong(
      "mark: 1",
      "2: mark: unknown key; did you mean outbound.mark? (allowed node, cubefsRelease, outbound, inbound, judge, gate, guard, limits, timeouts, log, recorder, metrics, lanes, tunnels, tls)"
    ),
    Wrong(
      "judge: {intercpt: true}", "2: judge.intercpt: unknown key; did you mean outbound.listeners[].intercept? (allowed mode, classes)"),
    Wrong("nodes: a", "2: nodes: unknown key; did you mean node?"),
    Wrong("\"a\\nb\": 1", "2: \"a\\nb\": unknown key (allowed"),
    Wrong("log: {queue: 64KiB}\nlog: {queue: 64KiB}", "3: the key \"log\" is already set on line 2 (column 1)"),
  ])
  func aWrongValueIsNamed(_ wrong: Wrong) {
    let parsed = parse(withListener(wrong.text))
    #expect(parsed.configuration == nil)
    #expect(parsed.lines.count == 1)
    #expect(parsed.lines.first?.hasPrefix(wrong.issue) ?? false, "\(parsed.lines)")
  }

  @Test(arguments: [
    Wrong("mark: 0", "1: outbound.mark: 0 means no mark; leave the key out instead (got \"0\"; allowed 1 to 4294967295"),
    Wrong("mark: 4294967296", "1: outbound.mark: not a number of 32 bits"),
    Wrong("dialTimeout: 2m", "1: outbound.dialTimeout: out of range (got \"2m\"; allowed 1ms to 1m)"),
    Wrong(
      "backOff: {initial: 10s}", "1: outbound.backOff.initial: outbound.backOff.initial is above outbound.backOff.maximum (got 10s and 5s)"),
    Wrong(
      "backOff: {maximum: 1ms}",
      "1: outbound.backOff.maximum: outbound.backOff.initial is above outbound.backOff.maximum (got 100ms and 1ms)"),
    Wrong("listeners: []", "1: the key \"listeners\" is already set on line 1"),
  ])
  func aWrongValueOfTheOutboundSectionIsNamed(_ wrong: Wrong) {
    let parsed = parse(withListener("", outbound: wrong.text))
    #expect(parsed.configuration == nil)
    #expect(parsed.lines.count == 1)
    #expect(parsed.lines.first?.hasPrefix(wrong.issue) ?? false, "\(parsed.lines)")
  }

  @Test(arguments: [
    Wrong("", "1: outbound.listeners: a required key is missing (allowed a list of one listener or more"),
    Wrong("outbound:", "1: outbound.listeners: a required key is missing"),
    Wrong("outbound: {listeners: }", "1: outbound.listeners: at least one listener is required (got nothing"),
    Wrong("outbound: {listeners: []}", "1: outbound.listeners: at least one listener is required (got a list of 0"),
    Wrong("outbound: {listeners: {listen: 1.2.3.4:5}}", "1: outbound.listeners: at least one listener is required (got a mapping of 1"),
    Wrong("outbound: {listeners: [1.2.3.4:5]}", "1: outbound.listeners[0]: keys with values are wanted here (got \"1.2.3.4:5\")"),
    Wrong("outbound: {listeners: [~]}", "1: outbound.listeners[0].listen: a required key is missing"),
    Wrong(
      "outbound: {listeners: [{intercept: true}]}", "1: outbound.listeners[0].listen: a required key is missing (allowed a.b.c.d:port)"),
    Wrong(
      "outbound: {listeners: [{listen: 1.2.3.4, intercept: true}]}",
      "1: outbound.listeners[0].listen: not an IPv4 address and port (got \"1.2.3.4\""),
    Wrong("outbound: {listeners: [{listen: 1.2.3.4:5}]}", "1: outbound.listeners[0]: neither intercept: true nor peer is set"),
    Wrong(
      "outbound: {listeners: [{listen: 1.2.3.4:5, intercept: false}]}", "1: outbound.listeners[0]: neither intercept: true nor peer is set"),
    Wrong(
      "outbound: {listeners: [{listen: 1.2.3.4:5, intercept: true, peer: 1.2.3.5:6}]}",
      "1: outbound.listeners[0]: both intercept: true and peer are set (allowed exactly one of"),
    Wrong(
      "outbound: {listeners: [{listen: 1.2.3.4:5, intercept: yes}]}",
      "1: outbound.listeners[0].intercept: not a flag (got \"yes\"; allowed true, false)"),
    Wrong(
      "outbound: {listeners: [{listen: 1.2.3.4:5, intercept: \"true\"}]}", "1: outbound.listeners[0].intercept: write it without quotes"),
    Wrong("outbound: {listeners: [{listen: 1.2.3.4:5, peer: 0.0.0.0:6}]}", "1: outbound.listeners[0].peer: nothing can be dialled there"),
    Wrong("outbound: {listeners: [{listen: 1.2.3.4:5, peer: 1.2.3.4:0}]}", "1: outbound.listeners[0].peer: nothing can be dialled there"),
    Wrong(
      "outbound: {listeners: [{listen: 1.2.3.4:5, peer: 1.2.3.4:5}]}",
      "1: outbound.listeners[0].peer: the peer is this sidecar's own outbound.listeners[0].listen"),
    Wrong(
      "outbound:\n  listeners:\n  - {listen: 1.2.3.4:5, intercept: true}\n  - {listen: 1.2.3.4:5, peer: 1.1.1.1:1}",
      "4: outbound.listeners[1].listen: the same as outbound.listeners[0].listen (1.2.3.4:5) (got \"1.2.3.4:5\")"),
    Wrong(
      "outbound:\n  listeners:\n  - {listen: 1.2.3.4:5, intercept: true}\n  - {listen: 0.0.0.0:5, peer: 1.1.1.1:1}",
      "4: outbound.listeners[1].listen: 0.0.0.0 stands for all addresses; conflicts with outbound.listeners[0].listen (1.2.3.4:5)"),
    Wrong(
      "outbound:\n  listeners:\n  - {listen: 0.0.0.0:5, intercept: true}\n  - {listen: 1.2.3.4:5, peer: 1.1.1.1:1}",
      "4: outbound.listeners[1].listen: 0.0.0.0 stands for all addresses"),
    Wrong("just text", "1: keys with values are wanted here (got \"just text\")"),
  ])
  func aWrongListenerIsNamed(_ wrong: Wrong) {
    let parsed = parse(wrong.text)
    #expect(parsed.configuration == nil)
    #expect(parsed.lines.first?.hasPrefix(wrong.issue) ?? false, "\(parsed.lines)")
    if wrong.text != "just text" { #expect(parsed.lines.count == 1, "\(parsed.lines)") }
  }

  @Test func listenersOnDifferentAddressesOrOnAnyFreePortDoNotConflict() {
    let parsed = parse(
      "outbound: {listeners: [{listen: 127.0.0.1:5, intercept: true}, {listen: 127.0.0.2:5, intercept: true}, "
        + "{listen: 127.0.0.1:0, intercept: true}, {listen: 127.0.0.1:0, intercept: true}]}")
    #expect(parsed.lines == [])
    #expect(parsed.configuration?.outbound.listeners.count == 4)
  }

  @Test func allErrorsComeAtOnceInTheOrderOfTheText() {
    let parsed = parse(
      """
      node: a b
      outbound:
        mark: x
        listeners:
          - listen: 127.0.0.1:1
            peer: nowhere
          - listen: 127.0.0.1:1
            intercept: true
            extra: 1
      judge: {mode: off, mode: on}
      lanes:
        read: {idleTimeout: 1h, maxLifetime: 1m}
      unknown: 1
      """)
    #expect(parsed.configuration == nil)
    let places = parsed.issues.filter { $0.severity == .error }.map { "\($0.line) \($0.path)" }
    #expect(
      places == [
        "1 node", "3 outbound.mark", "6 outbound.listeners[0].peer", "7 outbound.listeners[1].listen", "9 outbound.listeners[1].extra",
        "10 ", "10 judge.mode", "12 lanes.read.idleTimeout", "13 unknown",
      ])
  }

  @Test func idleLongerThanLifeIsNamedOnceAtTheKeyThatDecides() {
    let common = parse(withListener("lanes:\n  default:\n    idleTimeout: 20s\n    maxLifetime: 20s\n"))
    #expect(common.lines == ["4: lanes.default.idleTimeout: idleTimeout must be below maxLifetime (got 20s and 20s)"])
    let own = parse(withListener("lanes:\n  default:\n    maxLifetime: 20s\n    idleTimeout: 10s\n  read:\n    idleTimeout: 21s\n"))
    #expect(own.lines == ["7: lanes.read.idleTimeout: idleTimeout must be below maxLifetime (got 21s and 20s)"])
    let againstDefault = parse(withListener("lanes: {read: {maxLifetime: 25s}}"))
    #expect(againstDefault.lines == ["2: lanes.read.maxLifetime: idleTimeout must be below maxLifetime (got 25s and 25s)"])
  }

  @Test func longIdleTimeoutsWarnAndPass() {
    let parsed = parse(withListener("lanes:\n  default: {idleTimeout: 30s}\n  read: {idleTimeout: 29s}\n"))
    #expect(parsed.configuration?.lanes[.read].idleTimeout == .seconds(29))
    #expect(parsed.issues.map(\.severity) == [.warning])
    #expect(parsed.lines.first?.hasPrefix("3: lanes.default.idleTimeout: warning: CubeFS servers and callers drop") ?? false)
  }

  @Test func aSyntaxErrorStandsAlone() {
    let parsed = parse("node: a b\njudge: [\n")
    #expect(parsed.configuration == nil)
    #expect(parsed.lines.count == 1)
    #expect(parsed.lines.first?.hasPrefix("3: not YAML: ") ?? false, "\(parsed.lines)")
  }

  @Test func theNumberOfIssuesIsBounded() {
    let parsed = parse((0..<40_000).map { "k\($0): 1\n" }.joined())
    #expect(parsed.configuration == nil)
    #expect(parsed.issues.count == 201)
    #expect(parsed.lines.last == "200: 39801 more issues are not shown")
  }

  @Test func longValuesAreCutInMessages() {
    let parsed = parse(withListener("node: \"\(String(repeating: "é", count: 5000))\""))
    #expect(parsed.lines.allSatisfy { $0.utf8.count < 700 })
  }
}
