import Glibc
import NetEndpoint

@testable import LaneLab

/// Files of Tests/Fixtures, and packets cut by rules of their own.
enum Fixture {
  static func bytes(_ path: String) -> [UInt8]? {
    let tests = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    guard let file = fopen("/\(tests)/Fixtures/\(path)", "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&piece, 1, piece.count, file)
      guard count > 0 else { return bytes }
      bytes += piece[..<count]
    }
  }

  static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

  /// PROTOCOL.md section 1: 69 with 0x10, else 65 with 0x80; no capture used here has a version list.
  static func headerLength(_ packet: [UInt8]) -> Int { packet[1] & 0x10 != 0 ? 69 : packet[1] & 0x80 != 0 ? 65 : 57 }

  /// A stream of replies, packet by packet.
  static func split(_ stream: [UInt8]) -> [[UInt8]] {
    var packets: [[UInt8]] = []
    var rest = stream[...]
    while !rest.isEmpty {
      let bytes = Array(rest)
      let length = headerLength(bytes) + number(bytes[13..<17]) + number(bytes[9..<13])
      packets.append(Array(bytes[..<length]))
      rest = rest.dropFirst(length)
    }
    return packets
  }

  /// The lab's own reading of those bytes, over a real connection.
  static func packet(_ bytes: [UInt8], _ rules: DatanodeRules) throws -> LabPacket? {
    let listener = try LabListener(Endpoint(address: 0x7F00_0001, port: 0))
    let writer = try LabSocket.connect(to: listener.endpoint)
    guard let reader = listener.accept(withinMs: 5_000) else { return nil }
    let thread = LabThread {
      try? writer.write(bytes)
      writer.shutdownWrite()
    }
    defer { thread.join() }
    return try LabPacket.read(from: reader, release: rules.release, deadline: LabClock.nanoseconds + 5_000_000_000)
  }
}
