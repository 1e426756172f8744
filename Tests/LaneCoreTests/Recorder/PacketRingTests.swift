import CubeFSWire
import TestBytes
import Testing

@testable import LaneCore

@Suite struct PacketRingTests {
  /// What a test gave to a ring.
  private struct Given {
    var isReply: Bool
    var bytes: [UInt8]
    var headLength: Int
    var length: Int
    var time: UInt64
    var counterpart: Int64
    var isUnframed = false

    /// Of these bytes, those that a ring may keep.
    func kept(payload: Int) -> [UInt8] {
      if isUnframed { return Array(bytes.prefix(payload)) }
      return Array(bytes.prefix(min(headLength + payload, length)))
    }
  }

  private static func request(_ bytes: [UInt8], _ ring: inout PacketRing, at time: UInt64, counterpart: Int64 = 0) {
    bytes.withUnsafeBytes {
      ring.add($0, headLength: bytes.count, packetLength: bytes.count, isReply: false, counterpart: counterpart, at: time)
    }
  }

  @Test(arguments: [0, 256]) func theLastThreeOfEachDirectionAreKept(payload: Int) {
    var random = SeededGenerator(seed: testSeed())
    for _ in 0..<200 {
      var ring = PacketRing(payload: payload)
      var given: [Given] = []
      var time = UInt64.random(in: 0...(1 << 50), using: &random)
      for _ in 0..<Int.random(in: 0..<30, using: &random) {
        time += UInt64.random(in: 1...1_000_000, using: &random)
        // Mostly the same, so that longer ones come late as well.
        let headLength = Int.random(in: 0..<4, using: &random) > 0 ? 57 : [57, 65, 69, 74, 88].randomElement(using: &random) ?? 57
        let here = headLength + Int.random(in: 0..<400, using: &random)
        var one = Given(
          isReply: Bool.random(using: &random), bytes: random.bytes(here), headLength: headLength,
          length: headLength + Int.random(in: 0..<200_000, using: &random), time: time,
          counterpart: Int64(bitPattern: random.next()))
        if one.isReply, Int.random(in: 0..<8, using: &random) == 0 {
          one.isUnframed = true
          one.length = one.bytes.count
          one.counterpart = 0
        }
        given.append(one)
        one.bytes.withUnsafeBytes {
          if one.isUnframed { return ring.addUnframed($0, reason: .badMagic, at: time) }
          ring.add(
            $0, headLength: headLength, packetLength: one.length, isReply: one.isReply, counterpart: one.counterpart, at: time)
        }
      }
      let last = given.filter { one in given.count { $0.time >= one.time && $0.isReply == one.isReply } <= 3 }
      let found = ring.packets
      #expect(found.map(\.time) == last.map(\.time))
      let lost = ring.lost
      #expect(lost == given.count - last.count)
      for (packet, one) in zip(found, last) {
        #expect(packet.bytes == one.kept(payload: payload), "head \(one.headLength) of \(one.length), \(one.bytes.count) here")
        #expect(packet.isReply == one.isReply && packet.length == one.length)
        #expect(packet.counterpart == one.counterpart && packet.isUnframed == one.isUnframed)
      }
    }
  }

  @Test func aRingThatIsOffKeepsNothing() {
    var ring = PacketRing(payload: nil)
    Self.request([UInt8](repeating: 0xFF, count: 57), &ring, at: 1)
    ring.correctLastReply(.dropped, .stampUnknown)
    let (packets, lost, last) = (ring.packets, ring.lost, ring.lastReplyID)
    #expect(packets.isEmpty && lost == 0 && last == nil)
  }

  @Test func aRequestIsFoundByItsReqID() throws {
    var ring = PacketRing(payload: 0)
    for id in 1...6 as ClosedRange<Int64> {
      var header = PacketHeader()
      header.opcode = Opcode(0x10)
      header.reqID = id
      header.partitionID = UInt64(id) * 10
      Self.request(header.encoded(), &ring, at: UInt64(id), counterpart: id * 100)
    }
    let (gone, kept) = (ring.request(reqID: 2), ring.request(reqID: 4))
    #expect(gone == nil)
    let found = try #require(kept)
    let (begun, none) = (ring.operation(reqID: 4, .standard), ring.operation(reqID: 2, .standard))
    let operation = try #require(begun)
    #expect(operation.operationClass == .repairControl && operation.partitionID == 40)
    #expect(operation.stamp == 4 && operation.callerReqID == 400 && found.counterpart == 400 && none == nil)
    #expect(found.summary == "OpGetAppliedId request, ReqID 4, partition 40, extent 0, offset 0, size 0, 57 bytes")
  }

  @Test func whatBecameOfTheLastReplyCanBeCorrected() {
    var ring = PacketRing(payload: 0)
    let bytes = [UInt8](repeating: 0xFF, count: 57)
    for time in 1...5 as ClosedRange<UInt64> {
      bytes.withUnsafeBytes { ring.add($0, headLength: 57, packetLength: 57, isReply: true, at: time) }
    }
    ring.correctLastReply(.cutOff, .payloadCRC)
    let packets = ring.packets
    #expect(packets.map(\.verdict) == [.forwarded, .forwarded, .cutOff])
    #expect(packets.last?.reason == .payloadCRC)
    // What never went over the connection is not shown.
    ring.correctLastReply(.withheld, .payloadCRC)
    let left = ring.packets
    #expect(left.map(\.time) == [3, 4])
  }

  @Test func aRingIsSmall() {
    // What malloc gives out ends 8 bytes before a multiple of 16.
    #expect(2 * PacketRing.depth * (MemoryLayout<PacketRing.Note>.stride + 57) <= 488)
    #expect(PacketRing.headRoom >= Framer.longestHead)
  }
}
