import CertificateTestSupport
import CubeFSWire
import Glibc
import Testing

/// Certificates change under load: new connections use the new ones, live ones stay, a broken set changes nothing.
@Suite struct RotationTests {
  private static let request = Exemplar.request(0x10, reqID: 2, partition: 8)

  /// Files at fixed paths, whose contents change as an operator's or cert-manager's do.
  private final class Files {
    let directory: String
    var section: TLSSection {
      TLSSection(
        certificate: "\(directory)/live/tls.crt", key: "\(directory)/live/tls.key", authorities: "\(directory)/live/ca.crt",
        inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}")
    }
    private var generation = 0

    init() throws {
      var template = Array("/tmp/lanekeeper-live-XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else { throw ProgramFailure("mkdtemp") }
      directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
      for number in 1...max(1, generation) {
        for name in ["tls.crt", "tls.key", "ca.crt"] { unlink("\(directory)/\(number)/\(name)") }
        rmdir("\(directory)/\(number)")
      }
      unlink("\(directory)/live")
      rmdir(directory)
    }

    /// As Kubernetes does: a new directory, and a symbolic link renamed onto the old one.
    func put(_ issued: TestPKI.Issued, key: String? = nil, authorities: String) throws {
      generation += 1
      let folder = "\(directory)/\(generation)"
      mkdir(folder, 0o700)
      for (name, source) in [("tls.crt", issued.certificate), ("tls.key", key ?? issued.key), ("ca.crt", authorities)] {
        guard symlink(source, "\(folder)/\(name)") == 0 else { throw ProgramFailure("symlink") }
      }
      guard symlink(folder, "\(directory)/next") == 0, rename("\(directory)/next", "\(directory)/live") == 0 else {
        throw ProgramFailure("rename: \(String(cString: strerror(errno)))")
      }
    }
  }

  private static func far(_ files: Files, _ datanode: ScriptedPeer) throws -> Sidecar {
    return try Sidecar(peers: [], .init(datanode: datanode.port, sections: [files.section.text]))
  }

  private static func serial(_ port: UInt16, _ pki: TestPKI, _ client: TestPKI.Issued) throws -> String {
    let output = try OpenSSLClient(port: port, identity: client, authorities: pki.caFile, arguments: ["-showcerts", "-no_ign_eof"]).run()
    return output.split(separator: "\n").first { $0.contains("subject=") }.map { String($0) } ?? output
  }

  @Test func theSwapOfALinkIsSeen() throws {
    let pki = try TestPKI()
    let files = try Files()
    let client = try pki.issue("client.lane.test")
    try files.put(try pki.issue("one.lane.test"), authorities: pki.caFile)
    let datanode = try InboundTests.datanode()
    let far = try Self.far(files, datanode)
    #expect(try Self.serial(far.inboundPort, pki, client).contains("one.lane.test"))
    try files.put(try pki.issue("two.lane.test"), authorities: pki.caFile)
    let loaded = try far.waitFor("tls.loaded", count: 2)
    #expect(loaded.last?["detail"]?.contains("two.lane.test") == true)
    #expect(try Self.serial(far.inboundPort, pki, client).contains("two.lane.test"))
    try far.stop()
  }

  @Test func aBrokenSetKeepsTheOldOneAndIsToldOnce() throws {
    let pki = try TestPKI()
    let files = try Files()
    let client = try pki.issue("client.lane.test")
    let one = try pki.issue("one.lane.test")
    try files.put(one, authorities: pki.caFile)
    let datanode = try InboundTests.datanode()
    let far = try Self.far(files, datanode)
    try files.put(try pki.issue("two.lane.test"), key: one.key, authorities: pki.caFile)
    let line = try far.waitFor("tls.reload-failed").first
    #expect(line?["severity"] == "critical" && line?["detail"]?.contains("key-mismatch") == true)
    #expect(try Self.serial(far.inboundPort, pki, client).contains("one.lane.test"))
    // Asked for again, it says so again.
    far.send(SIGHUP)
    try far.waitFor("tls.reload-failed", count: 2)
    // Mended, it is in force.
    try files.put(try pki.issue("three.lane.test"), authorities: pki.caFile)
    try far.waitFor("tls.loaded", count: 2)
    #expect(try Self.serial(far.inboundPort, pki, client).contains("three.lane.test"))
    try far.stop()
  }

  /// A live connection outlasts the CA that it began with.
  @Test func liveConnectionsStay() throws {
    let pki = try TestPKI()
    let other = try TestPKI()
    let files = try Files()
    try files.put(try pki.issue("one.lane.test"), authorities: pki.caFile)
    let datanode = try InboundTests.datanode()
    let far = try Self.far(files, datanode)
    let near = try Sidecar(
      peers: [far.inboundPort],
      .init(sections: [TLSSection(identity: try pki.issue("near.lane.test"), authorities: pki.caFile, outbound: "{mode: strict}").text]))
    let caller = try StreamSocket(port: near.port)
    #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request))
    try files.put(try other.issue("two.lane.test"), authorities: other.caFile)
    try far.waitFor("tls.loaded", count: 2)
    #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request))
    #expect(datanode.accepted == 1)
    // Another class needs a new one; neither end knows the other's CA any more.
    let stream = Exemplar.request(0x09, reqID: 4, partition: 8)
    let answer = try StreamSocket(port: near.port).ask(stream)
    #expect(answer == nil || answer?.header.resultCode != .ok)
    try near.stop()
    #expect(near.log("tls.refused").count == 1)
    try far.stop()
  }

  /// Handshakes while the files change every 50 ms; no operation fails. LANEKEEPER_HANDSHAKES asks for more of them.
  @Test func noHandshakeFailsWhileCertificatesChange() throws {
    let pki = try TestPKI()
    let files = try Files()
    let identities = try (0..<4).map { try pki.issue("node\($0).lane.test") }
    try files.put(identities[0], authorities: pki.caFile)
    // A repair stream has a connection of its own.
    let stream = RepairStream(blocks: 1, of: 100)
    let datanode = try stream.peer()
    let far = try Self.far(files, datanode)
    let near = try Sidecar(
      peers: [far.inboundPort],
      .init(sections: [
        TLSSection(identity: identities[1], authorities: pki.caFile, outbound: "{mode: strict}").text
      ]))
    let isDone = Shared(false)
    let failed = Shared(0)
    let total = getenv("LANEKEEPER_HANDSHAKES").flatMap { Int(String(cString: $0)) } ?? 2_000
    let port = near.port
    let callers = BlockingThread {
      BlockingThread.run(8) { _ in
        guard let caller = try? StreamSocket(port: port) else { return failed.withLock { $0 += 1 } }
        for number in 0..<total / 8 {
          let request = stream.request(number)
          caller.send(request)
          if !stream.isRead(by: caller, request) { failed.withLock { $0 += 1 } }
        }
      }
      isDone.withLock { $0 = true }
    }
    var rotations = 0
    while !isDone.now {
      rotations += 1
      try files.put(identities[rotations % 4], authorities: pki.caFile)
      if rotations % 8 == 0 { far.send(SIGHUP) }
      _ = poll(nil, 0, 50)
    }
    callers.join()
    #expect(failed.now == 0)
    print("\(datanode.accepted) handshakes, \(rotations) rotations, \(far.log("tls.loaded").count) generations in force")
    #expect(datanode.accepted >= total)
    #expect(far.log("tls.refused").isEmpty && near.log("tls.refused").isEmpty && far.log("tls.reload-failed").isEmpty)
    #expect(far.log("tls.loaded").count > 3)
    try near.stop()
    try far.stop()
  }

  @Test func anApproachingEndIsTold() throws {
    let pki = try TestPKI()
    let datanode = try InboundTests.datanode()
    let soon = try pki.issue("soon.lane.test", validity: .seconds(from: -3600, to: 5 * 86_400))
    let section = TLSSection(
      identity: soon, authorities: pki.caFile, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}", lines: ["expiryWarning: [20, 7, 1]"])
    let far = try Sidecar(peers: [], .init(datanode: datanode.port, sections: [section.text]))
    let line = try far.waitFor("tls.expiring").first
    #expect(line?["severity"] == "warning" && line?["detail"]?.hasPrefix("in less than 7 days: subject CN=soon.lane.test") == true)
    try far.stop()
  }
}
