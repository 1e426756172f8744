import Glibc
import Testing

/// tcpdump on one interface of a namespace.
final class WireCapture {
  let path: String
  private let program: RunningProgram

  init(_ namespace: NetworkNamespace, _ interface: String) throws {
    let path = "/tmp/lanekeeper-capture-\(getpid())-\(interface).pcap"
    self.path = path
    // As root it would change to a user of its own, who may not write here.
    program = try namespace.run {
      try RunningProgram(
        ["-i", interface, "-Z", "root", "-s", "0", "-B", "32768", "-U", "--immediate-mode", "-w", path], executable: "/usr/bin/tcpdump")
    }
    try program.wait { _, errors in errors.contains("listening on") }
  }

  deinit { unlink(path) }

  /// All that was seen, which is to be that much at least.
  func finish(atLeast count: Int) throws -> [UInt8] {
    #expect(
      eventually {
        var status = stat()
        return stat(path, &status) == 0 && status.st_size > count
      })
    program.send(SIGTERM)
    _ = try program.finish()
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ProgramFailure("cannot read \(path)") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 20)
    while case let count = read(descriptor, &piece, piece.count), count > 0 { bytes += piece[..<count] }
    return bytes
  }

  /// What tshark counts of frames that the filter takes, port 17310 read as TLS.
  func frames(_ filter: String) throws -> Int {
    let program = try RunningProgram(
      ["-r", path, "-d", "tcp.port==17310,tls", "-Y", filter, "-T", "fields", "-e", "frame.number"], executable: "/usr/bin/tshark")
    let result = try program.finish()
    #expect(result.status == 0, "\(result.stderr)")
    return result.stdout.split(separator: "\n").count
  }
}
