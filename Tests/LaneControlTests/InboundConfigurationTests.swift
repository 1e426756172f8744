import LaneCore
import LaneProxy
import NetEndpoint
import Testing

@testable import LaneControl

@Suite struct InboundConfigurationTests {
  @Test func noneUnlessAsked() {
    let configuration = parse(withListener("inbound:\ntunnels:\n")).configuration
    #expect(configuration?.inbound == Configuration.Inbound() && configuration?.inbound.listen == nil)
    #expect(configuration?.tunnels == [])
  }

  @Test func everyKeyArrives() {
    let parsed = parse(
      """
      inbound: {listen: "0.0.0.0:15312", datanode: "127.0.0.1:17310", dialTimeout: 3s, maxConnections: 7, maxInFlight: 9}
      tunnels:
        - listen: "0.0.0.0:15330"
          peer: "127.0.0.1:17330"
        - {listen: "0.0.0.0:15340", peer: "127.0.0.1:17340"}
      """)
    #expect(parsed.lines == [])
    let inbound = parsed.configuration?.inbound
    #expect(inbound?.listen == Endpoint(address: 0, port: 15312) && inbound?.datanode == Endpoint(address: 0x7F00_0001, port: 17310))
    var limits = InboundLimits()
    limits.maxConnections = 7
    limits.maxInFlight = 9
    limits.dialTimeout = 3_000_000_000
    #expect(inbound.map { InboundLimits($0) } == limits)
    #expect(parsed.configuration?.tunnels.map(\.listen.port) == [15330, 15340])
    #expect(parsed.configuration?.tunnels.map(\.peer.port) == [17330, 17340])
    #expect(parsed.configuration?.outbound.listeners == [])
  }

  /// A sidecar must stand somewhere.
  @Test(arguments: ["", "inbound:", "inbound: {maxInFlight: 5}"])
  func somethingMustListen(text: String) { #expect(parse(text).issues.map(\.path) == ["outbound.listeners"]) }

  @Test(arguments: [
    ("inbound: {listen: \"1.2.3.4:5\"}", "1: inbound.datanode: missing beside inbound.listen (allowed a.b.c.d:port)"),
    ("inbound: {datanode: \"1.2.3.4:5\"}", "1: inbound.listen: missing beside inbound.datanode (allowed a.b.c.d:port)"),
    ("inbound: {listen: \"1.2.3.4:5\", datanode: \"0.0.0.0:5\"}", "1: inbound.datanode: nothing can be dialled there (got \"0.0.0.0:5\";"),
    (
      "inbound: {listen: \"0.0.0.0:5\", datanode: \"127.0.0.1:5\"}",
      "1: inbound.datanode: that is this sidecar's own inbound.listen (got \"127.0.0.1:5\")"
    ),
    (
      "inbound: {listen: \"1.2.3.4:5\", datanod: \"1.2.3.4:6\"}", "1: inbound.datanod: unknown key; did you mean datanode? (allowed listen,"
    ),
    (
      "inbound: {maxInFlight: 0}\ntunnels: [{listen: \"1.2.3.4:5\", peer: \"1.2.3.4:6\"}]",
      "1: inbound.maxInFlight: out of range (got \"0\";"
    ),
    ("tunnels: 5", "1: tunnels: a list is wanted here (got \"5\"; allowed a list, as in [{listen:"),
    ("tunnels: [{listen: \"1.2.3.4:5\"}]", "1: tunnels[0].peer: a required key is missing (allowed a.b.c.d:port)"),
    ("tunnels: [{peer: \"1.2.3.4:5\"}]", "1: tunnels[0].listen: a required key is missing (allowed a.b.c.d:port)"),
    ("tunnels: [5]", "1: tunnels[0]: keys with values are wanted here (got \"5\")"),
    ("tunnels:\n- {listen: \"1.2.3.4:5\", pear: x, peer: \"1.2.3.4:6\"}", "2: tunnels[0].pear: unknown key; did you mean peer?"),
    ("tunnels: [{listen: \"1.2.3.4:5\", peer: \"1.2.3.4:5\"}]", "1: tunnels[0].peer: that is this sidecar's own tunnels[0].listen"),
    (
      "tunnels:\n- {listen: \"1.2.3.4:5\", peer: \"1.2.3.4:6\"}\n- {listen: \"1.2.3.4:5\", peer: \"1.2.3.4:6\"}",
      "3: tunnels[1].listen: the same as tunnels[0].listen (1.2.3.4:5) (got \"1.2.3.4:5\")"
    ),
    (
      "outbound: {listeners: [{listen: \"1.2.3.4:5\", intercept: true}]}\ninbound: {listen: \"0.0.0.0:5\", datanode: \"1.2.3.4:6\"}",
      "2: inbound.listen: 0.0.0.0 stands for all addresses; conflicts with outbound.listeners[0].listen (1.2.3.4:5)"
    ),
    (
      "inbound: {listen: \"127.0.0.1:5\", datanode: \"1.2.3.4:6\"}\nmetrics: {listen: \"127.0.0.1:5\"}",
      "2: metrics.listen: the same as inbound.listen (127.0.0.1:5)"
    ),
  ])
  func eachMistakeHasItsLine(text: String, issue: String) {
    let lines = parse(text).lines
    #expect(lines.first?.hasPrefix(issue) == true, "\(lines)")
  }
}
