internal import Glibc
internal import NetEndpoint

/// The sidecar as a child process, with one explicit listener for each datanode, and its log in a file.
final class SidecarProcess {
  /// What went wrong with the child.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Where callers connect, one for each peer, in order.
  let listeners: [Endpoint]
  private let directory: String
  private let logPath: String
  private var process: pid_t = 0

  /// Starts `program run --config FILE`.
  /// - Parameter settings: further lines of the configuration.
  init(program: String, peers: [Endpoint], sabotage: String?, settings: String = "") throws(Failure) {
    var template = Array("/tmp/lanekeeper-lab-XXXXXX".utf8CString)
    guard let made = template.withUnsafeMutableBufferPointer({ mkdtemp($0.baseAddress!) }) else {
      throw Failure(description: "no directory under /tmp: errno \(errno)")
    }
    directory = String(cString: made)
    logPath = directory + "/sidecar.log"
    // Bound and let go again: nobody else in the lab asks the kernel for a port in between.
    let held = peers.compactMap { _ in try? LabListener(Endpoint(address: 0x7F00_0001, port: 0)) }
    guard held.count == peers.count else { throw Failure(description: "no free loopback ports") }
    listeners = held.map(\.endpoint)
    for listener in held { listener.close() }
    let lines = zip(listeners, peers).map { "    - listen: \($0)\n      peer: \($1)\n" }.joined()
    let text = "node: lab\ncubefsRelease: auto\noutbound:\n  listeners:\n\(lines)log:\n  level: info\n\(settings)"
    try Self.write(text, to: directory + "/config.yaml")
    try spawn(program, ["run", "--config", directory + "/config.yaml"] + (sabotage.map { ["--sabotage", $0] } ?? []))
  }

  deinit { if process > 0 { kill(process, SIGKILL) } }

  /// Waits until every listener accepts.
  func waitUntilReady() throws(Failure) {
    let deadline = LabClock.nanoseconds + 10_000_000_000
    for listener in listeners {
      while (try? LabSocket.connect(to: listener)) == nil {
        if let status = exitStatus(wait: false) {
          throw Failure(description: "the sidecar ended with status \(status) before it listened:\n\(log.suffix(2_000))")
        }
        guard LabClock.nanoseconds < deadline else { throw Failure(description: "the sidecar does not listen at \(listener)") }
        usleep(20_000)
      }
    }
  }

  /// True while the child runs.
  var isRunning: Bool { exitStatus(wait: false) == nil }

  /// SIGTERM, and up to that many seconds for the end.
  /// - Returns: the exit status, negative for a signal's number, nil where it did not end and was killed.
  func stop(withinSeconds seconds: Int64 = 15) -> Int32? {
    // 0 would be this process's own group.
    if let status = exitStatus(wait: false) { return status }
    kill(process, SIGTERM)
    let deadline = LabClock.nanoseconds + seconds * 1_000_000_000
    while LabClock.nanoseconds < deadline {
      if let status = exitStatus(wait: false) { return status }
      usleep(20_000)
    }
    kill(process, SIGKILL)
    _ = exitStatus(wait: true)
    return nil
  }

  /// Everything the child wrote so far, standard error included.
  var log: String { Self.read(logPath) }

  /// Removes the directory with configuration and log.
  func removeFiles() {
    unlink(logPath)
    unlink(directory + "/config.yaml")
    rmdir(directory)
  }

  /// Where configuration and log lie, for a message to a person.
  var files: String { directory }

  private var ended: Int32?

  private func exitStatus(wait: Bool) -> Int32? {
    if let ended { return ended }
    var status: Int32 = 0
    guard process > 0, waitpid(process, &status, wait ? 0 : WNOHANG) == process else { return nil }
    let signal = status & 0x7F
    ended = signal == 0 ? status >> 8 & 0xFF : -signal
    process = 0
    return ended
  }

  private func spawn(_ program: String, _ words: [String]) throws(Failure) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    var pointers = ([program] + words).map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    let status = posix_spawn(&process, program, &actions, nil, &pointers, environ)
    guard status == 0 else {
      process = 0
      throw Failure(description: "cannot start \(program): errno \(status)")
    }
  }

  private static func write(_ text: String, to path: String) throws(Failure) {
    guard let file = fopen(path, "w") else { throw Failure(description: "cannot write \(path): errno \(errno)") }
    fputs(text, file)
    fclose(file)
  }

  private static func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&piece, 1, piece.count, file)
      guard count > 0 else { break }
      bytes += piece[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
