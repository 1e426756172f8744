/// Which operations may share a connection to a datanode: the lab's own table, after PROTOCOL.md section 2.
enum LabClass: String, CaseIterable, Sendable {
  case repairStream = "repair-stream"
  case repairControl = "repair-control"
  case deletion
  case replication
  case read
  case admin
  case other

  /// The class of an opcode; what no release knows is `other`.
  init(opcode: UInt8) {
    self =
      switch opcode {
      case 0x09, 0x14, 0x15, 0x17: .repairStream
      case 0x07, 0x08, 0x0A, 0x10, 0x11, 0x16: .repairControl
      case 0x02, 0x57, 0x58, 0x75, 0x76, 0xD6: .deletion
      case 0x01, 0x03, 0x13, 0x0F, 0x12, 0x5A, 0xB1...0xB4, 0xB6, 0xB7: .replication
      case 0x05, 0x06, 0x59: .read
      case 0x60...0x63, 0x66...0x69, 0x6B...0x6F, 0x80, 0x8A...0x8C, 0xD5: .admin
      default: .other
      }
  }

  /// Classes whose callers keep several requests in flight on one connection.
  var isPipelined: Bool { self == .deletion || self == .replication }
}
