import CubeFSWire
import TestBytes
import Testing

/// Ports, releases, damage, captures that hold only parts, and bytes at random.
@Suite(.timeLimit(.minutes(10)))
struct WiresharkCaptureKindsTests {
  private static let applied = Exemplar.request(0x10, reqID: 1, partition: 7)

  @Test func anotherPortIsFoundByItsBytesOrByThePreference() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000, to: 17_399)
    connection.ask(Self.applied.bytes)
    connection.answer(Exemplar.reply(to: Self.applied).bytes, pieces: [20])
    // Too little at once for the heuristic.
    capture.connect(from: 40_001, to: 17_398).ask(Self.applied.bytes, pieces: [20])
    #expect(try Tshark.layers(capture).map(\.port) == [40_000, 40_000])
    #expect(try Tshark.layers(capture, ["-2", "-o", "cubefs.ports:17300-17398"]).map(\.port) == [40_000, 40_000, 40_001])
  }

  @Test func anotherProtocolOnThePortIsLeftAlone() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    // A ClientHello's record header: TLS knows it where we do not.
    connection.ask([0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3] + pattern(194))
    connection.answer(Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8))
    for options in [[], ["-2"]] { #expect(try Tshark.layers(capture, options).isEmpty) }
    #expect(try Tshark.lines(capture, ["-Y", "tls.record"]).count == 1)
  }

  /// 69 bytes of header, or 57 and twelve of payload.
  @Test(arguments: [("auto", 69), ("3.5.3", 69), ("3.4.0", 57), ("3.3.0", 57)])
  func theReleaseDecidesWhatFlagsMean(release: String, header: Int) throws {
    var request = Self.applied
    request.header.opcode = Opcode(0x07)
    request.header.extentType = 0x11
    request.header.verSeq = 0x1122_3344_5566_7788
    request.header.protoVersion = 1
    request.payload = Array("[]".utf8)
    request.header.size = 2
    let capture = Capture()
    capture.connect(from: 40_000).ask(request.bytes)
    let layer = try #require(Tshark.layers(capture, ["-o", "cubefs.release:\(release)"]).first)
    #expect(layer["ver_seq"] == (header == 69 ? "1234605616436508552" : nil))
    #expect(layer.bytes("payload") == (header == 69 ? Array("[]".utf8) : [0x11, 0x22]))
    #expect(layer["extent_type.protocol_version"] == "1" && layer["extent_type.normal"] == "1")
  }

  @Test func aWrongPayloadIsToldAndARightOneIsNot() throws {
    let read = WirePacket.request(0x09, reqID: 1, size: 3 * 1_000)
    let payload = pattern(1_000)
    var wrong = read.block(at: 0, payload).bytes
    wrong[57 + 999] ^= 0x80
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    connection.ask(read.bytes)
    connection.answer(read.block(at: 0, payload).bytes)
    let frame = connection.answer(wrong)
    for options in [[], ["-2"]] {
      let layers = try Tshark.layers(capture, options)
      #expect(layers.map { $0["crc.status"] } == [nil, "1", "0"])
      #expect(layers.map { Set($0.experts.keys) } == [[], [], ["crc.bad"]])
      #expect(layers[2].number("crc.computed") == Int128(crc32(wrong.dropFirst(57))))
    }
    #expect(try Tshark.information(capture)[frame]?.hasSuffix("[bad CRC]") == true)
    #expect(try Tshark.layers(capture, ["-o", "cubefs.check_crc:FALSE"]).map { $0["crc.status"] } == [nil, "2", "2"])
  }

  /// Every length modulo the step of the sum.
  @Test func checksumsAreRightWhateverTheLength() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    for length in 1...67 {
      let write = WirePacket.request(0x03, reqID: Int64(length)) {
        $0.payload = pattern(length, seed: length)
        $0.header.crc = crc32($0.payload)
      }
      connection.ask(write.bytes)
    }
    #expect(try Tshark.layers(capture).map { $0["crc.status"] } == [String?](repeating: "1", count: 67))
  }

  @Test func bytesOfNoPacketAreToldAndTheNextPacketIsFound() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    connection.ask(Self.applied.bytes)
    connection.answer(Exemplar.reply(to: Self.applied).bytes)
    let garbage = Array("no packet".utf8) + [0xFF, 0xFF, 0xFF]
    connection.ask(garbage + Self.applied.with(reqID: 2).bytes)
    for options in [[], ["-2"]] {
      let layers = try Tshark.layers(capture, options)
      #expect(layers.map { $0["req_id"] } == ["1", "1", nil, "2"])
      #expect(layers[2].experts == ["no_packet": "12 bytes of no packet: magic is 0x6E, not 0xFF"])
      #expect(layers[2].bytes("undissected") == garbage)
    }
  }

  @Test func lengthsThatNoPacketHasAreNoPackets() throws {
    for (change, reason) in [
      ({ $0.argLength = 65_537 } as (inout PacketHeader) -> Void, "ArgLen is 65537"), ({ $0.size = 4_097 }, "Size is 4097"),
      (
        {
          $0.extentType = 0x41
          $0.versions = [PacketHeader.Version](repeating: .init(sequence: 1, deletionTime: 0, status: 1), count: 3_856)
        }, "the version list has 3856 entries"
      ),
    ] {
      let capture = Capture()
      let connection = capture.connect(from: 40_000)
      connection.ask(Self.applied.bytes)
      var header = Self.applied.header
      change(&header)
      connection.ask(Array(header.encoded().prefix(60)))
      let layers = try Tshark.layers(capture)
      #expect(layers.count == 2 && layers.last?.experts["no_packet"]?.hasSuffix(reason) == true, "\(layers.last?.experts ?? [:])")
    }
  }

  /// Segments that cannot be joined: a packet is shown by its header, its rest is known by sequence number.
  @Test func withoutReassemblyEachHeaderIsStillRead() throws {
    let read = WirePacket.request(0x09, reqID: 1, size: 400_000)
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    connection.ask(read.bytes)
    for offset in stride(from: Int64(0), to: 400_000, by: 100_000) {
      connection.answer(read.block(at: offset, pattern(100_000, seed: Int(offset))).bytes, pieces: [1_448])
    }
    connection.ask(Self.applied.with(reqID: 2).bytes)
    for options in [[], ["-2"]] {
      let layers = try Tshark.layers(capture, options + ["-o", "tcp.desegment_tcp_streams:FALSE"]).filter { !$0.fields.isEmpty }
      #expect(layers.map { $0["extent_offset"] } == ["1048576", "0", "100000", "200000", "300000", "1048576"])
      #expect(layers.map { Set($0.experts.keys) } == [[], ["cut"], ["cut"], ["cut"], ["cut"], []])
    }
  }

  /// `tcpdump -s`: where a header was cut away nothing is known, and nothing is an error.
  @Test(arguments: [54, 55, 60, 110, 111, 120, 150, 1_000])
  func aCaptureOfFirstBytesHasNoErrors(snapLength: Int) throws {
    let capture = Capture(snapLength: snapLength)
    let connection = capture.connect(from: 40_000)
    for reqID in Int64(1)...4 {
      let read = WirePacket.request(0x09, reqID: reqID, size: 200_000)
      connection.ask(read.bytes)
      connection.answer(read.block(at: 0, pattern(100_000)).bytes + read.block(at: 100_000, pattern(100_000)).bytes, pieces: [1_448])
    }
    for options in [[], ["-2"]] {
      let layers = try Tshark.layers(capture, options)
      let experts = layers.reduce(into: Set<String>()) { $0.formUnion($1.experts.keys) }
      #expect(experts.isSubset(of: ["cut", "before_capture"]), "\(experts)")
      #expect(layers.filter { $0["request"] == "1" }.count == (snapLength < 111 ? 0 : 4))
    }
  }

  /// What tcpdump dropped: a request that is missing is nobody's fault, nor are replies that nobody counted.
  @Test func whereSegmentsAreMissingNothingIsAFault() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    func exchange(_ reqID: Int64, isCaptured: Bool = true) {
      let request = Self.applied.with(reqID: reqID)
      if isCaptured { connection.ask(request.bytes) } else { connection.lose(request.bytes.count) }
      connection.answer(Exemplar.reply(to: request).bytes)
    }
    exchange(1)
    exchange(2, isCaptured: false)
    exchange(3)
    for options in [[], ["-2"]] {
      let layers = try Tshark.layers(capture, options)
      #expect(layers.map { $0["req_id"] } == ["1", "1", "2", "3", "3"])
      #expect(layers.map { Set($0.experts.keys) } == [[], [], ["before_capture"], [], []])
    }
  }

  /// Random bytes, flipped bits, cut and doubled packets, lost segments, odd pieces, short captures: no error of the script.
  @Test func noBytesBreakTheScript() throws {
    var generator = SeededGenerator(seed: testSeed())
    let streams = try (GoldenManifest.built + GoldenManifest.live).flatMap(GoldenManifest.streams)
      .filter { !$0.bytes.isEmpty && $0.bytes.count < 20_000 }
    let settings = [
      [], ["-o", "tcp.desegment_tcp_streams:FALSE"], ["-o", "tcp.reassemble_out_of_order:TRUE"], ["-o", "cubefs.release:3.3.0"],
    ]
    var layers = 0
    for round in 0..<16 {
      let snapLength = [262_144, 262_144, 54, 80, 100, 111, 120, 150, 300].randomElement(using: &generator) ?? 54
      let capture = Capture(snapLength: snapLength)
      for index in 0..<80 {
        let port = Bool.random(using: &generator) ? 17_310 : 17_399
        let connection = index % 4 == 0 ? capture.resume(from: 20_000 + index, to: port) : capture.connect(from: 20_000 + index, to: port)
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
          guard let stream = streams.randomElement(using: &generator) else { continue }
          let bytes = Self.damaged(stream.bytes, &generator)
          let pieces = (0..<10).map { _ in [1, 7, 57, 60, 100, 500, 5_000, 60_000].randomElement(using: &generator) ?? 1 } + [1_460]
          if Int.random(in: 0..<10, using: &generator) == 0 { connection.lose(Int.random(in: 1...200, using: &generator)) }
          if stream.isRequest { connection.ask(bytes, pieces: pieces) } else { connection.answer(bytes, pieces: pieces) }
        }
      }
      for options in [[], ["-2"]] {
        let output = try Tshark.run(capture, settings[round % settings.count] + options + ["-V", "-O", "cubefs"])
        layers += String(decoding: output, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("CubeFS datanode protocol") }.count
      }
    }
    #expect(layers > 1_000)
  }

  private static func damaged(_ original: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    switch Int.random(in: 0..<6, using: &generator) {
    case 0:
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let bound = min(bytes.count, [57, 80, bytes.count].randomElement(using: &generator) ?? 1)
        bytes[Int.random(in: 0..<bound, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      }
    case 1: bytes = generator.bytes(Int.random(in: 1...3_000, using: &generator))
    case 2: bytes = Array(bytes.prefix(Int.random(in: 1...bytes.count, using: &generator)))
    case 3:
      let position = Int.random(in: 0...bytes.count, using: &generator)
      bytes.insert(contentsOf: generator.bytes(Int.random(in: 1...100, using: &generator)), at: position)
    case 4: bytes = [UInt8](repeating: 0xFF, count: Int.random(in: 1...300, using: &generator)) + bytes
    default: break
    }
    return bytes
  }
}
