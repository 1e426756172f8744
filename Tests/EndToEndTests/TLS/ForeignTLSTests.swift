import CertificateTestSupport
import CubeFSWire
import Glibc
import Testing

/// Other people's TLS against ours: OpenSSL's own client and server, and stunnel on either side.
@Suite struct ForeignTLSTests {
  private static let request = Exemplar.request(0x10, reqID: 2, partition: 8)

  private static func far(_ datanode: ScriptedPeer, _ lines: [String] = []) throws -> Sidecar {
    let section = Certificates.section(Certificates.far, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}", lines)
    return try Sidecar(peers: [], .init(datanode: datanode.port, sections: [section.text]))
  }

  private static func client(_ far: Sidecar, _ arguments: [String]) throws -> String {
    try OpenSSLClient(port: far.inboundPort, identity: Certificates.near, authorities: Certificates.pki.caFile, arguments: arguments).run()
  }

  /// `-no_ign_eof`: the client ends with its input, politely.
  @Test func versionsSuitesAndResumption() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode)
    let good = try Self.client(far, ["-no_ign_eof", "-tls1_3"])
    #expect(good.contains("New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256") && good.contains("Verify return code: 0 (ok)"), "\(good)")
    #expect(!good.contains("New Session Ticket arrived") && good.contains("No ALPN negotiated"))
    for arguments in [["-tls1_2"], ["-tls1_1"], ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"]] {
      let found = try Self.client(far, arguments)
      #expect(found.contains("alert"), "\(arguments): \(found)")
    }
    try far.waitFor("tls.refused", reason: "tls-nothing-in-common", count: 2)
    try far.stop()

    let old = try Self.far(datanode, ["minVersion: \"1.2\""])
    let found = try Self.client(old, ["-no_ign_eof", "-tls1_2"])
    #expect(found.contains("New, TLSv1.2, Cipher is ECDHE-ECDSA-AES") && found.contains("GCM"), "\(found)")
    #expect(found.contains("Compression: NONE") && !found.contains("TLS session ticket:"))
    for weak in ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"] {
      #expect(try Self.client(old, ["-tls1_2", "-cipher", weak]).contains("alert"), "\(weak)")
    }
    #expect(try Self.client(old, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).contains("alert"))
    try old.stop()
  }

  /// A session that a client kept is not taken up again.
  @Test(arguments: ["1.2", "1.3"]) func nothingIsResumed(version: String) throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, ["minVersion: \"1.2\""])
    let flag = version == "1.2" ? "-tls1_2" : "-tls1_3"
    let found = try Self.client(far, ["-no_ign_eof", "-reconnect", flag])
    #expect(found.contains("New, TLSv\(version)"), "\(found)")
    #expect(!found.contains("Reused,"), "\(found)")
    try far.stop()
  }

  /// stunnel before a plain caller, ours before the datanode.
  @Test func stunnelAsTheClient() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode)
    let stunnel = try Stunnel(isClient: true, identity: Certificates.near, authorities: Certificates.pki.caFile, connect: far.inboundPort)
    let caller = try stunnel.connected()
    for opcode in [0x10, 0x66, 0x68] as [UInt8] {
      let request = Exemplar.request(opcode, reqID: 9, partition: 4)
      #expect(caller.ask(request) == Exemplar.reply(to: request))
    }
    // Its close-notify is an end, and no truncation.
    caller.hangUp()
    #expect(eventually { datanode.living == 0 })
    #expect(far.log("tls.refused").isEmpty)
    let accounting = try far.stop()
    #expect(accounting.delivered == 3)
  }

  /// Ours before the caller, stunnel before the peer's datanode.
  @Test func stunnelAsTheServer() throws {
    let stream = RepairStream(blocks: 20, of: 131_072)
    let datanode = try stream.peer()
    let stunnel = try Stunnel(isClient: false, identity: Certificates.far, authorities: Certificates.pki.caFile, connect: datanode.port)
    let near = try Sidecar(
      peers: [stunnel.port], .init(sections: [Certificates.section(Certificates.near, outbound: "{mode: strict}").text]))
    let caller = try StreamSocket(port: near.port)
    let request = stream.request(3)
    caller.send(request)
    #expect(stream.isRead(by: caller, request))
    #expect(try StreamSocket(port: near.port).ask(Self.request) == Exemplar.reply(to: Self.request))
    try near.stop()
  }
}
