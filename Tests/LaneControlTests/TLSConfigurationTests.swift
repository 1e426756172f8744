import LaneCore
import NetEndpoint
import Testing

@testable import LaneControl

@Suite struct TLSConfigurationTests {
  private static let files = "certificate: c.pem, key: k.pem, ca: ca.pem, allow: [\"dns:*.storage.example\"]"
  private static let inbound = "inbound: {listen: \"0.0.0.0:15312\", datanode: \"127.0.0.1:17310\"}"

  @Test(arguments: [
    "", "tls:", "tls: {}", "tls: {inbound: , outbound: }", "tls: {inbound: {mode: off}, outbound: {mode: off}}", "tls: {\(files)}",
    "tls: {outbound: {peers: [{prefix: 10.0.0.0/8}]}}", "tls: {outbound: {peers: }}",
  ])
  func offUnlessAMode(text: String) throws {
    let parsed = parse(withListener(text))
    #expect(parsed.lines == [])
    #expect(try #require(parsed.configuration).tls == nil)
  }

  /// The promised defaults, written out by hand.
  @Test func whatIsLeftOutHasItsDefault() throws {
    let parsed = parse(withListener("tls: {\(Self.files), outbound: {mode: strict}}"))
    #expect(parsed.lines == [])
    let tls = try #require(parsed.configuration?.tls)
    #expect(tls.certificate == "c.pem" && tls.key == "k.pem" && tls.ca == "ca.pem" && tls.crl == nil)
    #expect(tls.minVersion == .v1_3)
    #expect(tls.allow.patterns.map(\.description) == ["dns:*.storage.example"])
    #expect(tls.handshakeTimeout == .seconds(5))
    #expect(tls.maxHandshakes == 256 && tls.maxHandshakesPerSource == 128)
    #expect(tls.reloadInterval == .seconds(60))
    #expect(tls.maxConnectionAge == .zero)
    #expect(tls.expiryWarning == [30, 7, 1])
    #expect(tls.downgradeMemory == .seconds(60))
    #expect(tls.inbound == InboundTLSPolicy())
    #expect(tls.inbound.mode == .off && tls.inbound.requireFrom == [] && tls.inbound.others == .plain)
    #expect(tls.outbound.standard.mode == .strict && tls.outbound.standard.port == 0 && tls.outbound.standard.peerName == .any)
    #expect(tls.outbound.peers.count == 0)
  }

  @Test func everyKeyArrives() throws {
    let parsed = parse(
      withListener(
        """
        \(Self.inbound)
        tls:
          certificate: /tls/c.pem
          key: /tls/k.pem
          ca: /tls/ca.pem
          crl: /tls/crl.pem
          minVersion: 1.2
          allow:
            - dns:a.storage.example
            - dns:*.storage.example
            - uri:spiffe://prod.example/node/a
            - trustDomain:prod.example
          handshakeTimeout: 250ms
          maxHandshakes: 8
          maxHandshakesPerSource: 3
          reloadInterval: 0
          maxConnectionAge: 12h
          expiryWarning: [1, 90, 14]
          downgradeMemory: 5m
          inbound:
            mode: strict
            requireFrom: [10.0.12.0/24, 10.0.13.7]
            others: refuse
          outbound:
            peers:
              - {prefix: 10.0.12.0/24, mode: prefer}
              - {prefix: 10.0.12.9, port: 0, peerName: "dns:nine.storage.example"}
              - {prefix: 0.0.0.0/0, mode: off}
            mode: strict
            port: 15312
            peerName: address
        """))
    #expect(parsed.lines == [])
    let tls = try #require(parsed.configuration?.tls)
    #expect([tls.certificate, tls.key, tls.ca, tls.crl] == ["/tls/c.pem", "/tls/k.pem", "/tls/ca.pem", "/tls/crl.pem"])
    #expect(tls.minVersion == .v1_2)
    #expect(
      tls.allow.patterns.map(\.description) == [
        "dns:a.storage.example", "dns:*.storage.example", "uri:spiffe://prod.example/node/a", "trustDomain:prod.example",
      ])
    #expect(tls.handshakeTimeout == .milliseconds(250))
    #expect(tls.maxHandshakes == 8 && tls.maxHandshakesPerSource == 3)
    #expect(tls.reloadInterval == .zero)
    #expect(tls.maxConnectionAge == .seconds(43_200))
    #expect(tls.expiryWarning == [90, 14, 1])
    #expect(tls.downgradeMemory == .seconds(300))
    #expect(tls.inbound.mode == .strict && tls.inbound.others == .refuse)
    #expect(tls.inbound.requireFrom.map(\.description) == ["10.0.12.0/24", "10.0.13.7/32"])
    // What a peer's rule leaves out is the standard's, wherever that stands in the text.
    let rule = tls.outbound.rule(for: 0x0A00_0C01)
    #expect(rule.mode == .prefer && rule.port == 15312 && rule.peerName == .address)
    let nine = tls.outbound.rule(for: 0x0A00_0C09)
    #expect(nine.mode == .strict && nine.port == 0 && nine.peerName.description == "dns:nine.storage.example")
    #expect(tls.outbound.rule(for: 1).mode == .off)
    #expect(tls.outbound.standard.mode == .strict)
  }

  @Test func tunnelsMayAskForTLS() {
    let tunnel = "tunnels: [{listen: \"0.0.0.0:15330\", peer: \"127.0.0.1:17330\", tls: accept}]"
    let parsed = parse("\(tunnel)\ntls: {\(Self.files)}")
    #expect(parsed.lines == [])
    #expect(parsed.configuration?.tunnels.first?.tls == .accept && parsed.configuration?.tls != nil)
    let without = parse(tunnel).lines
    #expect(without.count == 4 && without[0].hasPrefix("1: tls.certificate: required where tunnels[0].tls is accept"), "\(without)")
    let wrong = parse(tunnel.replacing("accept", with: "acept")).lines
    #expect(wrong == ["1: tunnels[0].tls: unknown value; did you mean accept? (got \"acept\"; allowed off, accept, connect)"])
  }

  @Test func aListOfWarningsMayBeEmpty() {
    let parsed = parse(withListener("tls: {\(Self.files), expiryWarning: [], outbound: {mode: prefer}}"))
    #expect(parsed.lines == [])
    #expect(parsed.configuration?.tls?.expiryWarning == [])
  }

  /// One wrong thing, and the beginning of its only issue. The listener is on line 1, `inbound` on line 2.
  @Test(arguments: [
    ("tls: 5", "3: tls: keys with values are wanted here (got \"5\")"),
    ("tls: {certificat: a}", "3: tls.certificat: unknown key; did you mean certificate?"),
    ("tls: {key: \"\"}", "3: tls.key: empty (got \"\"; allowed a path of at most 4095 bytes"),
    ("tls: {crl: \"a\\nb\"}", "3: tls.crl: not a path (got \"a\\nb\"; allowed a path"),
    ("tls: {crl: \"\"}", "3: tls.crl: empty (got"),
    ("tls: {minVersion: 1.1}", "3: tls.minVersion: unknown value; did you mean 1.2? (got \"1.1\"; allowed 1.2, 1.3)"),
    ("tls: {handshakeTimeout: 0}", "3: tls.handshakeTimeout: out of range (got \"0\"; allowed 10ms to 1m)"),
    ("tls: {maxHandshakesPerSource: many}", "3: tls.maxHandshakesPerSource: not a whole number (got \"many\"; allowed 1 to 65536)"),
    ("tls: {maxHandshakes: 0}", "3: tls.maxHandshakes: out of range (got \"0\"; allowed 1 to 65536)"),
    ("tls: {reloadInterval: 1ms}", "3: tls.reloadInterval: out of range (got \"1ms\"; allowed 1s to 24h, or 0 (on SIGHUP only))"),
    // Lists.
    ("tls: {allow: \"dns:a\"}", "3: tls.allow: a list is wanted here (got \"dns:a\"; allowed a list of 1 to 1024, each dns:NAME,"),
    ("tls: {allow: }", "3: tls.allow: no value; leave the key out for its default (got nothing; allowed a list"),
    ("tls: {allow: []}", "3: tls.allow: an empty list (got a list of 0; allowed a list of 1 to 1024,"),
    ("tls:\n  allow:\n    - dns:a.example\n    - a.example", "6: tls.allow[1]: the kind of name is not told (got \"a.example\"; allowed"),
    ("tls: {allow: [[a]]}", "3: tls.allow[0]: one value is wanted here (got a list of 1; allowed"),
    ("tls: {allow: [~]}", "3: tls.allow[0]: one value is wanted here (got \"~\"; allowed"),
    ("tls: {allow: [\"dns:a*\"]}", "3: tls.allow[0]: * may stand only once in tls.allow, as the whole first label"),
    ("tls: {allow: [\"dns:a.example\", \"dns:A.example\"]}", "3: tls.allow[1]: already in the list (got \"dns:A.example\""),
    ("tls: {expiryWarning: [7, 0]}", "3: tls.expiryWarning[1]: out of range (got \"0\"; allowed a list of 0 to 16, each a whole number"),
    ("tls: {expiryWarning: [7d]}", "3: tls.expiryWarning[0]: not a whole number (got \"7d\""),
    ("tls: {expiryWarning: [7, 7]}", "3: tls.expiryWarning[1]: already in the list (got \"7\""),
    (
      "tls: {expiryWarning: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
      "3: tls.expiryWarning: too many entries (got a list of 17; allowed a list of 0 to 16,"
    ),
    // Directions.
    ("tls: {inbound: {mode: prefer}}", "3: tls.inbound.mode: unknown value (got \"prefer\"; allowed off, permissive, strict)"),
    ("tls: {outbound: {mode: permissive}}", "3: tls.outbound.mode: unknown value (got \"permissive\"; allowed off, prefer, strict)"),
    ("tls: {inbound: {others: deny}}", "3: tls.inbound.others: unknown value (got \"deny\"; allowed plain, refuse)"),
    (
      "tls: {inbound: {requireFrom: [10.0.12.1/24]}}",
      "3: tls.inbound.requireFrom[0]: bits beyond the length are set; write 10.0.12.0/24 (got \"10.0.12.1/24\"; allowed a list of 1 to"
    ),
    ("tls: {inbound: {requireFrom: []}}", "3: tls.inbound.requireFrom: an empty list"),
    ("tls: {inbound: {requireFrom: [10.0.0.1, 10.0.0.1/32]}}", "3: tls.inbound.requireFrom[1]: already in the list"),
    ("tls: {outbound: {port: 65536}}", "3: tls.outbound.port: out of range (got \"65536\"; allowed 0 to 65535; 0: the one the caller"),
    ("tls: {outbound: {peerName: a.example}}", "3: tls.outbound.peerName: the kind of name is not told; put dns: before it (got"),
    // Rules of peers.
    ("tls: {outbound: {peers: 5}}", "3: tls.outbound.peers: a list is wanted here (got \"5\"; allowed a list of at most 1024, as in"),
    ("tls: {outbound: {peers: [5]}}", "3: tls.outbound.peers[0]: keys with values are wanted here (got \"5\")"),
    ("tls: {outbound: {peers: [~]}}", "3: tls.outbound.peers[0].prefix: a required key is missing (allowed a.b.c.d/length or a.b.c.d)"),
    ("tls: {outbound: {peers: [{mode: off}]}}", "3: tls.outbound.peers[0].prefix: a required key is missing"),
    ("tls: {outbound: {peers: [{prefix: 10.0.0.0/33}]}}", "3: tls.outbound.peers[0].prefix: the length behind / is not a whole number"),
    ("tls: {outbound: {peers: [{prefix: 10.0.0.0/8, prot: 1}]}}", "3: tls.outbound.peers[0].prot: unknown key; did you mean port?"),
    (
      "tls:\n  outbound:\n    peers:\n      - prefix: 10.0.0.1\n      - prefix: 10.0.0.1/32",
      "7: tls.outbound.peers[1].prefix: the same addresses as tls.outbound.peers[0].prefix (got 10.0.0.1/32)"
    ),
    // Keys that need one another.
    (
      "tls:\n  key: k\n  ca: c\n  allow: [\"dns:a\"]\n  outbound: {mode: prefer}",
      "7: tls.certificate: required where tls.outbound.mode is prefer (allowed a path"
    ),
    (
      "tls:\n  certificate: c\n  ca: c\n  allow: [\"dns:a\"]\n  inbound: {mode: permissive}",
      "7: tls.key: required where tls.inbound.mode is permissive (allowed a path"
    ),
    (
      "tls:\n  certificate: c\n  key: k\n  allow: [\"dns:a\"]\n  outbound:\n    peers: [{prefix: 10.0.0.0/8, mode: strict}]",
      "8: tls.ca: required where tls.outbound.peers is not off for some (allowed a path"
    ),
    (
      "tls:\n  certificate: c\n  key: k\n  ca: c\n  outbound: {mode: strict}",
      "7: tls.allow: required where tls.outbound.mode is strict (allowed a list of 1 to 1024, each dns:NAME,"
    ),
    (
      "tls: {\(files), inbound: {mode: strict, others: plain}}",
      "3: tls.inbound.others: without tls.inbound.requireFrom there are no others: every source must speak TLS (got \"plain\"; allowed refuse,"
    ),
  ])
  func eachMistakeIsNamedOnce(text: String, issue: String) {
    let parsed = parse(withListener("\(Self.inbound)\n\(text)"))
    #expect(parsed.configuration == nil)
    #expect(parsed.lines.count == 1, "\(parsed.lines)")
    #expect(parsed.lines.first?.hasPrefix(issue) == true, "\(parsed.lines)")
  }

  @Test func aWrongFileNameIsNotMissingToo() {
    let parsed = parse(withListener("tls: {certificate: \"\", key: k, ca: c, allow: [x], outbound: {mode: strict}}"))
    #expect(parsed.issues.map(\.path) == ["tls.certificate", "tls.allow[0]"])
  }

  @Test func everyWrongEntryOfAListIsNamed() {
    let parsed = parse(withListener("tls: {inbound: {requireFrom: [a, 10.0.0.0/8, 1.2.3.4/40]}}"))
    #expect(parsed.issues.map(\.path) == ["tls.inbound.requireFrom[0]", "tls.inbound.requireFrom[2]"])
  }

  @Test(arguments: ["permissive", "strict"])
  func inboundTLSNeedsAnInbound(mode: String) {
    let parsed = parse(withListener("tls: {\(Self.files), inbound: {mode: \(mode)}}"))
    #expect(
      parsed.lines == [
        "2: tls.inbound.mode: there is no inbound.listen to speak TLS on (got \"\(mode)\"; allowed off, or inbound.listen and "
          + "inbound.datanode beside it)"
      ])
  }

  @Test func strictWithoutARuleWarnsOfPlainClients() {
    let parsed = parse(withListener("\(Self.inbound)\ntls:\n  \(Self.files.replacing(", ", with: "\n  "))\n  inbound: {mode: strict}"))
    #expect(parsed.configuration?.tls?.inbound.mode == .strict)
    #expect(parsed.issues.map(\.severity) == [.warning])
    #expect(parsed.lines.first?.hasPrefix("8: tls.inbound.mode: warning: every source must speak TLS, and CubeFS clients,") == true)
    #expect(parsed.lines.first?.contains("tls.inbound.requireFrom") == true)
  }

  @Test(arguments: [
    "{mode: strict, others: refuse}", "{mode: strict, requireFrom: [10.0.12.0/24]}",
    "{mode: strict, requireFrom: [0.0.0.0/0], others: plain}",
    "{mode: permissive}",
  ])
  func whatIsMeantDoesNotWarn(inbound: String) {
    let parsed = parse(withListener("\(Self.inbound)\ntls: {\(Self.files), inbound: \(inbound)}"))
    #expect(parsed.lines == [])
    #expect(parsed.configuration?.tls != nil)
  }
}
