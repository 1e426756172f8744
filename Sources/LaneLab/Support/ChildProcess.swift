internal import Glibc

/// A child process whose standard output and standard error go to one file.
final class ChildProcess {
  /// What went wrong with a child.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private let logPath: String
  private var process: pid_t = 0
  private var ended: Int32?

  /// Starts `program` with those words after its name.
  init(program: String, words: [String], logPath: String) throws(Failure) {
    self.logPath = logPath
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

  deinit { if process > 0 { kill(process, SIGKILL) } }

  /// True while the child runs.
  var isRunning: Bool { exitStatus() == nil }

  /// Everything the child wrote so far.
  var log: String { Self.read(logPath, last: nil) }

  /// The whole lines in that many last bytes of it.
  func logTail(_ bytes: Int) -> String { Self.read(logPath, last: bytes) }

  /// How the child ended: its exit status, negative for a signal's number; nil while it runs.
  func exitStatus() -> Int32? { exitStatus(wait: false) }

  /// Waits for the end of the child.
  /// - Returns: as `exitStatus`; nil where it still runs after that many seconds.
  func wait(forSeconds seconds: Int64) -> Int32? {
    let deadline = LabClock.nanoseconds + seconds * 1_000_000_000
    while LabClock.nanoseconds < deadline {
      if let status = exitStatus() { return status }
      LabClock.sleep(milliseconds: 20)
    }
    return exitStatus()
  }

  /// Sends a signal, where it still runs.
  func send(_ signal: Int32) {
    // 0 would be this process's own group.
    if exitStatus() == nil { kill(process, signal) }
  }

  /// SIGTERM, and up to that many seconds for the end.
  /// - Returns: as `exitStatus`; nil where it did not end and was killed.
  func stop(withinSeconds seconds: Int64) -> Int32? {
    send(SIGTERM)
    if let status = wait(forSeconds: seconds) { return status }
    kill(process, SIGKILL)
    _ = exitStatus(wait: true)
    return nil
  }

  private func exitStatus(wait: Bool) -> Int32? {
    if let ended { return ended }
    var status: Int32 = 0
    guard process > 0, waitpid(process, &status, wait ? 0 : WNOHANG) == process else { return nil }
    let signal = status & 0x7F
    ended = signal == 0 ? status >> 8 & 0xFF : -signal
    process = 0
    return ended
  }

  private static func read(_ path: String, last: Int?) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var isCut = false
    if let last, fseek(file, 0, SEEK_END) == 0, ftell(file) > last {
      isCut = true
      fseek(file, -last, SEEK_END)
    } else {
      rewind(file)
    }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&piece, 1, piece.count, file)
      guard count > 0 else { break }
      bytes += piece[..<count]
    }
    let whole = isCut ? bytes.drop { $0 != 0x0A } : bytes[...]
    return String(decoding: whole, as: UTF8.self)
  }
}

/// A directory under /tmp for a child's files.
struct LabDirectory {
  let path: String

  init() throws(ChildProcess.Failure) {
    var template = Array("/tmp/lanekeeper-lab-XXXXXX".utf8CString)
    guard let made = template.withUnsafeMutableBufferPointer({ mkdtemp($0.baseAddress!) }) else {
      throw ChildProcess.Failure(description: "no directory under /tmp: errno \(errno)")
    }
    path = String(cString: made)
  }

  /// The path of a file in it.
  func file(_ name: String) -> String { path + "/" + name }

  /// Writes a file of the lab's.
  static func write(_ text: String, to path: String) throws(ChildProcess.Failure) {
    guard let file = fopen(path, "w") else { throw ChildProcess.Failure(description: "cannot write \(path): errno \(errno)") }
    fputs(text, file)
    fclose(file)
  }

  /// Removes it with the files that the lab makes, and the one directory that may be in it.
  func remove() {
    Self.empty(file("tls"))
    rmdir(file("tls"))
    Self.empty(path)
    rmdir(path)
  }

  private static func empty(_ directory: String) {
    guard let listing = opendir(directory) else { return }
    defer { closedir(listing) }
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { unlink("\(directory)/\(name)") }
    }
  }
}
