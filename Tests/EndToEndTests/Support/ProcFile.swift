import Glibc

/// Files of /proc, which have no size and no end in advance.
enum ProcFile {
  /// The file's text; empty where there is none.
  static func text(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = read(descriptor, &piece, piece.count), count > 0 { bytes.append(contentsOf: piece[..<count]) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether the process is stopped (proc(5), the state in /proc/PID/stat), as after SIGSTOP.
  static func isStopped(_ pid: pid_t) -> Bool {
    // The name before it may hold blanks, and stands in brackets.
    text("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ").first == "T"
  }

  /// The bytes that stand unread in each socket connected to that port of 127.0.0.1, by its own port. The kernel takes no
  /// socket's lock for it, which FIONREAD does.
  static func unread(connectedTo port: UInt16) -> [UInt16: Int] {
    var found: [UInt16: Int] = [:]
    for line in text("/proc/net/tcp").split(separator: "\n").dropFirst() {
      // sl local_address rem_address st tx_queue:rx_queue
      let fields = line.split(separator: " ")
      guard fields.count > 4, fields[3] == "01", number(fields[2], after: ":") == Int(port),
        let own = number(fields[1], after: ":"), let count = number(fields[4], after: ":")
      else { continue }
      found[UInt16(own)] = count
    }
    return found
  }

  private static func number(_ field: Substring, after mark: Character) -> Int? {
    field.split(separator: mark).last.flatMap { Int($0, radix: 16) }
  }
}
