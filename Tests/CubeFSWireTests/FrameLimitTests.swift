import CubeFSWire
import Testing

/// What the framer refuses, at each limit and one beyond it.
@Suite struct FrameLimitTests {
  struct Payload: CustomTestStringConvertible {
    var opcode: UInt8
    var direction: FrameDirection
    var result: UInt8
    var limit: UInt32

    init(_ opcode: UInt8, _ direction: FrameDirection, result: UInt8? = nil, _ limit: UInt32) {
      self.opcode = opcode
      self.direction = direction
      self.result = result ?? (direction == .request ? 0 : 0xF0)
      self.limit = limit
    }

    var testDescription: String { "\(opcode) \(direction) \(result) \(limit)" }
  }

  /// The limits that a legitimate cluster stays under, from the protocol's description.
  static let payloads: [Payload] = {
    let mebibyte: UInt32 = 1_048_576
    var rows = [
      Payload(0x07, .request, 64 * mebibyte), Payload(0x07, .reply, 64 * mebibyte),
      Payload(0x08, .request, 64 * mebibyte), Payload(0x08, .reply, mebibyte),
      Payload(0x15, .reply, mebibyte), Payload(0x18, .reply, mebibyte), Payload(0x17, .reply, mebibyte),
      Payload(0xF0, .reply, 4 * mebibyte), Payload(0x5A, .request, 160 * mebibyte), Payload(0x5A, .reply, mebibyte),
      Payload(0x1F, .request, 160 * mebibyte), Payload(0x1F, .reply, 160 * mebibyte),
    ]
    for opcode: UInt8 in [0x05, 0x06, 0x09, 0x59] { rows.append(Payload(opcode, .reply, 8 * mebibyte)) }
    for opcode: UInt8 in [0x0A, 0x10, 0x11, 0x16] { rows += [Payload(opcode, .request, 4_096), Payload(opcode, .reply, 4_096)] }
    for opcode: UInt8 in [0x03, 0x13, 0x0F, 0x12, 0xB1, 0xB2, 0xB3, 0xB4, 0xB6, 0xB7] {
      rows += [Payload(opcode, .request, 16 * mebibyte), Payload(opcode, .reply, mebibyte)]
    }
    for opcode: UInt8 in [0x57, 0x58, 0x75, 0x76] { rows.append(Payload(opcode, .request, 64 * mebibyte)) }
    for opcode: UInt8 in [0x60, 0x61, 0x62, 0x63, 0x66, 0x67, 0x68, 0x6F, 0x80, 0x8A, 0x8C, 0xD5] {
      rows += [Payload(opcode, .request, 64 * mebibyte), Payload(opcode, .reply, mebibyte)]
    }
    for opcode: UInt8 in [0x07, 0x09, 0x03, 0x10, 0x5A] { rows.append(Payload(opcode, .reply, result: 0xF3, mebibyte)) }
    return rows
  }()

  private func first(
    _ header: PacketHeader, tail: [UInt8] = [], _ direction: FrameDirection, limits: FrameLimits = FrameLimits(),
    release: CubeFSRelease = .auto
  ) -> Result<Int, FrameRefusal>? {
    var framer = Framer(direction, release: release, limits: limits)
    var bytes = header.encoded() + tail
    return bytes.withUnsafeMutableBytes { raw in
      var rest = raw
      switch framer.next(&rest) {
      case .head(let head): return .success(head.payloadLength)
      case .refused(let refusal): return .failure(refusal)
      case .needMore, .body: return nil
      }
    }
  }

  @Test(arguments: payloads) func payloadAtAndOverTheLimit(row: Payload) {
    var header = PacketHeader()
    header.opcode = Opcode(row.opcode)
    header.resultCode = ResultCode(row.result)
    header.size = row.limit
    #expect(first(header, row.direction) == .success(Int(row.limit)))
    header.size += 1
    #expect(
      first(header, row.direction) == .failure(.payloadTooLarge(header.opcode, observed: row.limit + 1, limit: row.limit)))
  }

  @Test func aReadRequestMayAskForAnyLength() {
    for opcode: UInt8 in [0x04, 0x05, 0x06, 0x09, 0x14, 0x15, 0x17, 0x59] {
      var header = PacketHeader()
      header.opcode = Opcode(opcode)
      header.size = .max
      #expect(first(header, .request) == .success(0))
      header.resultCode = .ok
      #expect(first(header, .reply) != .success(0))
    }
  }

  @Test func readOpcodesDifferByRelease() {
    for (opcode, readers) in [
      (UInt8(0x17), [CubeFSRelease.auto, .v3_4_0, .v3_5_3]), (0x59, [.auto, .v3_3_0, .v3_5_3]), (0x09, CubeFSRelease.allCases), (0x18, []),
      (0x07, []),
    ] {
      for release in CubeFSRelease.allCases {
        var header = PacketHeader()
        header.opcode = Opcode(opcode)
        header.size = 100
        #expect(first(header, .request, release: release) == .success(readers.contains(release) ? 0 : 100))
      }
    }
  }

  @Test func argumentAtAndOverTheLimit() {
    for limit: UInt32 in [0, 17, 65_536] {
      let limits = FrameLimits(argument: limit)
      var header = PacketHeader()
      header.opcode = Opcode(0x01)
      header.argLength = limit
      #expect(first(header, .request, limits: limits) == .success(0))
      header.argLength = limit + 1
      #expect(first(header, .request, limits: limits) == .failure(.argumentTooLong(observed: limit + 1, limit: limit)))
    }
    var header = PacketHeader()
    header.argLength = 65_537
    #expect(first(header, .reply) == .failure(.argumentTooLong(observed: 65_537, limit: 65_536)))
  }

  @Test func versionListAtAndOverTheLimit() {
    for limit: UInt16 in [0, 3, 3_855, .max] {
      let limits = FrameLimits(versions: limit)
      var header = PacketHeader()
      header.opcode = Opcode(0x03)
      header.extentType = 0x40
      // The count alone: the entries come later.
      let count = [UInt8(limit >> 8), UInt8(limit & 0xFF)]
      #expect(first(header, tail: count, .request, limits: limits) == .success(0))
      guard limit < .max else { continue }
      let over = limit + 1
      #expect(
        first(header, tail: [UInt8(over >> 8), UInt8(over & 0xFF)], .request, limits: limits)
          == .failure(.versionListTooLong(observed: over, limit: limit)))
    }
    #expect(FrameLimits().versions == 3_855)
  }

  @Test func errorTextHasALimitOfItsOwn() {
    let limits = FrameLimits(errorText: 10)
    var header = PacketHeader()
    header.opcode = Opcode(0x09)
    header.resultCode = .intraGroupNetErr
    header.size = 10
    #expect(first(header, .reply, limits: limits) == .success(10))
    header.size = 11
    #expect(first(header, .reply, limits: limits) == .failure(.payloadTooLarge(header.opcode, observed: 11, limit: 10)))
    header.resultCode = .ok
    #expect(first(header, .reply, limits: limits) == .success(11))
  }

  @Test func overridesReplaceBothDirectionsAndReplyOpcodes() {
    let limits = FrameLimits(overrides: [Opcode(0x14): 24, Opcode(0x17): 5, Opcode(0x03): 7])
    for (opcode, direction, limit) in [
      (UInt8(0xF0), FrameDirection.reply, UInt32(24)), (0x18, .reply, 5), (0x17, .reply, 5), (0x03, .request, 7), (0x03, .reply, 7),
      (0x13, .request, 16 << 20),
    ] {
      var header = PacketHeader()
      header.opcode = Opcode(opcode)
      header.resultCode = direction == .reply ? .ok : .initial
      header.size = limit
      #expect(first(header, direction, limits: limits) == .success(Int(limit)))
      header.size = limit + 1
      #expect(first(header, direction, limits: limits) == .failure(.payloadTooLarge(header.opcode, observed: limit + 1, limit: limit)))
    }
  }

  @Test func everyOtherFirstByteIsBadMagicFromOneByteOn() {
    for byte: UInt8 in 0..<255 {
      let framing = Framing.of([byte, 0, 0], direction: .reply, pieces: [1])
      #expect(framing.refusal == .badMagic(observed: byte))
      #expect(framing.consumed == 0)
      #expect(framing.calls == 1)
    }
    #expect(Framing.of([0xFF], direction: .reply, pieces: [1]).isTruncated)
  }

  @Test func refusalsSayWhatWouldBeRight() {
    #expect("\(FrameRefusal.badMagic(observed: 9))" == "bad magic 0x09, expected 0xFF")
    #expect("\(FrameRefusal.argumentTooLong(observed: 3, limit: 2))" == "ArgLen 3 is over the limit of 2 bytes")
    #expect(
      "\(FrameRefusal.payloadTooLarge(Opcode(0x03), observed: 3, limit: 2))" == "Size 3 of OpWrite is over the limit of 2 bytes")
    #expect("\(FrameRefusal.versionListTooLong(observed: 3, limit: 2))" == "version list of 3 entries is over the limit of 2")
  }
}
