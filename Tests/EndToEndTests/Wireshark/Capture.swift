import Glibc

/// A capture of TCP connections as tcpdump would have written it (pcap, Ethernet, IPv4). Sequence numbers, acknowledgements and
/// checksums are right; each frame comes a millisecond after the one before.
final class Capture {
  /// Frames so far; also the number of the last one.
  var frameCount: Int { callerPorts.count }
  /// The caller's port of each frame's connection; the first frame's is at 0.
  private(set) var callerPorts: [Int] = []
  private let snapLength: Int
  private var bytes: [UInt8]

  /// A capture without a frame. Of each frame at most `snapLength` bytes are kept.
  init(snapLength: Int = 262_144) {
    self.snapLength = snapLength
    // draft-ietf-opsawg-pcap section 4: magic, version 2.4, two reserved words, link type Ethernet.
    bytes = word(0xA1B2_C3D4) + half(2) + half(4) + word(0) + word(0) + word(snapLength) + word(1)
  }

  /// A new connection, with its handshake.
  func connect(from callerPort: Int, to serverPort: Int = 17310) -> CapturedConnection {
    let connection = resume(from: callerPort, to: serverPort)
    connection.shakeHands()
    return connection
  }

  /// A connection that was there before the capture.
  func resume(from callerPort: Int, to serverPort: Int = 17310) -> CapturedConnection {
    CapturedConnection(self, callerPort: callerPort, serverPort: serverPort)
  }

  fileprivate func append(_ frame: [UInt8], callerPort: Int) {
    callerPorts.append(callerPort)
    let captured = frame.prefix(snapLength)
    bytes += word(1_700_000_000 + frameCount / 1_000) + word(frameCount % 1_000 * 1_000) + word(captured.count) + word(frame.count)
    bytes += captured
  }

  /// Calls the body with the path of a file that holds the capture.
  func withFile<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/tmp/lanekeeper-capture-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard descriptor >= 0 else { throw ProgramFailure("cannot make \(path)") }
    defer { unlink(path) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw ProgramFailure("cannot write \(path)") }
      rest = rest.dropFirst(count)
    }
    close(descriptor)
    return try body(path)
  }
}

/// One connection in a capture, from 10.0.0.1 to 10.0.0.2.
final class CapturedConnection {
  private struct End {
    var address: [UInt8]
    var port: Int
    var sequence: UInt32
  }

  private let capture: Capture
  private var ends: [End]

  fileprivate init(_ capture: Capture, callerPort: Int, serverPort: Int) {
    self.capture = capture
    ends = [
      End(address: [10, 0, 0, 1], port: callerPort, sequence: 0xFFFF_FF00), End(address: [10, 0, 0, 2], port: serverPort, sequence: 5_000),
    ]
  }

  /// The caller sends those bytes, in segments of those lengths (the last one repeated); returns the last frame's number.
  @discardableResult func ask(_ bytes: [UInt8], pieces: [Int] = [60_000]) -> Int { send(0, bytes, pieces) }

  /// The server sends those bytes.
  @discardableResult func answer(_ bytes: [UInt8], pieces: [Int] = [60_000]) -> Int { send(1, bytes, pieces) }

  /// That many of the caller's bytes never reached the capture.
  func lose(_ count: Int) { ends[0].sequence &+= UInt32(count) }

  fileprivate func shakeHands() {
    segment(0, flags: 0x02, [])
    ends[0].sequence &+= 1
    segment(1, flags: 0x12, [])
    ends[1].sequence &+= 1
    segment(0, flags: 0x10, [])
  }

  private func send(_ from: Int, _ bytes: [UInt8], _ pieces: [Int]) -> Int {
    var rest = bytes[...]
    var lengths = pieces.makeIterator()
    var length = 60_000
    while !rest.isEmpty {
      length = lengths.next() ?? length
      let piece = rest.prefix(length)
      segment(from, flags: 0x18, Array(piece))
      ends[from].sequence &+= UInt32(piece.count)
      rest = rest.dropFirst(piece.count)
    }
    return capture.frameCount
  }

  /// RFC 9293 section 3.1, in an IPv4 packet (RFC 791 section 3.1), in an Ethernet frame.
  private func segment(_ from: Int, flags: UInt8, _ payload: [UInt8]) {
    let sender = ends[from]
    let receiver = ends[1 - from]
    var tcp = half(sender.port) + half(receiver.port) + word(Int(sender.sequence))
    tcp += word(flags & 0x10 != 0 ? Int(receiver.sequence) : 0) + [0x50, flags] + half(65_535) + half(0) + half(0)
    let pseudoHeader = sender.address + receiver.address + [0, 6] + half(tcp.count + payload.count)
    tcp.replaceSubrange(16..<18, with: half(checksum(pseudoHeader + tcp + payload)))
    var ip = [0x45, 0] + half(20 + tcp.count + payload.count) + half(0) + half(0x4000) + [64, 6] + half(0)
    ip += sender.address + receiver.address
    ip.replaceSubrange(10..<12, with: half(checksum(ip)))
    capture.append([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0] + ip + tcp + payload, callerPort: ends[0].port)
  }

  /// RFC 1071.
  private func checksum(_ bytes: [UInt8]) -> Int {
    var sum = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
      sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
    }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~sum & 0xFFFF
  }
}

private func half(_ number: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)] }
private func word(_ number: Int) -> [UInt8] { half(number >> 16) + half(number) }
