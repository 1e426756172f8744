internal import Glibc
internal import NetEndpoint

/// The kernel's list of TCP connections, `/proc/net/tcp`: what `ss -tn` shows.
enum ConnectionTable {
  /// The local addresses of the established connections to a peer.
  static func established(to peer: Endpoint) -> Set<Endpoint> {
    guard let file = fopen("/proc/net/tcp", "r") else { return [] }
    defer { fclose(file) }
    var found: Set<Endpoint> = []
    var line = [CChar](repeating: 0, count: 512)
    // The table may have tens of thousands of rows: only those that name the peer are taken apart.
    let wanted = " \(hexadecimal(peer.address.bigEndian, 8)):\(hexadecimal(UInt32(peer.port), 4)) 01 "
    while fgets(&line, Int32(line.count), file) != nil {
      guard strstr(line, wanted) != nil else { continue }
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      // "sl local_address rem_address st …": addresses as the kernel's 32-bit word in hexadecimal, state 01 is ESTABLISHED.
      let fields = text.split(separator: " ")
      guard fields.count > 3, let local = endpoint(fields[1]) else { continue }
      found.insert(local)
    }
    return found
  }

  private static func hexadecimal(_ number: UInt32, _ digits: Int) -> String {
    let text = String(number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }

  private static func endpoint(_ text: Substring) -> Endpoint? {
    let parts = text.split(separator: ":")
    guard parts.count == 2, let word = UInt32(parts[0], radix: 16), let port = UInt16(parts[1], radix: 16) else { return nil }
    return Endpoint(address: UInt32(bigEndian: word), port: port)
  }
}
