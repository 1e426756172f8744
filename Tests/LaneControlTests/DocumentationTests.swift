import NetEndpoint
import TestBytes
import Testing

@testable import LaneControl

@Suite struct DocumentationTests {
  /// The promised keys, written out by hand.
  private static let promised = [
    "node", "cubefsRelease", "outbound.listeners[].listen", "outbound.listeners[].intercept", "outbound.listeners[].peer", "outbound.mark",
    "outbound.dialTimeout", "outbound.backOff.initial", "outbound.backOff.maximum", "outbound.shutdownTimeout",
    "inbound.listen", "inbound.datanode", "inbound.dialTimeout", "inbound.maxConnections", "inbound.maxInFlight", "tunnels[].listen",
    "tunnels[].peer", "tunnels[].tls", "tls.certificate", "tls.key", "tls.ca", "tls.crl", "tls.minVersion", "tls.allow",
    "tls.handshakeTimeout",
    "tls.maxHandshakes", "tls.maxHandshakesPerSource", "tls.reloadInterval", "tls.maxConnectionAge", "tls.expiryWarning",
    "tls.downgradeMemory",
    "tls.inbound.mode", "tls.inbound.requireFrom", "tls.inbound.others", "tls.outbound.mode", "tls.outbound.port",
    "tls.outbound.peerName", "tls.outbound.peers[].prefix", "tls.outbound.peers[].mode", "tls.outbound.peers[].port",
    "tls.outbound.peers[].peerName", "judge.mode",
    "judge.classes.<class>", "gate.mode", "gate.slowStream", "gate.resourceLimit", "guard.mode", "guard.atLimit",
    "lanes.default.maxConnections",
    "lanes.default.idleTimeout", "lanes.default.maxLifetime",
    "lanes.default.queueLimit", "lanes.default.queueTimeout", "lanes.<class>.maxConnections", "lanes.<class>.idleTimeout",
    "lanes.<class>.maxLifetime", "lanes.<class>.queueLimit", "lanes.<class>.queueTimeout", "limits.maxConnections", "limits.maxInFlight",
    "limits.argument", "limits.errorText", "limits.pendingOutput", "limits.<opcode>", "timeouts.halfClose", "timeouts.idleCaller",
    "timeouts.keepAlive.idle", "timeouts.keepAlive.interval", "timeouts.keepAlive.count", "timeouts.tcpUser", "timeouts.backPressure",
    "log.path", "log.level", "log.queue", "recorder.directory", "recorder.payload", "recorder.maxFiles", "recorder.maxBytes",
    "recorder.maxAge", "metrics.listen",
  ]
  private static let classes = ["repair-stream", "repair-control", "deletion", "replication", "read", "admin", "other"]

  @Test func exactlyThePromisedKeysAreDocumented() {
    #expect(Configuration.documentation.map(\.path) == Self.promised)
    for key in Configuration.documentation {
      #expect(!key.meaning.isEmpty && !key.unit.isEmpty && !key.allowed.isEmpty && !key.example.isEmpty)
    }
  }

  /// A text that sets one key, the listener aside.
  private func text(_ path: String, _ value: String) -> String {
    var text = value
    for part in path.split(separator: ".").reversed() { text = "{\(part): \(text)}" }
    return text
  }

  @Test func everyDocumentedKeyIsAccepted() {
    for key in Configuration.documentation {
      // Those that need another key beside them follow.
      if key.path.contains("[]") || ["inbound.listen", "inbound.datanode"].contains(key.path) { continue }
      for name in Self.classes {
        let path = key.path.replacing("<class>", with: name).replacing("<opcode>", with: "OpWrite")
        let whole = parse(text(path, key.example))
        // Only the listener may be missing.
        #expect(whole.issues.map(\.path) == ["outbound.listeners"], "\(path): \(whole.lines)")
      }
    }
    for (peer, intercept) in [(true, false), (false, true)] {
      let keys = Configuration.documentation.filter { $0.path.hasPrefix("outbound.listeners[].") }
      let used = keys.filter {
        $0.path.hasSuffix("listen") || $0.path.hasSuffix("peer") && peer || $0.path.hasSuffix("intercept") && intercept
      }
      let pairs = used.map { "\($0.path.split(separator: ".").last ?? ""): \($0.example)" }.joined(separator: ", ")
      #expect(parse("outbound: {listeners: [{\(pairs)}]}").lines == [])
    }
    for (section, opening, closing) in [("inbound", "{", "}"), ("tunnels[]", "[{", "}]")] {
      let keys = Configuration.documentation.filter { $0.path.hasPrefix("\(section).") && ["address"].contains($0.unit) }
      let pairs = keys.map { "\($0.path.split(separator: ".").last ?? ""): \($0.example)" }.joined(separator: ", ")
      #expect(keys.count == 2)
      #expect(parse("\(section.prefix { $0 != "[" }): \(opening)\(pairs)\(closing)").lines == [])
    }
    let peers = Configuration.documentation.filter { $0.path.hasPrefix("tls.outbound.peers[].") }
    let pairs = peers.filter { !$0.path.hasSuffix("mode") }.map { "\($0.path.split(separator: ".").last ?? ""): \($0.example)" }
    #expect(peers.count == 4)
    #expect(parse(withListener("tls: {outbound: {peers: [{\(pairs.joined(separator: ", "))}]}}")).lines == [])
  }

  @Test func aWrongValueOfEveryDocumentedKeyIsRefusedWithWhatIsAllowed() {
    for key in Configuration.documentation where !key.path.contains("[]") {
      let path = key.path.replacing("<class>", with: "read").replacing("<opcode>", with: "OpWrite")
      let issue = parse(text(path, "\"\\x01\"")).issues.first { $0.path == path }
      #expect(issue?.allowed == key.allowed, "\(path)")
      #expect(issue?.got == "\"\\u{1}\"", "\(path)")
    }
  }

  @Test func theDefaultFileYieldsTheDefaults() {
    let parsed = parse(Configuration.printDefault())
    #expect(parsed.lines == [])
    let listener = Configuration.Listener(listen: Endpoint(address: 0, port: 15310), destination: .original)
    #expect(parsed.configuration == Configuration(node: "host", listeners: [listener]))
  }

  @Test func theDefaultFileNamesEveryKeyWithItsDefault() {
    let lines = Configuration.printDefault().split(separator: "\n").map { $0.drop { " -#".contains($0) } }
    for key in Configuration.documentation {
      let leaf = String(key.path.split(separator: ".").last ?? "").replacing("<class>", with: "repair-stream").replacing(
        "<opcode>", with: "OpWrite")
      let setting = "\(leaf): \(key.standard ?? key.example)"
      #expect(lines.contains { $0 == setting }, "\(key.path)")
    }
    #expect(lines.allSatisfy { $0.utf8.count <= 120 })
  }

  @Test func theDefaultFilePassesWithEveryKeySet() {
    let text = Configuration.printDefault().split(separator: "\n", omittingEmptySubsequences: false).map { line in
      let bare = line.drop { $0 == " " }
      guard bare.hasPrefix("#"), let next = bare.dropFirst().first, next != " " else { return String(line) }
      return String(repeating: " ", count: line.count - bare.count) + bare.dropFirst()
    }.joined(separator: "\n")
    let parsed = parse(text)
    #expect(parsed.issues.map(\.path) == ["outbound.listeners[0]"], "\(parsed.lines)")
    #expect(parsed.issues.first?.message == "both intercept: true and peer are set")
    #expect(parse(text.replacing("intercept: true\n", with: "intercept: false\n")).lines == [])
  }

  @Test func mutationsOfTheDefaultFileNeverTrap() {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed of mutationsOfTheDefaultFileNeverTrap: \(seed)")
    var numbers = SeededGenerator(seed: seed)
    let original = Array(Configuration.printDefault().utf8)
    let pieces = [
      "-", "0", "99999999999999999999", "[", "]", "{", "}", ":", "\n", " ", "\"", "&a ", "*a", "null", "\u{0}", "\u{FF}", "? ", "!x ",
      "---\n",
    ]
    .map { Array($0.utf8) }
    for _ in 0..<400 {
      var text = original
      for _ in 0..<Int.random(in: 1...6, using: &numbers) where !text.isEmpty {
        let at = Int.random(in: 0..<text.count, using: &numbers)
        let end = min(text.count, at + Int.random(in: 1...40, using: &numbers))
        switch Int.random(in: 0..<5, using: &numbers) {
        case 0: text[at] = UInt8.random(in: 0...255, using: &numbers)
        case 1: text.removeSubrange(at..<end)
        case 2: text.insert(contentsOf: pieces.randomElement(using: &numbers) ?? [], at: at)
        case 3: text.insert(contentsOf: text[at..<end], at: Int.random(in: 0...text.count, using: &numbers))
        default: text.removeSubrange(at...)
        }
      }
      let (configuration, issues) = Configuration.parse(text, hostName: "host")
      let hasErrors = issues.contains { $0.severity == .error }
      #expect((configuration == nil) == hasErrors, "seed \(seed)")
      for issue in issues {
        #expect(issue.line >= 1 && issue.description.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "seed \(seed): \(issue)")
      }
    }
  }
}
