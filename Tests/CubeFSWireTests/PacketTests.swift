import CubeFSWire
import TestBytes
import Testing

@Suite struct PacketTests {
  @Test func restampChangesReqIDAndNothingElse() {
    var bytes = (0..<64).map { UInt8($0) }
    let before = bytes
    bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress else { return }
      let view = HeaderView(at: base)
      view.restamp(0x0102_0304_0506_0708)
      #expect(view.reqID == 0x0102_0304_0506_0708)
    }
    #expect(bytes == Array(before[..<41]) + [1, 2, 3, 4, 5, 6, 7, 8] + before[49...])
  }

  @Test func restampKeepsNegativeNumbers() {
    var bytes = [UInt8](repeating: 0, count: 57)
    bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress else { return }
      for value in [Int64.min, -1, 0, .max] {
        HeaderView(at: base).restamp(value)
        #expect(HeaderView(at: base).reqID == value)
      }
    }
  }

  @Test func extensionLengthsByReleaseAndFlags() {
    // Flags: VerSeq, list, both, ProtoVersion, with each of them.
    let flags: [UInt8] = [0x00, 0x01, 0x80, 0x40, 0xC0, 0x10, 0x90, 0x50, 0xD1, 0x2F]
    let expected: [(CubeFSRelease, [Int])] = [
      (.v3_3_0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), (.v3_4_0, [0, 0, 8, 2, 10, 0, 8, 2, 10, 0]),
      (.v3_5_3, [0, 0, 8, 2, 10, 12, 12, 14, 14, 0]), (.auto, [0, 0, 8, 2, 10, 12, 12, 14, 14, 0]),
    ]
    for (release, lengths) in expected {
      #expect(flags.map { HeaderView.extensionLength(extentType: $0, in: release) } == lengths)
    }
  }

  @Test func aShortHeaderIsNoHeader() {
    var header = PacketHeader()
    header.extentType = 0xD0
    header.verSeq = 5
    header.protoVersion = 1
    header.versions = [.init(sequence: 1, deletionTime: 2, status: 3), .init(sequence: 4, deletionTime: 5, status: 6)]
    let bytes = header.encoded()
    #expect(bytes.count == 57 + 12 + 2 + 34 && header.headerLength == bytes.count)
    for length in bytes.indices { #expect(PacketHeader(parsing: bytes[..<length]) == nil) }
    #expect(PacketHeader(parsing: bytes) == header)
    #expect(PacketHeader(parsing: bytes + [1, 2, 3]) == header)
  }

  @Test func crcInPiecesIsTheCRCOfTheWhole() {
    // The check value of CRC-32/ISO-HDLC.
    #expect(PayloadCRC.of(Array("123456789".utf8)) == 0xCBF4_3926)
    #expect(PayloadCRC.of([]) == 0)
    var generator = SeededGenerator(seed: testSeed())
    let bytes = (0..<5_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let whole = crc32(bytes)
    for _ in 0..<50 {
      var crc = PayloadCRC()
      var position = 0
      while position < bytes.count {
        let end = min(bytes.count, position + Int.random(in: 0...700, using: &generator))
        bytes[position..<end].withUnsafeBytes { crc.update($0) }
        position = end
      }
      #expect(crc.value == whole)
    }
  }

  @Test func opcodeNamesGoBothWays() {
    #expect(Opcode.known.count > 50)
    for opcode in Opcode.known { #expect(Opcode(named: opcode.name) == opcode) }
    #expect(Opcode(0x1F).name == "Op0x1F" && Opcode(0x1F).knownName == nil)
    #expect(Opcode(named: "0x09") == Opcode(0x09) && Opcode(named: "0xf0") == Opcode(0xF0))
    for text in ["", "0x", "0x100", "09", "opwrite", "0x-1", "0x+1", "Op"] { #expect(Opcode(named: text) == nil, "\(text)") }
    #expect(ResultCode(0xF3).name == "OpIntraGroupNetErr" && ResultCode(0x77).name == "0x77")
  }
}
