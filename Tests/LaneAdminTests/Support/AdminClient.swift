import Glibc
import Testing

/// A blocking connection to a port of 127.0.0.1 that says what it is told, and reads what comes.
final class AdminClient {
  private let descriptor: Int32
  /// The other end reset the connection.
  private(set) var wasReset = false

  init(port: UInt16, receiveBuffer: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    if var receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size)) }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(result == 0, "connect: \(String(cString: strerror(errno)))")
  }

  deinit { close(descriptor) }

  /// Sends all of it, as far as the other end takes it.
  func send(_ text: String) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      sent += count
    }
  }

  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Whether something, or the end, can be read.
  func isReadable(within milliseconds: Int32) -> Bool {
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&wait, 1, milliseconds) == 1
  }

  /// All that comes until the other end closes or resets. Throws where neither happens in time.
  func readToEnd() throws -> String {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = recv(descriptor, &piece, piece.count, 0)
      if count > 0 {
        bytes += piece[..<count]
      } else if count == 0 || errno == ECONNRESET {
        wasReset = count < 0
        return String(decoding: bytes, as: UTF8.self)
      } else if errno != EINTR {
        throw AdminClientTimeout()
      }
    }
  }

  /// A request and its whole answer.
  static func ask(_ port: UInt16, _ request: String, finish: Bool = false) throws -> AdminAnswer {
    let client = try AdminClient(port: port)
    client.send(request)
    if finish { client.finishSending() }
    let text = try client.readToEnd()
    #expect(!client.wasReset, "\(request.prefix(40))")
    return AdminAnswer(text)
  }

  static func get(_ port: UInt16, _ path: String) throws -> AdminAnswer {
    try ask(port, "GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
  }
}

struct AdminClientTimeout: Error {}

/// An answer in its parts.
struct AdminAnswer {
  var status = 0
  var fields: [String: String] = [:]
  var body = ""

  init(_ text: String) {
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let lines = parts[0].split(separator: "\r\n")
    status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    for line in lines.dropFirst() {
      let pair = line.split(separator: ":", maxSplits: 1)
      if pair.count == 2 { fields[pair[0].lowercased()] = String(pair[1].drop { $0 == " " }) }
    }
    body = parts.count == 2 ? String(parts[1]) : ""
  }
}
