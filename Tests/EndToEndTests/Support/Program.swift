import Glibc

/// What a finished run of the program left.
struct ProgramResult {
  /// The exit status; 128 + n where signal n ended it.
  var status: Int32
  /// All of standard output.
  var output: [UInt8]
  /// All of standard error.
  var errors: [UInt8]

  /// Standard output as text.
  var stdout: String { String(decoding: output, as: UTF8.self) }
  /// Standard error as text.
  var stderr: String { String(decoding: errors, as: UTF8.self) }
}

/// A test could not run the program, or the program did not end in time.
struct ProgramFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// The built `lanekeeper`, as a user runs it.
enum Program {
  /// Runs the program to its end.
  /// - Parameters:
  ///   - arguments: what follows the program's name.
  ///   - stdin: all that it can read from standard input.
  ///   - deadline: it is killed, and the call throws, after this time.
  ///   - redirections: descriptors of the child that are opened on these paths instead of being captured.
  static func run(
    _ arguments: [String], stdin: [UInt8] = [], deadline: Duration = .seconds(60), redirections: [Int32: String] = [:]
  ) throws -> ProgramResult {
    let running = try RunningProgram(arguments, redirections: redirections)
    return try running.finish(stdin: stdin, deadline: deadline)
  }

  /// The path of a built program of the package: it lies in a directory above, or beside, the test bundle.
  static func path(_ name: String = "lanekeeper") throws -> String {
    var link = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let length = readlink("/proc/self/exe", &link, Int(PATH_MAX))
    let own = length > 0 ? String(decoding: link[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
    for start in [own, CommandLine.arguments.first ?? ""] {
      var parts = start.split(separator: "/").dropLast()
      while !parts.isEmpty {
        let candidate = "/" + parts.joined(separator: "/") + "/" + name
        var status = stat()
        if stat(candidate, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(candidate, X_OK) == 0 { return candidate }
        parts = parts.dropLast()
      }
    }
    throw ProgramFailure("no built \(name) above \(own): build the package first")
  }
}

/// One process of the program with its three standard streams in our hands. Not for two threads at a time.
final class RunningProgram {
  /// The process.
  let pid: pid_t
  private var input: Int32
  private var streams: [Int32]
  private var captured: [[UInt8]] = [[], []]
  private var status: Int32?

  /// Pipes and the spawn happen under one lock, so that no child inherits another child's pipe ends.
  private static let spawning = SpawnLock()
  /// A program that leaves its standard input unread must not end the tests.
  private static let ignoresBrokenPipes: Void = { signal(SIGPIPE, SIG_IGN) }()

  /// Starts the program.
  /// - Parameters:
  ///   - arguments: what follows the program's name.
  ///   - redirections: descriptors of the child that are opened on these paths instead of being captured.
  ///   - executable: another program's path.
  init(_ arguments: [String], redirections: [Int32: String] = [:], executable: String? = nil) throws {
    _ = Self.ignoresBrokenPipes
    let path = try executable ?? Program.path()
    let environment = try Self.environment()
    var pid: pid_t = 0
    var ends: [(read: Int32, write: Int32)] = []
    let failure = Self.spawning.withLock { () -> Int32 in
      for _ in 0..<3 {
        var pair: [Int32] = [-1, -1]
        if pipe(&pair) != 0 { return errno }
        for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        ends.append((pair[0], pair[1]))
      }
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      var attributes = posix_spawnattr_t()
      posix_spawnattr_init(&attributes)
      defer { posix_spawnattr_destroy(&attributes) }
      // The program starts as from a shell: what we ignore is not ignored there, and what threads of Swift's pool block is not blocked.
      var defaults = sigset_t()
      sigemptyset(&defaults)
      sigaddset(&defaults, SIGPIPE)
      posix_spawnattr_setsigdefault(&attributes, &defaults)
      var mask = sigset_t()
      sigemptyset(&mask)
      posix_spawnattr_setsigmask(&attributes, &mask)
      posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
      for (descriptor, end) in [(Int32(0), ends[0].read), (1, ends[1].write), (2, ends[2].write)] {
        if let path = redirections[descriptor] {
          posix_spawn_file_actions_addopen(&actions, descriptor, path, descriptor == 0 ? O_RDONLY : O_WRONLY, 0)
        } else {
          posix_spawn_file_actions_adddup2(&actions, end, descriptor)
        }
      }
      return withCStrings([path] + arguments) { words in
        withCStrings(environment) { variables in posix_spawn(&pid, path, &actions, &attributes, words, variables) }
      }
    }
    if ends.count == 3 {
      close(ends[0].read)
      close(ends[1].write)
      close(ends[2].write)
    }
    guard failure == 0 else { throw ProgramFailure("cannot start \(path): \(String(cString: strerror(failure)))") }
    self.pid = pid
    input = ends[0].write
    streams = [ends[1].read, ends[2].read]
    for descriptor in [input] + streams { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
  }

  deinit {
    for descriptor in [input] + streams where descriptor >= 0 { close(descriptor) }
    if status == nil {
      kill(pid, SIGKILL)
      var ignored: Int32 = 0
      waitpid(pid, &ignored, 0)
    }
  }

  /// Standard output so far.
  var output: String { String(decoding: captured[0], as: UTF8.self) }
  /// The same, as bytes.
  var outputBytes: [UInt8] { captured[0] }
  /// Standard error so far.
  var errors: String { String(decoding: captured[1], as: UTF8.self) }

  /// Sends a signal, unless the process was already seen to end.
  func send(_ signal: Int32) {
    if status == nil { kill(pid, signal) }
  }

  /// Closes our end of the program's standard output: its next write finds the reader gone.
  func closeOutput() {
    close(streams[0])
    streams[0] = -1
  }

  /// Writes to standard input and leaves it open. Throws where the program closed it, or does not take all in time.
  func feed(_ bytes: [UInt8], deadline: Duration = .seconds(30)) throws {
    let end = ContinuousClock.now + deadline
    var rest = bytes[...]
    while !rest.isEmpty {
      guard ContinuousClock.now < end, input >= 0, let written = pump(stdin: rest) else {
        throw ProgramFailure("standard input is not read; output: \(output) errors: \(errors)")
      }
      rest = rest.dropFirst(written)
    }
  }

  /// Likewise, in pieces of that many bytes, each once the program has taken the one before.
  func feed(_ bytes: [UInt8], pieces: Int, deadline: Duration = .seconds(30)) throws {
    let end = ContinuousClock.now + deadline
    var rest = bytes[...]
    while !rest.isEmpty {
      try feed(Array(rest.prefix(pieces)), deadline: end - ContinuousClock.now)
      rest = rest.dropFirst(pieces)
      var unread: Int32 = 1
      while ioctl(input, UInt(FIONREAD), &unread) == 0, unread > 0 {
        guard ContinuousClock.now < end else { throw ProgramFailure("standard input is not read; output: \(output) errors: \(errors)") }
        // The kernel tells nobody when a pipe has become empty.
        _ = poll(nil, 0, 1)
      }
    }
  }

  /// Reads until standard output and standard error together satisfy the condition.
  /// Throws where the program ends, or the deadline passes, before that.
  func wait(deadline: Duration = .seconds(30), until condition: (_ output: String, _ errors: String) -> Bool) throws {
    let end = ContinuousClock.now + deadline
    while !condition(output, errors) {
      guard streams.contains(where: { $0 >= 0 }) else {
        throw ProgramFailure("the program closed its output early; output: \(output) errors: \(errors)")
      }
      guard ContinuousClock.now < end else { throw ProgramFailure("not within \(deadline); output: \(output) errors: \(errors)") }
      pump(stdin: nil)
    }
  }

  /// Writes the rest of standard input, closes it, reads to the end of both outputs and waits for the process.
  /// Throws, and kills the process, where that takes longer than the deadline.
  func finish(stdin: [UInt8] = [], deadline: Duration = .seconds(60)) throws -> ProgramResult {
    let end = ContinuousClock.now + deadline
    var rest = stdin[...]
    while true {
      if rest.isEmpty && input >= 0 {
        close(input)
        input = -1
      }
      if streams.allSatisfy({ $0 < 0 }), reap() { break }
      guard ContinuousClock.now < end else {
        kill(pid, SIGKILL)
        throw ProgramFailure("killed after \(deadline); output: \(output) errors: \(errors)")
      }
      if let written = pump(stdin: rest) { rest = rest.dropFirst(written) } else { rest = [] }
    }
    return ProgramResult(status: status ?? -1, output: captured[0], errors: captured[1])
  }

  /// One turn of at most 20 ms: reads what is there, writes what fits. Nil where standard input is closed at the far end.
  @discardableResult private func pump(stdin: ArraySlice<UInt8>?) -> Int? {
    let wantsInput = input >= 0 && !(stdin ?? []).isEmpty
    var wait = streams.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    wait.append(pollfd(fd: wantsInput ? input : -1, events: Int16(POLLOUT), revents: 0))
    _ = poll(&wait, nfds_t(wait.count), 20)
    for index in streams.indices where wait[index].revents != 0 { drain(index) }
    guard wantsInput, wait[2].revents != 0, let stdin else { return 0 }
    let count = stdin.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
    if count < 0 { return errno == EAGAIN || errno == EINTR ? 0 : nil }
    return count
  }

  private func drain(_ index: Int) {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(streams[index], &piece, piece.count)
      if count > 0 {
        captured[index].append(contentsOf: piece[..<count])
      } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
        close(streams[index])
        streams[index] = -1
        return
      } else {
        return
      }
    }
  }

  private func reap() -> Bool {
    if status != nil { return true }
    var raw: Int32 = 0
    // Both outputs are closed, so the end is near; polled, because a process may close them and live on.
    guard waitpid(pid, &raw, WNOHANG) == pid else {
      _ = poll(nil, 0, 1)
      return false
    }
    status = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
    return true
  }

  private static func environment() throws -> [String] {
    let descriptor = open("/proc/self/environ", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ProgramFailure("cannot read /proc/self/environ") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 14)
    while case let count = read(descriptor, &piece, piece.count), count > 0 { bytes.append(contentsOf: piece[..<count]) }
    return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }
}

/// A mutex in memory that never moves.
private struct SpawnLock: @unchecked Sendable {
  // Only ever used through pthread calls.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() { pthread_mutex_init(mutex, nil) }

  func withLock<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}

/// Calls the body with a null-terminated array of C strings.
private func withCStrings<Result>(_ words: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
  let copies = words.map { strdup($0) } + [nil]
  defer { for copy in copies { free(copy) } }
  return body(copies)
}
