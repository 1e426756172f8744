/// An IPv4 address and a TCP port, in host byte order.
public struct Endpoint: Hashable, Sendable, Comparable {
  /// The address as a 32-bit number, most significant byte first: 127.0.0.1 is 0x7F000001.
  public var address: UInt32
  /// The TCP port, 0 to 65535.
  public var port: UInt16

  /// Makes an endpoint from numbers in host byte order.
  public init(address: UInt32, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// Reads `a.b.c.d:port`, decimal, no leading zeros, no surrounding space. Nil where the text is anything else.
  public init?(_ text: some StringProtocol) {
    var number: UInt32 = 0
    var digits = 0
    var leadingZero = false
    var parts: [UInt32] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        if digits > 0 && leadingZero { return nil }
        if digits == 0 { leadingZero = byte == UInt8(ascii: "0") }
        digits += 1
        if digits > 5 { return nil }
        number = number * 10 + UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: ".") where parts.count < 3, UInt8(ascii: ":") where parts.count == 3:
        guard digits > 0, number <= 255 else { return nil }
        parts.append(number)
        number = 0
        digits = 0
      default:
        return nil
      }
    }
    guard parts.count == 4, digits > 0, number <= 65535 else { return nil }
    self.init(address: parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3], port: UInt16(number))
  }

  /// The address is one of 127.0.0.0/8, which no other host can reach (RFC 1122 section 3.2.1.3).
  public var isLoopback: Bool { address >> 24 == 127 }

  /// Address first, then port.
  public static func < (left: Endpoint, right: Endpoint) -> Bool {
    left.address != right.address ? left.address < right.address : left.port < right.port
  }
}

extension Endpoint: CustomStringConvertible {
  /// `a.b.c.d:port`.
  public var description: String {
    "\(address >> 24).\(address >> 16 & 0xFF).\(address >> 8 & 0xFF).\(address & 0xFF):\(port)"
  }
}
