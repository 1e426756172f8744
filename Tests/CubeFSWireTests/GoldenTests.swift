import CubeFSWire
import TestBytes
import Testing

/// Packets that the real code of each release wrote: those kept with the tests, and the whole collection where it is at hand.
@Suite struct GoldenTests {
  /// Streams whose writer and reader disagree (`proto/packet.go`: OpRandomWriteVer without a flag is written with VerSeq and
  /// read without): where the reader, eight bytes off, finds no magic.
  static let desynchronised = [
    "v3.4.0/ver_randomwritever_plain": 1_081, "v3.5.3/ver_randomwritever_plain": 1_081,
    "live-v3.5.3/randomwritever_plain_leader.req": 1_081, "live-v3.5.3/randomwritever_plain_leader.rsp": 123,
  ]

  /// Packets whose object held a VerSeq that the writer does not send.
  static let unsentVerSeq: Set<String> = ["v3.4.0/ver_syncrandomwritever_plain", "v3.5.3/ver_syncrandomwritever_plain"]

  /// Payloads whose header carries another CRC: what was sent to provoke an error.
  static let wrongCRC: Set<String> = ["live-v3.3.0/write_bad_crc_follower.req", "live-v3.5.3/write_bad_crc_follower.req"]

  /// Requests that are due no reply.
  static let unanswered: Set<String> = [
    "extentrepairread_size0.rsp", "tinyextentrepairread_past_end.rsp", "tinyextentrepairread_at_end.rsp", "readtinydeleterecord_at_end.rsp",
  ]

  @Test func fixtures() throws {
    let streams = try GoldenFiles.streams(GoldenFiles.fixtures)
    #expect(Set(streams.map(\.folder)).count == 5)
    #expect(streams.count > 400)
    try check(streams)
  }

  @Test(.enabled(if: GoldenFiles.collection != nil)) func wholeCollection() throws {
    let streams = try GoldenFiles.streams(#require(GoldenFiles.collection))
    #expect(streams.count >= 513)
    try check(streams)
    print("whole collection: \(streams.count) streams, \(streams.reduce(0) { $0 + $1.byteCount }) bytes")
  }

  @Test func fixturesInRandomPieces() throws {
    var generator = SeededGenerator(seed: testSeed())
    for stream in try GoldenFiles.streams(GoldenFiles.fixtures) { try checkPieces(stream, &generator) }
  }

  @Test(.enabled(if: GoldenFiles.collection != nil)) func wholeCollectionInRandomPieces() throws {
    var generator = SeededGenerator(seed: testSeed())
    for stream in try GoldenFiles.streams(#require(GoldenFiles.collection)) { try checkPieces(stream, &generator) }
  }

  private func check(_ streams: [GoldenStream]) throws {
    var found: Set<String> = []
    var silent: Set<String> = []
    for stream in streams {
      let name = stream.testDescription
      let bytes = try stream.bytes()
      #expect(bytes.count == stream.byteCount, "\(name)")
      for release in [stream.release, .auto] {
        let framing = Framing.of(bytes, direction: stream.direction, release: release, pieces: [bytes.count])
        if let offset = Self.desynchronised[name] {
          found.insert(name)
          #expect(framing.refusal == .badMagic(observed: bytes[offset]), "\(name)")
          #expect(framing.consumed == offset, "\(name)")
          #expect(framing.packets.count == 1, "\(name)")
          for field in RawReader.layout.map(\.0) {
            #expect(framing.packets.first?[field] == stream.packets.first?.fields[field], "\(name) \(field)")
          }
          continue
        }
        #expect(framing.refusal == nil && !framing.isTruncated, "\(name)")
        #expect(framing.consumed == bytes.count, "\(name)")
        #expect(framing.packets.count == stream.packets.count, "\(name)")
        if stream.packets.isEmpty { silent.insert(stream.name) }
        if let length = stream.headerLength { #expect(framing.packets.first?.headerLength == length, "\(name)") }
        for (packet, expected) in zip(framing.packets, stream.packets) { compare(packet, expected, name) }
        try reencode(framing.packets, bytes, release, name)
      }
    }
    #expect(found == Set(Self.desynchronised.keys))
    #expect(silent == Self.unanswered)
  }

  private func compare(_ packet: RawPacket, _ expected: GoldenPacket, _ name: String) {
    for (field, value) in expected.fields {
      if field == "VerSeq" && Self.unsentVerSeq.contains(name) {
        #expect(packet.fields[field] == nil, "\(name)")
        continue
      }
      // The manifests list 0 for what is not on the wire.
      #expect(packet.fields[field] ?? 0 == value, "\(name) \(field)")
    }
    for (field, value) in packet.fields where expected.fields[field] == nil {
      // A live manifest knows nothing of these two; what is known of its requests is that they belong to no snapshot.
      #expect((field == "VerSeq" && value == 0) || (field == "ProtoVersion" && value == 1), "\(name) \(field)")
    }
    #expect(packet.versions ?? [] == expected.versions, "\(name)")
    #expect(packet.argument == expected.argument ?? [], "\(name)")
    if let length = expected.payloadLength, length == Int(packet["Size"]), !packet.payload.isEmpty || length == 0 {
      #expect(packet.payload.count == length, "\(name)")
      if let payload = expected.payload, payload.count == length { #expect(packet.payload == payload, "\(name)") }
    }
    // CubeFS itself has no text for some: empty, or "op:24 not found".
    if let opcodeName = expected.opcodeName, opcodeName.hasPrefix("Op") {
      #expect(Opcode(UInt8(truncatingIfNeeded: packet["Opcode"])).name == opcodeName, "\(name)")
    }
    let crc = PayloadCRC.of(packet.payload)
    #expect(crc == crc32(packet.payload), "\(name)")
    let result = packet["ResultCode"]
    // An error carries the CRC of what was asked or read; 0 stands where the operation has none.
    if packet["CRC"] != 0 && !packet.payload.isEmpty && (result == 0 || result == 0xF0) {
      #expect((Int128(crc) == packet["CRC"]) != Self.wrongCRC.contains(name), "\(name) CRC")
    }
  }

  private func reencode(_ packets: [RawPacket], _ bytes: [UInt8], _ release: CubeFSRelease, _ name: String) throws {
    var written: [UInt8] = []
    for packet in packets {
      let header = try #require(PacketHeader(parsing: bytes[packet.offset...], release: release), "\(name)")
      #expect(header.headerLength == packet.headerLength, "\(name)")
      let same = RawPacket(
        header, offset: packet.offset, argument: packet.argument, payload: packet.payload, headerLength: packet.headerLength)
      #expect(same == packet, "\(name)")
      written += header.encoded() + packet.argument + packet.payload
    }
    #expect(written == bytes, "\(name)")
  }

  /// Random pieces and single bytes give what the independent reader gives.
  private func checkPieces(_ stream: GoldenStream, _ generator: inout SeededGenerator) throws {
    let bytes = try stream.bytes()
    let expected = RawReader.read(bytes, release: stream.release)
    let splits = [Framing.randomPieces(bytes.count, &generator), Framing.randomPieces(bytes.count, &generator), [1]]
    for pieces in splits {
      let framing = Framing.of(bytes, direction: stream.direction, release: stream.release, pieces: pieces)
      #expect(framing.packets == expected.packets, "\(stream.testDescription)")
      #expect(framing.consumed == expected.consumed, "\(stream.testDescription)")
      #expect((framing.refusal == nil) == (expected.ending != .badMagic), "\(stream.testDescription)")
    }
  }
}
