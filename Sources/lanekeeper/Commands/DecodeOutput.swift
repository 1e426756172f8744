import CubeFSWire
import LaneJSON

extension DecodedPacket {
  /// One line: a JSON object under CubeFS's field names. VerSeq, ProtoVersion and Versions only where on the wire.
  var json: [UInt8] {
    var writer = JSONWriter()
    writer.object {
      $0.member("Magic", header.magic)
      $0.member("ExtentType", header.extentType)
      $0.member("Opcode", header.opcode.rawValue)
      $0.member("OpcodeName", header.opcode.name)
      $0.member("ResultCode", header.resultCode.rawValue)
      $0.member("RemainingFollowers", header.remainingFollowers)
      $0.member("CRC", header.crc)
      $0.member("Size", header.size)
      $0.member("ArgLen", header.argLength)
      $0.member("PartitionID", header.partitionID)
      $0.member("ExtentID", header.extentID)
      $0.member("ExtentOffset", header.extentOffset)
      $0.member("ReqID", header.reqID)
      $0.member("KernelOffset", header.kernelOffset)
      if let verSeq = header.verSeq { $0.member("VerSeq", verSeq) }
      if let protoVersion = header.protoVersion { $0.member("ProtoVersion", protoVersion) }
      if let versions = header.versions {
        $0.key("Versions")
        $0.array { array in
          for version in versions {
            array.object {
              $0.member("Ver", version.sequence)
              $0.member("DelTime", version.deletionTime)
              $0.member("Status", version.status)
            }
          }
        }
      }
      $0.member("HeaderLength", header.headerLength)
      $0.member("PayloadLength", payloadLength)
      $0.member("PayloadCRC", payloadCRC)
    }
    return writer.bytes + [UInt8(ascii: "\n")]
  }
}

/// Rows of packets in columns that are wide enough for all rows printed together.
struct PacketTable {
  private struct Column {
    var title: String
    var isNumber: Bool
    var text: (DecodedPacket) -> String
  }

  // Fields in wire order, after where the packet stands; what is not on the wire is a dash.
  private let columns: [Column] = [
    Column(title: "Offset", isNumber: true) { "\($0.offset)" },
    Column(title: "ExtentType", isNumber: false) { hexadecimal($0.header.extentType, digits: 2) },
    Column(title: "Opcode", isNumber: false) { hexadecimal($0.header.opcode.rawValue, digits: 2) },
    Column(title: "OpcodeName", isNumber: false) { $0.header.opcode.knownName ?? "-" },
    Column(title: "ResultCode", isNumber: false) {
      "\(hexadecimal($0.header.resultCode.rawValue, digits: 2)) \($0.header.resultCode.name)"
    },
    Column(title: "Followers", isNumber: true) { "\($0.header.remainingFollowers)" },
    Column(title: "CRC", isNumber: false) { hexadecimal($0.header.crc, digits: 8) },
    Column(title: "Size", isNumber: true) { "\($0.header.size)" },
    Column(title: "ArgLen", isNumber: true) { "\($0.header.argLength)" },
    Column(title: "PartitionID", isNumber: true) { "\($0.header.partitionID)" },
    Column(title: "ExtentID", isNumber: true) { "\($0.header.extentID)" },
    Column(title: "ExtentOffset", isNumber: true) { "\($0.header.extentOffset)" },
    Column(title: "ReqID", isNumber: true) { "\($0.header.reqID)" },
    Column(title: "KernelOffset", isNumber: true) { "\($0.header.kernelOffset)" },
    Column(title: "VerSeq", isNumber: true) { $0.header.verSeq.map { "\($0)" } ?? "-" },
    Column(title: "ProtoVersion", isNumber: true) { $0.header.protoVersion.map { "\($0)" } ?? "-" },
    Column(title: "Versions", isNumber: true) { $0.header.versions.map { "\($0.count)" } ?? "-" },
    Column(title: "HeaderLength", isNumber: true) { "\($0.header.headerLength)" },
    Column(title: "PayloadLength", isNumber: true) { "\($0.payloadLength)" },
    Column(title: "PayloadCRC", isNumber: false) { $0.payloadLength == 0 ? "-" : hexadecimal($0.payloadCRC, digits: 8) },
  ]
  private var widths: [Int] = []
  private var rows: [[String]] = []

  /// No rows, and no heading printed.
  init() {}

  /// Adds a row.
  mutating func add(_ packet: DecodedPacket) { rows.append(columns.map { $0.text(packet) }) }

  /// The rows added since the last call as lines; the heading stands above the first and again wherever columns grew.
  mutating func takeLines() -> String {
    if rows.isEmpty { return "" }
    let needed = columns.indices.map { column in
      max(columns[column].title.count, rows.map { $0[column].utf8.count }.max() ?? 0, widths.isEmpty ? 0 : widths[column])
    }
    var text = ""
    if needed != widths { text += line(columns.map(\.title), needed) }
    widths = needed
    for row in rows { text += line(row, widths) }
    rows.removeAll(keepingCapacity: true)
    return text
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var text = ""
    for (column, cell) in cells.enumerated() {
      let padding = String(repeating: " ", count: max(0, widths[column] - cell.utf8.count))
      text += columns[column].isNumber ? padding + cell : cell + padding
      text += "  "
    }
    while text.utf8.last == UInt8(ascii: " ") { text.removeLast() }
    return text + "\n"
  }
}

/// `0x` and at least so many digits, upper case.
private func hexadecimal(_ number: some UnsignedInteger, digits: Int) -> String {
  let text = String(number, radix: 16, uppercase: true)
  return "0x" + String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
