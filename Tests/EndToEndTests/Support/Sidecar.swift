import Glibc
import Testing

/// The program as `lanekeeper run` with a configuration of the test's, and its log, which goes to a file: a test that is busy
/// elsewhere must not be a slow reader. For one thread.
final class Sidecar {
  /// Lines of the configuration that differ from the defaults.
  struct Settings {
    /// Below `outbound:`, without indentation.
    var outbound: [String] = []
    /// The port of the local datanode, where there is to be an inbound listener.
    var datanode: UInt16?
    /// Where that listens.
    var inboundListen = "127.0.0.1:0"
    /// Further keys below `inbound:`, without indentation.
    var inbound: [String] = []
    /// The peers' ports of tunnels.
    var tunnels: [UInt16] = []
    /// `tls` of each tunnel.
    var tunnelTLS: String?
    /// The address of the listeners for the peers.
    var address = "127.0.0.1"
    /// Further listeners, as they stand in the list.
    var listeners: [String] = []
    /// Where it runs, and its peers' addresses are.
    var namespace: NetworkNamespace?
    /// Further sections as they stand in the file.
    var sections: [String] = []
    /// `log.level`.
    var level = "info"
    /// A shell command that the program is started behind: `ulimit -n 64`.
    var shell: String?
  }

  /// How the operations of a run ended, as its last line but one says.
  struct Accounting {
    var started = 0, delivered = 0, errorReply = 0, reset = 0, abandoned = 0, noneDue = 0, unfinished = 0

    init(_ line: LogLine) {
      func count(_ key: String) -> Int { line[key].flatMap { Int($0) } ?? -1 }
      started = count("started")
      delivered = count("delivered")
      errorReply = count("errorReply")
      reset = count("reset")
      abandoned = count("abandoned")
      noneDue = count("noneDue")
      unfinished = count("unfinished")
    }

    var ended: Int { delivered + errorReply + reset + abandoned + noneDue }
  }

  private let program: RunningProgram
  private let directory: String
  /// The configuration but for further sections.
  private let base: [String]
  /// Its log.
  var logPath: String { directory + "/log" }
  private var logText: [UInt8] = []
  /// The log file that was read last, and how much of it: a rotated log begins anew.
  private var logFile: (inode: ino_t, read: Int) = (0, 0)
  /// The ports of its listeners, in the order of the peers.
  private(set) var ports: [UInt16] = []
  /// The port of the first listener.
  var port: UInt16 { ports[0] }
  /// The port of the inbound listener.
  private(set) var inboundPort: UInt16 = 0
  /// The ports of the tunnels, in their order.
  private(set) var tunnelPorts: [UInt16] = []
  /// Its process.
  var pid: pid_t { program.pid }

  /// Starts it, with one listener for each peer's port on 127.0.0.1.
  init(peers: [UInt16], _ settings: Settings = Settings()) throws {
    var template = Array("/tmp/lanekeeper-e2e-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ProgramFailure("mkdtemp: \(String(cString: strerror(errno)))") }
    directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    var lines = ["node: e2e"]
    let listeners = peers.map { "{listen: \"\(settings.address):0\", peer: \"127.0.0.1:\($0)\"}" } + settings.listeners
    if !listeners.isEmpty { lines += ["outbound:"] + settings.outbound.map { "  " + $0 } + ["  listeners:"] }
    lines += listeners.map { "    - \($0)" }
    if let datanode = settings.datanode {
      lines +=
        ["inbound:", "  listen: \(settings.inboundListen)", "  datanode: 127.0.0.1:\(datanode)"] + settings.inbound.map { "  " + $0 }
    }
    if !settings.tunnels.isEmpty { lines.append("tunnels:") }
    for peer in settings.tunnels {
      lines += ["  - listen: 127.0.0.1:0", "    peer: 127.0.0.1:\(peer)"] + (settings.tunnelTLS.map { ["    tls: \($0)"] } ?? [])
    }
    base = lines + ["log:", "  path: \(directory)/log", "  level: \(settings.level)"]
    let path = directory + "/lanekeeper.yaml"
    try Self.write(base + settings.sections, to: path)
    let start = {
      guard let shell = settings.shell else { return try RunningProgram(["run", "--config", path]) }
      return try RunningProgram(
        ["-c", "\(shell); exec \"$0\" run --config \"$1\"", try Program.path(), path], executable: "/bin/sh")
    }
    program = try settings.namespace?.run(start) ?? start()
    let inbound = settings.datanode == nil ? 0 : 1
    let opened = try waitFor("listener.opened", count: listeners.count + inbound + settings.tunnels.count)
    func ports(_ direction: String) -> [UInt16] {
      opened.filter { $0["direction"] == direction }.compactMap { $0["detail"]?.split(separator: ":").last.flatMap { UInt16($0) } }
    }
    self.ports = ports("outbound")
    tunnelPorts = ports("tunnel")
    inboundPort = ports("inbound").first ?? 0
    guard self.ports.count == listeners.count, tunnelPorts.count == settings.tunnels.count else {
      throw ProgramFailure("listeners: \(output)")
    }
  }

  private static func write(_ lines: [String], to path: String) throws {
    guard let file = fopen(path, "w") else { throw ProgramFailure("cannot write \(path)") }
    fputs(lines.joined(separator: "\n") + "\n", file)
    fclose(file)
  }

  /// Gives it other further sections, by the file and SIGHUP. Returns the line in which it says what became of that.
  @discardableResult func reconfigure(_ sections: [String]) throws -> LogLine {
    try Self.write(base + sections, to: directory + "/lanekeeper.yaml")
    let answers = { [unowned self] in log("configuration.loaded") + log("configuration.refused") }
    let before = answers().count
    program.send(SIGHUP)
    try program.wait { _, _ in answers().count > before }
    // The youngest of either kind.
    return LogLine(text: String(output.split(separator: "\n").last { $0.contains("\"event\":\"configuration.") } ?? ""))
  }

  deinit {
    unlink(directory + "/lanekeeper.yaml")
    // Deploy/setup/test holds every line of it to the schema.
    if let kept = getenv("LANEKEEPER_KEEP_LOGS"), let name = directory.split(separator: "/").last {
      rename(logPath, "\(String(cString: kept))/\(name).log")
    }
    unlink(logPath)
    rmdir(directory)
  }

  /// The port of its metrics, where the configuration has one.
  func metricsPort() throws -> UInt16 {
    let line = try waitFor("metrics.opened").first
    return try #require(line?["detail"]?.split(separator: ":").last.flatMap { UInt16($0) })
  }

  /// The lines of that event so far, of that reason where one is given.
  func log(_ event: String, reason: String? = nil) -> [LogLine] {
    output.split(separator: "\n").filter { $0.contains("\"event\":\"\(event)\"") }.map { LogLine(text: String($0)) }.filter {
      reason == nil || $0["reason"] == reason
    }
  }

  /// All whole lines of the log so far.
  var output: String {
    let descriptor = open(logPath, O_RDONLY | O_CLOEXEC)
    if descriptor >= 0 {
      defer { close(descriptor) }
      var status = stat()
      if fstat(descriptor, &status) == 0, status.st_ino != logFile.inode { logFile = (status.st_ino, 0) }
      var piece = [UInt8](repeating: 0, count: 1 << 16)
      while case let count = pread(descriptor, &piece, piece.count, logFile.read), count > 0 {
        logText.append(contentsOf: piece[..<count])
        logFile.read += count
      }
    }
    return String(decoding: logText[..<((logText.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1)], as: UTF8.self)
  }

  /// Waits for that many lines of the event.
  @discardableResult func waitFor(_ event: String, reason: String? = nil, count: Int = 1) throws -> [LogLine] {
    do {
      try program.wait { _, _ in log(event, reason: reason).count >= count }
    } catch let failure as ProgramFailure {
      throw ProgramFailure("\(count) \(event): \(failure); log: \(output)")
    }
    return log(event, reason: reason)
  }

  /// Sends it a signal.
  func send(_ signal: Int32) { program.send(signal) }

  /// Waits for its end after SIGTERM: status 0, and every operation with one outcome.
  @discardableResult func stop(deadline: Duration = .seconds(40), sourceLocation: SourceLocation = #_sourceLocation) throws -> Accounting {
    program.send(SIGTERM)
    let result = try program.finish(deadline: deadline)
    #expect(result.status == 0, "\(result.stderr)", sourceLocation: sourceLocation)
    #expect(result.stderr == "", sourceLocation: sourceLocation)
    let line = try #require(log("accounting").last, sourceLocation: sourceLocation)
    let accounting = Accounting(line)
    #expect(accounting.unfinished == 0, sourceLocation: sourceLocation)
    #expect(accounting.ended == accounting.started, "\(accounting)", sourceLocation: sourceLocation)
    return accounting
  }
}

/// A line of the log.
struct LogLine {
  let text: String

  /// The text or number under that key of the line's object; nil where there is none.
  subscript(key: String) -> String? {
    let bytes = Array(text.utf8)
    let name = Array("\"\(key)\":".utf8)
    guard var index = bytes.indices.first(where: { bytes[$0...].starts(with: name) }).map({ $0 + name.count }) else { return nil }
    guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
      return String(decoding: bytes[index...].prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "}") }, as: UTF8.self)
    }
    var value: [UInt8] = []
    index += 1
    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
      if bytes[index] == UInt8(ascii: "\\") { index += 1 }
      if index < bytes.count { value.append(bytes[index]) }
      index += 1
    }
    return String(decoding: value, as: UTF8.self)
  }
}
