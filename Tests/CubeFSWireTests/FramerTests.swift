import CubeFSWire
import TestBytes
import Testing

/// The framer against an independent reader, over made-up streams of every dialect, and over noise.
@Suite struct FramerTests {
  /// Opcodes with a rule of their own, and some without.
  static let opcodes: [UInt8] = [0x01, 0x03, 0x04, 0x05, 0x09, 0x14, 0x15, 0x17, 0x18, 0x59, 0x5A, 0xB3, 0x07, 0xF0, 0x1F]

  private func randomPacket(_ direction: FrameDirection, _ release: CubeFSRelease, _ generator: inout SeededGenerator) -> [UInt8] {
    var header = PacketHeader()
    header.opcode = Opcode(Self.opcodes.randomElement(using: &generator) ?? 0)
    header.extentType = UInt8.random(in: 0...255, using: &generator)
    let results: [UInt8] = direction == .request ? [0] : [0xF0, 0xF0, 0xF3, 0]
    header.resultCode = ResultCode(results.randomElement(using: &generator) ?? 0)
    header.remainingFollowers = .random(in: 0...255, using: &generator)
    header.crc = .random(in: 0 ... .max, using: &generator)
    header.partitionID = .random(in: 0 ... .max, using: &generator)
    header.extentID = .random(in: 0 ... .max, using: &generator)
    header.extentOffset = .random(in: .min ... .max, using: &generator)
    header.reqID = .random(in: .min ... .max, using: &generator)
    header.kernelOffset = .random(in: 0 ... .max, using: &generator)
    header.argLength = [0, 0, 17, 17, 1, 34, 1_000].randomElement(using: &generator) ?? 0
    let payload = Int.random(in: 0...([0, 1, 30, 3_000].randomElement(using: &generator) ?? 0), using: &generator)
    header.size = UInt32(payload)
    // The table of the releases once more, so that the stream is right whatever the framer believes.
    let flags = release == .v3_3_0 ? 0 : header.extentType & (release == .v3_4_0 ? 0xC0 : 0xD0)
    if flags & 0x90 != 0 { header.verSeq = .random(in: 0 ... .max, using: &generator) }
    if flags & 0x10 != 0 { header.protoVersion = .random(in: 0 ... .max, using: &generator) }
    if flags & 0x40 != 0 {
      header.versions = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
        PacketHeader.Version(
          sequence: .random(in: 0 ... .max, using: &generator), deletionTime: .random(in: 0 ... .max, using: &generator),
          status: .random(in: 0...255, using: &generator))
      }
    }
    var reads: Set<UInt8> = [0x04, 0x05, 0x06, 0x09, 0x14, 0x15]
    if release != .v3_3_0 { reads.insert(0x17) }
    if release != .v3_4_0 { reads.insert(0x59) }
    let body = header.resultCode == .initial && reads.contains(header.opcode.rawValue) ? 0 : payload
    let tail = (0..<Int(header.argLength) + body).map { _ in UInt8.random(in: 0...255, using: &generator) }
    return header.encoded() + tail
  }

  @Test(arguments: CubeFSRelease.allCases) func randomStreamsOfEveryDialect(release: CubeFSRelease) {
    var generator = SeededGenerator(seed: testSeed())
    for direction in [FrameDirection.request, .reply] {
      for _ in 0..<40 {
        let count = Int.random(in: 0...12, using: &generator)
        let stream = (0..<count).flatMap { _ in randomPacket(direction, release, &generator) }
        let expected = RawReader.read(stream, release: release)
        #expect(expected.ending == .clean && expected.packets.count == count)
        for pieces in [[max(1, stream.count)], Framing.randomPieces(stream.count, &generator), [1]] {
          let framing = Framing.of(stream, direction: direction, release: release, pieces: pieces)
          #expect(framing.packets == expected.packets)
          #expect(framing.consumed == stream.count)
          #expect(framing.refusal == nil && !framing.isTruncated)
        }
      }
    }
  }

  @Test func everyTruncationIsSeen() {
    var generator = SeededGenerator(seed: testSeed())
    for release in CubeFSRelease.allCases {
      let packet = randomPacket(.reply, release, &generator)
      for length in 1..<packet.count {
        let framing = Framing.of(Array(packet[..<length]), direction: .reply, release: release, pieces: [7])
        #expect(framing.isTruncated && framing.packets.isEmpty && framing.refusal == nil)
      }
    }
  }

  /// Damaged streams: the framer ends, takes no more than there is, and agrees with the reader up to where it refuses.
  @Test func damagedStreamsNeverTrap() {
    var generator = SeededGenerator(seed: testSeed())
    for round in 0..<1_500 {
      let release = CubeFSRelease.allCases.randomElement(using: &generator) ?? .auto
      let direction: FrameDirection = Bool.random(using: &generator) ? .request : .reply
      var stream = (0..<Int.random(in: 1...4, using: &generator)).flatMap { _ in randomPacket(direction, release, &generator) }
      switch round % 3 {
      case 0:
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
          let index = Int.random(in: 0..<stream.count, using: &generator)
          stream[index] ^= 1 << UInt8.random(in: 0...7, using: &generator)
        }
      case 1:
        // Damage to the first header is what decides framing.
        for _ in 0..<3 { stream[Int.random(in: 1..<57, using: &generator)] = .random(in: 0...255, using: &generator) }
      default:
        for index in stream.indices where index % 97 != 0 { stream[index] = .random(in: 0...255, using: &generator) }
        stream[0] = 0xFF
      }
      check(stream, direction, release, &generator)
    }
  }

  private func check(_ stream: [UInt8], _ direction: FrameDirection, _ release: CubeFSRelease, _ generator: inout SeededGenerator) {
    let expected = RawReader.read(stream, release: release)
    let limits = FrameLimits(versions: .max)
    let pieces = Framing.randomPieces(stream.count, &generator)
    let framing = Framing.of(stream, direction: direction, release: release, limits: limits, pieces: pieces)
    let atOnce = Framing.of(stream, direction: direction, release: release, limits: limits, pieces: [stream.count])
    #expect(framing.packets == atOnce.packets && framing.refusal == atOnce.refusal)
    #expect(framing.consumed <= stream.count)
    // A call takes a byte, or is the last of its piece.
    #expect(framing.calls <= stream.count + pieces.count + 1)
    switch framing.refusal {
    case .badMagic:
      #expect(expected.ending == .badMagic && expected.consumed == framing.consumed)
      #expect(framing.packets == expected.packets)
    case nil:
      #expect(framing.packets == expected.packets)
      #expect(framing.isTruncated == (expected.ending == .truncated))
    default:
      // A limit: the reader, which has none, got at least as far.
      #expect(expected.packets.starts(with: framing.packets))
    }
  }

  @Test func theInlineArgumentOfARepairBlockIsInTheHead() {
    for (opcode, direction, length, inline) in [
      (UInt8(0x15), FrameDirection.reply, UInt32(17), true), (0x18, .reply, 17, true), (0x15, .request, 17, false),
      (0x15, .reply, 16, false), (0x09, .reply, 17, false),
    ] {
      var header = PacketHeader()
      header.opcode = Opcode(opcode)
      header.resultCode = direction == .reply ? .ok : .initial
      header.argLength = length
      var bytes = header.encoded() + (0..<length).map { UInt8($0) }
      var framer = Framer(direction, limits: FrameLimits())
      bytes.withUnsafeMutableBytes { raw in
        var rest = raw
        guard case .head(let head) = framer.next(&rest) else {
          Issue.record("no head")
          return
        }
        #expect((head.argumentOffset == 57) == inline)
        #expect(head.length == (inline ? 74 : 57))
        #expect(head.packetLength == 57 + Int(length))
        #expect(head.verSeq == nil && head.protoVersion == nil && head.versionCount == nil)
      }
    }
  }

  /// A block's Arg is not taken for VerSeq where the release does not know the flag.
  @Test func flagsThatTheReleaseDoesNotKnowMeanNothing() {
    var header = PacketHeader()
    header.opcode = Opcode(0x15)
    header.resultCode = .ok
    header.extentType = 0x91
    header.argLength = 17
    var bytes = header.encoded() + [UInt8](repeating: 0x45, count: 17)
    var framer = Framer(.reply, release: .v3_3_0, limits: FrameLimits())
    bytes.withUnsafeMutableBytes { raw in
      var rest = raw
      guard case .head(let head) = framer.next(&rest) else {
        Issue.record("no head")
        return
      }
      #expect(head.verSeq == nil && head.protoVersion == nil && head.length == 74)
    }
  }
}
