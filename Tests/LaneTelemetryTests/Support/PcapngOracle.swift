/// Reads pcapng files (draft-ietf-opsawg-pcapng) strictly, by a way of its own: not the program's reader.
struct PcapngOracle {
  struct Invalid: Error, CustomStringConvertible {
    let description: String
  }

  struct Frame {
    var interface: Int
    var time: UInt64
    var length: Int
    var bytes: [UInt8]
    var comment: String
    var isInbound: Bool

    var source: String { Self.end(bytes, 12, 20) }
    var destination: String { Self.end(bytes, 16, 22) }
    /// Sequence and acknowledgement number.
    var sequence: UInt32 { UInt32(big(bytes, 24, 4)) }
    var acknowledged: UInt32 { UInt32(big(bytes, 28, 4)) }
    /// The TCP segment's payload: its length, and what was captured of it.
    var payloadLength: Int { length - 40 }
    var payload: [UInt8] { Array(bytes.dropFirst(40)) }

    private static func end(_ bytes: [UInt8], _ address: Int, _ port: Int) -> String {
      "\(bytes[address]).\(bytes[address + 1]).\(bytes[address + 2]).\(bytes[address + 3]):\(big(bytes, port, 2))"
    }
  }

  var comment = ""
  var interfaces: [(name: String, description: String)] = []
  var frames: [Frame] = []

  init(_ file: [UInt8]) throws {
    var at = 0
    while at < file.count {
      guard at + 12 <= file.count else { throw Invalid(description: "torn at \(at)") }
      let (type, length) = (little(file, at, 4), Int(little(file, at + 4, 4)))
      guard length % 4 == 0, length >= 12, at + length <= file.count, little(file, at + length - 4, 4) == UInt64(length) else {
        throw Invalid(description: "length at \(at)")
      }
      let body = Array(file[(at + 8)..<(at + length - 4)])
      switch type {
      case 0x0A0D_0D0A:
        guard at == 0, little(body, 0, 4) == 0x1A2B_3C4D, little(body, 4, 2) == 1, little(body, 6, 2) == 0 else {
          throw Invalid(description: "section header")
        }
        comment = try Self.text(Self.options(body, 16), 1)
      case 1:
        let options = try Self.options(body, 8)
        guard little(body, 0, 2) == 101, little(body, 4, 4) == 0, options.first(where: { $0.0 == 9 })?.1 == [9] else {
          throw Invalid(description: "interface")
        }
        interfaces.append((try Self.text(options, 2), try Self.text(options, 3)))
      case 6:
        let captured = Int(little(body, 12, 4))
        let options = try Self.options(body, 20 + (captured + 3) / 4 * 4)
        let frame = Frame(
          interface: Int(little(body, 0, 4)), time: little(body, 4, 4) << 32 | little(body, 8, 4), length: Int(little(body, 16, 4)),
          bytes: Array(body[20..<(20 + captured)]), comment: try Self.text(options, 1),
          isInbound: options.first { $0.0 == 2 }?.1.first == 1)
        guard frame.interface < interfaces.count, captured >= 40, captured <= frame.length else { throw Invalid(description: "packet") }
        frames.append(frame)
      default: throw Invalid(description: "block of type \(type)")
      }
      at += length
    }
  }

  private static func text(_ options: [(UInt16, [UInt8])], _ code: UInt16) throws -> String {
    guard let value = options.first(where: { $0.0 == code })?.1 else { throw Invalid(description: "no option \(code)") }
    return String(decoding: value, as: UTF8.self)
  }

  private static func options(_ body: [UInt8], _ start: Int) throws -> [(UInt16, [UInt8])] {
    var found: [(UInt16, [UInt8])] = []
    var at = start
    while true {
      guard at + 4 <= body.count else { throw Invalid(description: "options do not end") }
      let (code, length) = (UInt16(little(body, at, 2)), Int(little(body, at + 2, 2)))
      if code == 0 {
        guard length == 0, at + 4 == body.count else { throw Invalid(description: "bytes behind the options") }
        return found
      }
      guard at + 4 + length <= body.count else { throw Invalid(description: "option of \(length)") }
      found.append((code, Array(body[(at + 4)..<(at + 4 + length)])))
      at += 4 + (length + 3) / 4 * 4
    }
  }
}

private func little(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt64 {
  (0..<count).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
}

func big(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt64 { (0..<count).reduce(0) { $0 << 8 | UInt64(bytes[at + $1]) } }

/// Whether 16-bit words, checksum included, sum up to all ones (RFC 1071).
func sumsUp(_ bytes: [UInt8]) -> Bool {
  var sum = 0
  for index in stride(from: 0, to: bytes.count, by: 2) {
    sum += Int(bytes[index]) * 256 + (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
  }
  while sum >= 65_536 { sum = sum % 65_536 + sum / 65_536 }
  return sum == 65_535
}
