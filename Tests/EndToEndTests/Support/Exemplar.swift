import CubeFSWire
import TestBytes

/// One correct exchange for each opcode: a request, and the answer that ends it.
enum Exemplar {
  static func request(_ opcode: UInt8, reqID: Int64, partition: UInt64) -> WirePacket {
    .request(opcode, reqID: reqID, partition: partition) { packet in
      switch opcode {
      case 0x04, 0x05, 0x06, 0x09, 0x59: packet.header.size = 300
      case 0x15:
        packet.header.extentType = 0
        packet.header.extentID = 33
        packet.header.size = 300
      case 0x17: packet.header.size = 300
      case 0x14: packet.header.size = 0
      case 0x03, 0x13, 0x0F, 0x12, 0xB1, 0xB2, 0xB3, 0xB4, 0x5A:
        packet.argument = pattern(34, seed: 5)
        packet.payload = pattern(100)
        packet.header.kernelOffset = 0x7_0000
      case 0x0A: packet.payload = bigEndian(55)
      case 0x01, 0x07, 0x10, 0x11, 0x16: packet.header.kernelOffset = 0x7_0000
      default:
        packet.payload = Array(#"{"some":"task of this opcode"}"#.utf8)
        packet.header.kernelOffset = 0x7_0000
      }
    }
  }

  static func reply(to request: WirePacket) -> WirePacket {
    let header = request.header
    switch header.opcode.rawValue {
    case 0x05, 0x06, 0x09, 0x59: return request.block(at: header.extentOffset, pattern(300))
    case 0x15, 0x17:
      let isTiny = header.opcode.rawValue == 0x15
      return request.block(at: header.extentOffset, pattern(300)) {
        if isTiny { $0.header.extentType = 0 } else { $0.header.opcode = Opcode(0x18) }
        $0.argument = [0] + bigEndian(0) + bigEndian(300)
      }
    case 0x14:
      return request.block(at: header.extentOffset, pattern(240)) {
        $0.header.opcode = Opcode(0xF0)
        $0.header.extentID = 0
      }
    case 0x07: return request.mutated(Array(#"[{"fileId":1025,"size":131072}]"#.utf8))
    case 0x10: return request.mutated(bigEndian(99))
    case 0x11: return request.mutated(bigEndian(7) + bigEndian(8))
    case 0x16: return request.mutated(bigEndian(1100) + bigEndian(8))
    case 0xB3, 0xB4: return request.mutated { $0.opcode = Opcode(0xB5) }
    case 0xEA, 0x21: return request.mutated(pattern(20))
    default: return request.mutated()
    }
  }
}
