internal import Glibc

/// The `openssl` command-line tool did not do what a test needs.
public struct OpenSSLToolFailure: Error, CustomStringConvertible {
  /// The call, and what it said on standard error.
  public let description: String
}

/// Runs the `openssl` command-line tool: it shares no code of ours with the program.
public struct OpenSSLTool: Sendable {
  /// What a finished run left.
  public struct Output: Sendable {
    /// The exit status; 128 + n where signal n ended it.
    public let status: Int32
    /// All of standard output.
    public let stdout: String
    /// All of standard error.
    public let stderr: String
  }

  /// Where it runs: relative paths in its arguments start here. What it prints is kept here for as long as it runs.
  public let directory: String

  /// A tool that runs in an existing directory.
  public init(directory: String) { self.directory = directory }

  /// Runs it to its end, with nothing on standard input; no shell takes part.
  /// - Parameter arguments: what follows `openssl`.
  /// - Returns: what it left, whatever its status. Throws `OpenSSLToolFailure` where it cannot be started.
  public func run(_ arguments: [String]) throws -> Output {
    let stdout = try Scratch(in: directory)
    let stderr = try Scratch(in: directory)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, stdout.path, O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr.path, O_WRONLY, 0)
    guard Self.changeDirectory(&actions, directory) == 0 else { throw OpenSSLToolFailure(description: "cannot run in \(directory)") }
    let words = Self.cStrings(["openssl"] + arguments)
    let variables = Self.cStrings(["PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "HOME=\(directory)"])
    defer { for word in words + variables { free(word) } }
    var pid: pid_t = 0
    let failure = posix_spawnp(&pid, "openssl", &actions, nil, words, variables)
    guard failure == 0 else {
      throw OpenSSLToolFailure(description: "cannot start openssl (apt install openssl): \(String(cString: strerror(failure)))")
    }
    var raw: Int32 = 0
    while waitpid(pid, &raw, 0) < 0 {
      guard errno == EINTR else { throw OpenSSLToolFailure(description: "waitpid: \(String(cString: strerror(errno)))") }
    }
    let status = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
    return Output(status: status, stdout: stdout.text(), stderr: stderr.text())
  }

  private static func cStrings(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
    var copies: [UnsafeMutablePointer<CChar>?] = []
    for text in texts { copies.append(strdup(text)) }
    return copies + [nil]
  }

  /// The Glibc module leaves `posix_spawn_file_actions_addchdir_np` out.
  private static func changeDirectory(_ actions: inout posix_spawn_file_actions_t, _ directory: String) -> Int32 {
    typealias Function = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32
    guard let symbol = dlsym(nil, "posix_spawn_file_actions_addchdir_np") else { return ENOSYS }
    return unsafeBitCast(symbol, to: Function.self)(&actions, directory)
  }

  /// Runs it where only success will do.
  /// - Returns: standard output. Throws `OpenSSLToolFailure` with standard error where the status is not 0.
  @discardableResult public func demand(_ arguments: [String]) throws -> String {
    let output = try run(arguments)
    guard output.status == 0 else {
      throw OpenSSLToolFailure(description: "openssl \(arguments.joined(separator: " ")): status \(output.status): \(output.stderr)")
    }
    return output.stdout
  }
}

/// An empty file of its own name, gone when this is.
private final class Scratch {
  let path: String

  init(in directory: String) throws {
    var template = Array("\(directory)/output-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else {
      throw OpenSSLToolFailure(description: "mkstemp in \(directory): \(String(cString: strerror(errno)))")
    }
    close(descriptor)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { unlink(path) }

  func text() -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 14)
    while case let count = read(descriptor, &piece, piece.count), count > 0 { bytes.append(contentsOf: piece[..<count]) }
    return String(decoding: bytes, as: UTF8.self)
  }
}
