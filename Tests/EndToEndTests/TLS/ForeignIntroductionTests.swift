import CertificateTestSupport
import CubeFSWire
import Glibc
import TestBytes
import Testing

/// The header that begins a sidecar's connection, from others: by hand through OpenSSL's client, and HAProxy's own.
@Suite struct ForeignIntroductionTests {
  private static let stamp: Int64 = 0x4000_0000_0000_0001
  /// Of that stamp in the process of `HandMadeHeader`, by hand: the stamp's top 12 of 63 bits are 0x800.
  private static let operation = "11223344-5566-8800-bc40-000000000001"

  private static func far(_ datanode: ScriptedPeer, _ lines: [String] = []) throws -> Sidecar {
    let section = Certificates.section(Certificates.far, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}", lines)
    return try Sidecar(
      peers: [], .init(datanode: datanode.port, sections: [section.text, "metrics: {listen: \"127.0.0.1:0\"}"], level: "debug"))
  }

  private static func request(_ reqID: Int64) -> WirePacket { Exemplar.request(0x10, reqID: reqID, partition: 8) }

  private static func refusals(_ far: Sidecar) throws -> Double? {
    Scrape(try HTTP.get(try far.metricsPort(), "/metrics").text).sum("lanekeeper_tls_refused_total", ["direction": "inbound"])
  }

  // MARK: Served

  /// The request comes in the header's own record: not a byte of it is lost, and none is taken for the header's.
  @Test(arguments: ["-tls1_3", "-tls1_2"]) func aHeaderAndARequestInOneRecord(version: String) throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, ["minVersion: \"1.2\""])
    let client = try OpenSSLTalk(port: far.inboundPort, [version])
    let first = Self.request(Self.stamp)
    try client.send(HandMadeHeader().bytes + first.bytes)
    var answers = Exemplar.reply(to: first).bytes
    #expect(try client.receive(answers.count) == answers)
    // What no sidecar puts there keeps an id of the far one's.
    for other in [0, -5, .min].map(Self.request) {
      try client.send(other.bytes)
      answers += Exemplar.reply(to: other).bytes
      #expect(try client.receive(answers.count) == answers)
    }
    let lines = try far.waitFor("operation.finished", count: 4)
    #expect(lines.allSatisfy { $0["origin"] == HandMadeHeader.source })
    #expect(lines.map { $0["callerReqID"] } == ["\(Self.stamp)", "0", "-5", "\(Int64.min)"])
    #expect(lines[0]["operation"] == Self.operation && lines[0]["stamp"] == "\(Self.stamp)")
    for line in lines.dropFirst() {
      #expect(line["operation"]?.hasPrefix("11223344-5566-8") == false && line["stamp"] != line["callerReqID"])
    }
    #expect(far.log("tls.refused").isEmpty)
    try far.stop()
  }

  @Test func aHeaderInRecordsOfOneByte() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode)
    let client = try OpenSSLTalk(port: far.inboundPort)
    let request = Self.request(Self.stamp)
    try client.send(HandMadeHeader().bytes + request.bytes, records: 1)
    let answer = Exemplar.reply(to: request).bytes
    #expect(try client.receive(answer.count) == answer)
    #expect(try far.waitFor("operation.finished").first?["operation"] == Self.operation)
    try far.stop()
  }

  /// LOCAL: a sidecar that speaks for itself. And what a header has besides is passed over.
  @Test func headersThatTellLess() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode)
    let request = Self.request(Self.stamp)
    let answer = Exemplar.reply(to: request).bytes
    for header in [HandMadeHeader(command: 0x20), HandMadeHeader(fields: [4, 0, 2, 0, 0, 5, 0, 3, 1, 2, 3])] {
      let client = try OpenSSLTalk(port: far.inboundPort)
      try client.send(header.bytes + request.bytes)
      #expect(try client.receive(answer.count) == answer)
    }
    let lines = try far.waitFor("operation.finished", count: 2)
    #expect(lines.map { $0["origin"] } == [nil, HandMadeHeader.source])
    #expect(lines.allSatisfy { $0["operation"]?.hasPrefix("11223344") == false })
    try far.stop()
  }

  /// Who does not offer our protocol, or others besides, is served as ever.
  @Test func whoOffersOtherProtocols() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode)
    let request = Self.request(Self.stamp)
    let answer = Exemplar.reply(to: request).bytes
    for offers in [nil, "h2,http/1.1", "lanekeeper/2,lanekeeper", "h2,lanekeeper/1"] as [String?] {
      let client = try OpenSSLTalk(port: far.inboundPort, offers: offers)
      try client.send((offers == "h2,lanekeeper/1" ? HandMadeHeader().bytes : []) + request.bytes)
      #expect(try client.receive(answer.count) == answer, "\(offers ?? "none")")
    }
    #expect(try far.waitFor("operation.finished", count: 4).map { $0["origin"] } == [nil, nil, nil, HandMadeHeader.source])
    #expect(far.log("tls.refused").isEmpty)
    try far.stop()
  }

  // MARK: Refused

  struct Bad: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var detail: String
    /// It says goodbye behind its bytes.
    var ends = false
    var testDescription: String { name }
  }

  static let bad: [Bad] = [
    Bad(name: "HTTP", bytes: Array("GET / HTTP/1.1\r\n\r\n".utf8), detail: "no PROXY header"),
    Bad(name: "CubeFS", bytes: request(7).bytes, detail: "no PROXY header"),
    Bad(name: "version 1", bytes: Array("PROXY TCP4 192.0.2.1 10.0.12.1 1 2\r\n".utf8), detail: "no PROXY header"),
    Bad(name: "one wrong byte", bytes: [0], detail: "no PROXY header"),
    Bad(name: "checksum", bytes: HandMadeHeader(flip: 0x100).bytes, detail: "CRC32c"),
    Bad(name: "too long", bytes: HandMadeHeader(length: 521).bytes, detail: "of 537 bytes"),
    Bad(name: "far too long", bytes: Array(HandMadeHeader(length: 65_535).bytes.prefix(16)), detail: "of 65551 bytes"),
    Bad(name: "short process bits", bytes: HandMadeHeader(fields: [0xE0, 0, 2, 1, 2]).bytes, detail: "TLV 0xE0 of 2 bytes"),
    Bad(name: "truncated", bytes: Array(HandMadeHeader().bytes.prefix(20)), detail: "ended after 20 bytes", ends: true),
    Bad(name: "nothing and goodbye", bytes: [], detail: "ended after 0 bytes", ends: true),
  ]

  @Test(arguments: bad) func aBadHeaderIsRefused(bad: Bad) throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, ["handshakeTimeout: 60s"])
    let before = try Self.refusals(far)
    let client = try OpenSSLTalk(port: far.inboundPort, endsWithInput: bad.ends)
    try client.send(bad.bytes)
    if bad.ends { #expect(try client.finish() == []) }
    let line = try far.waitFor("tls.refused").first
    #expect(line?["reason"] == "proxy-header" && line?["severity"] == "warning" && line?["direction"] == "inbound")
    #expect(line?["detail"]?.contains(bad.detail) == true, "\(line?["detail"] ?? "no detail")")
    #expect(try client.finish() == [])
    #expect(before == 0)
    #expect(try Self.refusals(far) == 1)
    #expect(datanode.accepted == 0)
    // Others are served.
    let next = try OpenSSLTalk(port: far.inboundPort)
    let request = Self.request(Self.stamp)
    try next.send(HandMadeHeader().bytes + request.bytes)
    #expect(try next.receive(1).first == 0xFF)
    try far.stop()
  }

  @Test(arguments: [0, 1, 15, 16, 45]) func aHeaderThatDoesNotComeIsRefusedInTime(count: Int) throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, ["handshakeTimeout: 3s"])
    let client = try OpenSSLTalk(port: far.inboundPort)
    try client.send(Array(HandMadeHeader().bytes.prefix(count)))
    let line = try far.waitFor("tls.refused").first
    #expect(line?["reason"] == "tls-timeout" && line?["detail"] == "\(count) bytes of the PROXY header came", "\(line?.text ?? "")")
    #expect(try client.finish() == [])
    #expect(datanode.accepted == 0)
    try far.stop()
  }

  /// A header is believed from nobody whose certificate is not good.
  @Test func aHeaderFromAStrangerIsNotRead() throws {
    let pki = try TestPKI()
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode)
    let client = try OpenSSLTalk(port: far.inboundPort, identity: pki.issue("near.lane.test"))
    try client.send(HandMadeHeader().bytes + Self.request(Self.stamp).bytes)
    let line = try far.waitFor("tls.refused").first
    #expect(line?["reason"] == "tls-unknown-issuer")
    #expect(datanode.accepted == 0 && far.log("operation.finished").isEmpty)
    try far.stop()
  }

  // MARK: HAProxy

  /// It sends its header in front of TLS: so one of its proxies makes the header, and a second one puts all of that into TLS.
  @Test(arguments: ["", "proxy-v2-options crc32c,unique-id,authority"]) func haproxysHeaderIsRead(options: String) throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode)
    let (outer, inner) = (try Stunnel.freePort(), try Stunnel.freePort())
    let haproxy = try HAProxy(
      identity: Certificates.near,
      """
      frontend plain
        bind 127.0.0.1:\(outer)
        unique-id-format lane-%ci:%cp
        default_backend header
      backend header
        server self 127.0.0.1:\(inner) send-proxy-v2 \(options)
      frontend secure
        bind 127.0.0.1:\(inner)
        default_backend tls
      backend tls
        server far 127.0.0.1:\(far.inboundPort) ssl crt PEM ca-file \(Certificates.pki.caFile) verify required alpn lanekeeper/1
      """)
    try withExtendedLifetime(haproxy) {
      let caller = try StreamSocket(port: outer)
      let request = Self.request(Self.stamp)
      #expect(caller.ask(request) == Exemplar.reply(to: request))
      let line = try far.waitFor("operation.finished").first
      #expect(line?["origin"] == "127.0.0.1:\(try caller.localPort())")
    }
    try far.stop()
  }

  /// What it has read of our header it says in its own words, the protocol's first version; it verifies the checksum.
  @Test func ourHeaderIsReadByHAProxy() throws {
    let (outer, inner) = (try Stunnel.freePort(), try Stunnel.freePort())
    let said = Shared<[String]>([])
    let datanode = try ScriptedPeer { socket, _ in
      var line: [UInt8] = []
      while line.last != UInt8(ascii: "\n"), line.count < 108, let byte = socket.receive(1).bytes.first { line.append(byte) }
      said.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
    let haproxy = try HAProxy(
      identity: Certificates.far,
      """
      frontend secure
        bind 127.0.0.1:\(outer) ssl crt PEM ca-file \(Certificates.pki.caFile) verify required alpn lanekeeper/1
        default_backend header
      backend header
        server self 127.0.0.1:\(inner)
      frontend header
        bind 127.0.0.1:\(inner) accept-proxy
        default_backend datanode
      backend datanode
        server datanode 127.0.0.1:\(datanode.port) send-proxy
      """)
    try withExtendedLifetime(haproxy) {
      let near = try Sidecar(
        peers: [outer], .init(sections: [Certificates.section(Certificates.near, outbound: "{mode: strict}").text]))
      let caller = try StreamSocket(port: near.port)
      let request = Self.request(3)
      #expect(caller.ask(request) == Exemplar.reply(to: request))
      #expect(said.now == ["PROXY TCP4 127.0.0.1 127.0.0.1 \(try caller.localPort()) \(outer)\r\n"])
      try near.stop()
    }
  }
}
