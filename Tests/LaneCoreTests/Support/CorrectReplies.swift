import CubeFSWire
import Testing

/// An exchange that a correct server could have: for each opcode, and for the quirks that captures do not show.
struct CorrectExchange: Sendable, CustomTestStringConvertible {
  var name: String
  var request: PacketHeader
  var replies: [TestPacket]

  var testDescription: String { name }

  private static func request(_ opcode: UInt8, _ change: (inout PacketHeader) -> Void = { _ in }) -> PacketHeader {
    var header = PacketHeader()
    header.extentType = 1
    header.opcode = Opcode(opcode)
    header.crc = 0x1234_5678
    header.size = 0
    header.partitionID = 0x0102_0304
    header.extentID = 0x4_0506
    header.extentOffset = 0x10_0000
    header.reqID = 77
    header.kernelOffset = 0x7_0000
    change(&header)
    return header
  }

  private static func mutated(_ request: PacketHeader, _ change: (inout PacketHeader) -> Void = { _ in }) -> TestPacket {
    var header = request
    header.resultCode = .ok
    header.size = 0
    header.argLength = 0
    change(&header)
    return TestPacket(header)
  }

  private static func block(_ request: PacketHeader, at offset: Int64, size: UInt32, opcode: UInt8? = nil, bit: UInt8 = 1) -> PacketHeader {
    var header = PacketHeader()
    header.extentType = bit
    header.opcode = opcode.map { Opcode($0) } ?? request.opcode
    header.resultCode = .ok
    header.crc = 0xCAFE_F00D
    header.size = size
    header.partitionID = request.partitionID
    header.extentID = request.extentID
    header.extentOffset = offset
    header.reqID = request.reqID
    return header
  }

  private static func run(_ header: PacketHeader, hole: UInt64?, total: UInt64) -> TestPacket {
    var header = header
    header.argLength = 17
    var argument: [UInt8] = [hole == nil ? 0 : UInt8(ascii: "E")]
    for number in [hole ?? 0, total] { argument += (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) } }
    return TestPacket(header, argument: argument)
  }

  static let all: [CorrectExchange] = {
    var all: [CorrectExchange] = []
    func add(_ name: String, _ request: PacketHeader, _ replies: [TestPacket]) {
      all.append(CorrectExchange(name: name, request: request, replies: replies))
    }
    for (opcode, shape) in ReplyOracle.shapes.sorted(by: { $0.key < $1.key }) {
      guard case .mutated(let sizes) = shape else { continue }
      let ask = request(opcode) { if opcode == 0x03 || opcode == 0x13 { $0.argLength = 34 } }
      for size in sizes ?? [0, 2, 100_000] {
        add("\(ask.opcode.name) \(size)", ask, [mutated(ask) { $0.size = size }])
      }
      // A local failure leaves Arg in place; a follower's does not.
      for (code, argument) in [(0xF3, ask.argLength), (0xF5, 0), (0xD7, 0), (0x99, 0)] as [(UInt8, UInt32)] {
        let error = mutated(ask) {
          $0.resultCode = ResultCode(code)
          $0.size = 40
          $0.argLength = argument
        }
        add("\(ask.opcode.name) error \(code)", ask, [error])
      }
    }
    for opcode: UInt8 in [0x03, 0x13, 0x0F, 0x12, 0xB1, 0xB2, 0xB3, 0xB4] {
      let ask = request(opcode)
      for flags: UInt8 in [0x80, 0xC0] {
        let answer = mutated(ask) {
          $0.extentType |= flags
          if opcode == 0xB3 || opcode == 0xB4 { $0.opcode = Opcode(0xB5) }
        }
        add("\(ask.opcode.name) of a volume with snapshots, \(flags)", ask, [answer])
      }
    }
    let create = request(0x01) { $0.extentID = 0 }
    add("a leader's create", create, [mutated(create) { $0.extentID = 1099 }])
    for opcode: UInt8 in [0x03, 0x13] {
      let write = request(opcode) { ($0.extentType, $0.extentID, $0.extentOffset) = (0x10, 0, 0) }
      add("a leader's tiny write \(opcode)", write, [mutated(write) { ($0.extentID, $0.extentOffset) = (33, 8192) }])
    }
    let remote = request(0x66)
    add("another partition in the answer", remote, [mutated(remote) { $0.partitionID = 5 }])

    for opcode: UInt8 in [0x05, 0x06, 0x09, 0x59] {
      let ask = request(opcode) { $0.size = 300_000 }
      let first = TestPacket(block(ask, at: 0x10_0000, size: 131_072))
      let failed = mutated(ask) { ($0.resultCode, $0.size, $0.extentOffset, $0.crc) = (ResultCode(0xF5), 12, 0x12_0000, 99) }
      add(
        "blocks of \(opcode)", ask,
        [first, TestPacket(block(ask, at: 0x12_0000, size: 131_072)), TestPacket(block(ask, at: 0x14_0000, size: 37_856))])
      add("one block of \(opcode)", ask, [TestPacket(block(ask, at: 0x10_0000, size: 300_000))])
      add("block and error of \(opcode)", ask, [first, failed])
    }
    let holes = request(0x15) { ($0.extentType, $0.size, $0.kernelOffset) = (0, 100_000, 0) }
    add(
      "data, hole, overshoot", holes,
      [
        run(block(holes, at: 0x10_0000, size: 4096, bit: 0), hole: nil, total: 90_000),
        run(block(holes, at: 0x10_1000, size: 0, bit: 0), hole: 65_536, total: 90_000),
        run(block(holes, at: 0x11_1000, size: 131_072, bit: 0), hole: nil, total: 90_000),
      ])
    let snapshot = request(0x17) { ($0.size, $0.kernelOffset) = (200_000, 0) }
    let part = run(block(snapshot, at: 0x10_0000, size: 131_072, opcode: 0x18), hole: nil, total: 500_000)
    add("snapshot blocks", snapshot, [part, run(block(snapshot, at: 0x12_0000, size: 131_072, opcode: 0x18), hole: nil, total: 500_000)])
    add("snapshot final before all came", snapshot, [part, mutated(snapshot)])
    add("snapshot error", snapshot, [part, mutated(snapshot) { ($0.resultCode, $0.size) = (ResultCode(0xF5), 12) }])
    let records = request(0x14) { ($0.extentID, $0.kernelOffset, $0.size) = (9, 0, 0) }
    func chunk(_ offset: Int64, _ size: UInt32) -> TestPacket {
      var header = block(records, at: offset, size: size, opcode: 0xF0)
      header.extentID = 0
      return TestPacket(header)
    }
    add("records", records, [chunk(0x10_0000, 2_400_000), chunk(0x10_0000 + 2_400_000, 24)])
    add("records and error", records, [chunk(0x10_0000, 2_400_000), mutated(records) { ($0.resultCode, $0.size) = (ResultCode(0xF7), 7) }])
    let unknown = request(0xEA)
    add("an opcode of a later release", unknown, [TestPacket(block(unknown, at: 3, size: 17, opcode: 0x21))])
    return all
  }()
}
