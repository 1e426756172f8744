import CertificateTestSupport
import CubeFSWire
import Glibc
import Testing

/// SIGHUP reads the configuration again: `tls` is in force for what is connected from then on.
@Suite struct ReconfigurationTests {
  private static let request = Exemplar.request(0x10, reqID: 2, partition: 8)
  private static let strict = "{mode: strict, requireFrom: [127.0.0.0/8]}"
  private static let metrics = "metrics: {listen: \"127.0.0.1:0\"}"

  private static func near(_ mode: String) -> String { Certificates.section(Certificates.near, outbound: "{mode: \(mode)}").text }
  private static func far(_ mode: String) -> String { Certificates.section(Certificates.far, inbound: "{mode: \(mode)}").text }

  private static func isServed(_ port: UInt16) throws -> Bool { try StreamSocket(port: port).ask(request) == Exemplar.reply(to: request) }

  /// How many connections spoke what, of one direction.
  private static func count(_ sidecar: Sidecar, _ direction: String, _ spoken: String) throws -> Double? {
    Scrape(try HTTP.get(try sidecar.metricsPort(), "/metrics").text).sum(
      "lanekeeper_tls_connections_total", ["direction": direction, "protocol": spoken])
  }

  /// From nothing to TLS and back, while one caller's connection stays and is served all the time.
  @Test func tlsComesAndGoesWithoutARestart() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Hop(datanode: datanode.port, near: nil, far: nil, more: [Self.metrics])
    let caller = try StreamSocket(port: hop.near.port)
    func ask() { #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request)) }
    ask()
    #expect(try hop.far.reconfigure([Self.far("permissive"), Self.metrics])["detail"] == "tls is in force for new connections")
    ask()
    #expect(try Self.count(hop.near, "outbound", "tls") ?? 0 == 0)

    try hop.near.reconfigure([Self.near("strict"), Self.metrics])
    // The lane's idle connection was in plain: it is not used again.
    ask()
    #expect(try Self.count(hop.near, "outbound", "tls") == 1)

    // Plain is refused now where it was served before; the caller who is here goes on.
    #expect(try Self.isServed(hop.far.inboundPort))
    try hop.far.reconfigure([Certificates.section(Certificates.far, inbound: Self.strict).text, Self.metrics])
    let plain = try StreamSocket(port: hop.far.inboundPort)
    plain.send(Self.request)
    #expect(plain.receiveToEnd() == ([], .reset))
    try hop.far.waitFor("tls.refused", reason: "tls-required")
    ask()

    try hop.far.reconfigure([Self.metrics])
    try hop.near.reconfigure([Self.metrics])
    ask()
    #expect(try Self.isServed(hop.far.inboundPort))
    #expect(try hop.stop().errorReply == 0)
  }

  /// A lane's connection that is in use at the time goes on to its reply, and is not used again.
  @Test func whatIsInUseEndsAsItBegan() throws {
    let asked = Shared(0)
    let answers = Shared(false)
    let datanode = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        asked.withLock { $0 += 1 }
        guard eventually({ answers.now }) else { return }
        socket.send(Exemplar.reply(to: request))
      }
    }
    let hop = try Hop(
      datanode: datanode.port, near: Certificates.section(Certificates.near, outbound: "{mode: off}"),
      far: Certificates.section(Certificates.far, inbound: "{mode: permissive}"), more: [Self.metrics])
    let caller = try StreamSocket(port: hop.near.port)
    caller.send(Self.request)
    #expect(eventually { asked.now == 1 })
    try hop.near.reconfigure([Self.near("strict"), Self.metrics])
    answers.withLock { $0 = true }
    #expect(caller.receivePacket() == Exemplar.reply(to: Self.request))
    #expect(try Self.count(hop.near, "outbound", "tls") ?? 0 == 0)
    #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request))
    #expect(try Self.count(hop.near, "outbound", "tls") == 1)
    try hop.stop()
  }

  /// What cannot be used changes nothing, and is an alert that says why.
  @Test func whatCannotBeUsedIsRefused() throws {
    let datanode = try InboundTests.datanode()
    let hop = try Hop(
      datanode: datanode.port, near: Certificates.section(Certificates.near, outbound: "{mode: strict}"),
      far: Certificates.section(Certificates.far, inbound: Self.strict))
    let wrong: [(text: String, says: String)] = [
      ("tls: {outbound: {mode: strcit}}", "tls.outbound.mode"),
      ("tls: {outbound: {mode: strict}}", "tls.certificate"),
      (
        TLSSection(
          certificate: Certificates.near.certificate, key: Certificates.far.key, authorities: Certificates.pki.caFile,
          outbound: "{mode: strict}"
        ).text, Certificates.far.key
      ),
      ("outbound: [", "lanekeeper.yaml"),
    ]
    for (text, says) in wrong {
      let line = try hop.near.reconfigure([text])
      #expect(line["event"] == "configuration.refused" && line["severity"] == "critical", "\(line.text)")
      #expect(line["detail"]?.contains(says) == true, "\(line.text)")
      #expect(try Self.isServed(hop.near.port))
    }
    #expect(try StreamSocket(port: hop.far.inboundPort).ask(Self.request) == nil, "plain is still refused")
    try hop.stop()
  }

  /// What needs a restart is named, and stays as it was.
  @Test func whatNeedsARestartIsNamed() throws {
    let datanode = try InboundTests.datanode()
    let sidecar = try Sidecar(peers: [datanode.port], .init())
    let line = try sidecar.reconfigure(["limits: {maxConnections: 1}", "timeouts: {halfClose: 3s}"])
    #expect(line["event"] == "configuration.loaded")
    #expect(line["detail"] == "tls is as it was; after a restart: limits, timeouts")
    let first = try StreamSocket(port: sidecar.port)
    #expect(first.ask(Self.request) != nil)
    #expect(try Self.isServed(sidecar.port))
    try sidecar.stop()
  }

  /// Other files are other certificates: those of another authority are taken from then on, the old ones refused.
  @Test func otherFilesAreUsed() throws {
    let datanode = try InboundTests.datanode()
    let other = try TestPKI()
    let nearIdentity = try other.issue("near.lane.test", addresses: ["127.0.0.1"])
    let farIdentity = try other.issue("far.lane.test", addresses: ["127.0.0.1"])
    let hop = try Hop(
      datanode: datanode.port, near: Certificates.section(Certificates.near, outbound: "{mode: strict}"),
      far: Certificates.section(Certificates.far, inbound: Self.strict))
    #expect(try Self.isServed(hop.near.port))
    try hop.far.reconfigure([TLSSection(identity: farIdentity, authorities: other.caFile, inbound: Self.strict).text])
    // The lane's live connection goes on; a new one is refused.
    #expect(try Self.isServed(hop.near.port))
    try hop.near.reconfigure([TLSSection(identity: nearIdentity, authorities: other.caFile, outbound: "{mode: strict}").text])
    #expect(try Self.isServed(hop.near.port))
    #expect(hop.far.log("tls.refused").isEmpty)
    try hop.near.reconfigure([Self.near("strict")])
    #expect(try !Self.isServed(hop.near.port))
    try hop.near.waitFor("tls.refused", reason: "tls-unknown-issuer")
    try hop.near.stop()
    try hop.far.stop()
  }
}
