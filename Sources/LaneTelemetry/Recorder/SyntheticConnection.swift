internal import NetEndpoint

/// The IPv4 and TCP headers of a connection of which only the packets above TCP were kept: the addresses are the real ones, sequence
/// numbers count what was kept as if nothing had been between.
struct SyntheticConnection {
  /// The length of both headers together, bytes.
  static let headerLength = 40

  private let client: Endpoint
  private let server: Endpoint
  private var sent: (client: UInt32, server: UInt32) = (1, 1)
  private var segments: UInt16 = 0

  init(client: Endpoint, server: Endpoint) {
    self.client = client
    self.server = server
  }

  /// The headers of the next segment (RFC 791 section 3.1, RFC 9293 section 3.1), with what is here of its payload behind them.
  /// - Parameter length: the payload's, bytes; `payload` holds the first of them.
  mutating func segment(fromServer: Bool, length: Int, payload: [UInt8]) -> [UInt8] {
    let (source, destination) = fromServer ? (server, client) : (client, server)
    let (sequence, acknowledged) = fromServer ? (sent.server, sent.client) : (sent.client, sent.server)
    let advance = UInt32(truncatingIfNeeded: length)
    if fromServer { sent.server &+= advance } else { sent.client &+= advance }
    segments &+= 1
    let whole = Self.headerLength + length
    var ip: [UInt8] = [0x45, 0]
    // What does not fit into one IP packet has the length 0, as captures on the sender's host show it before segmentation offload.
    ip += Self.half(whole <= 0xFFFF ? whole : 0) + Self.half(Int(segments)) + Self.half(0x4000) + [64, 6, 0, 0]
    ip += Self.word(source.address) + Self.word(destination.address)
    ip.replaceSubrange(10..<12, with: Self.half(Self.checksum([ip])))
    var tcp = Self.half(Int(source.port)) + Self.half(Int(destination.port)) + Self.word(sequence) + Self.word(acknowledged)
    // PSH and ACK, and a window that is never full.
    tcp += [0x50, 0x18] + Self.half(0xFFFF) + [0, 0, 0, 0]
    if payload.count == length, whole <= 0xFFFF {
      let pseudoHeader = Self.word(source.address) + Self.word(destination.address) + [0, 6] + Self.half(tcp.count + length)
      tcp.replaceSubrange(16..<18, with: Self.half(Self.checksum([pseudoHeader, tcp, payload])))
    }
    return ip + tcp + payload
  }

  /// RFC 1071, over parts of which all but the last have an even length.
  private static func checksum(_ parts: [[UInt8]]) -> Int {
    var sum = 0
    for part in parts {
      for (index, byte) in part.enumerated() { sum += index % 2 == 0 ? Int(byte) << 8 : Int(byte) }
    }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~sum & 0xFFFF
  }

  private static func half(_ number: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)] }

  private static func word(_ number: UInt32) -> [UInt8] { half(Int(number >> 16)) + half(Int(number & 0xFFFF)) }
}
