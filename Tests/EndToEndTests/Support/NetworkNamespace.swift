import Glibc

/// A network namespace without a name: it, its devices and its rules are gone when the test lets go of it and its processes end,
/// however the test ends.
final class NetworkNamespace: @unchecked Sendable {
  // Glibc declares both only for _GNU_SOURCE, which the module does not set.
  private typealias Unshare = @convention(c) (Int32) -> Int32
  private typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
  private static let unshare = unsafeBitCast(dlsym(nil, "unshare"), to: Unshare?.self)
  private static let setNamespace = unsafeBitCast(dlsym(nil, "setns"), to: SetNamespace?.self)
  private static let newNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET, linux/sched.h

  /// True where this process may make namespaces and devices in them: CAP_SYS_ADMIN and CAP_NET_ADMIN.
  static let isAvailable: Bool = {
    do {
      try NetworkNamespace().shell("ip link set lo up")
      return true
    } catch {
      return false
    }
  }()

  private let descriptor: Int32

  /// A fresh one, with nothing but a loopback device that is down.
  init() throws {
    descriptor = try Self.onOwnThread {
      guard let unshare = Self.unshare, unshare(Self.newNetwork) == 0 else {
        throw ProgramFailure("unshare(CLONE_NEWNET): \(String(cString: strerror(errno)))")
      }
      let descriptor = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw ProgramFailure("/proc/thread-self/ns/net: \(String(cString: strerror(errno)))") }
      return descriptor
    }
  }

  deinit { close(descriptor) }

  /// Where `ip link set ... netns` finds it.
  var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

  /// Runs the body on a thread inside: the sockets that it opens and the processes that it starts belong here, whoever uses them
  /// later.
  func run<Result>(_ body: () throws -> Result) throws -> Result {
    try Self.onOwnThread {
      guard let setNamespace = Self.setNamespace, setNamespace(self.descriptor, Self.newNetwork) == 0 else {
        throw ProgramFailure("setns: \(String(cString: strerror(errno)))")
      }
      return try body()
    }
  }

  /// Joins two namespaces by a pair of devices. They and the loopback devices are up then.
  /// - Parameters:
  ///   - addresses: of this end, each with its prefix, `10.78.0.1/24`.
  ///   - otherAddresses: of the other.
  func join(
    _ device: String, _ addresses: [String], to other: NetworkNamespace, _ otherDevice: String, _ otherAddresses: [String] = []
  ) throws {
    try shell("ip link add \(device) type veth peer name \(otherDevice) netns \(other.path)")
    for (namespace, device, addresses) in [(self, device, addresses), (other, otherDevice, otherAddresses)] {
      let commands = addresses.map { "ip address add \($0) dev \(device)" } + ["ip link set lo up", "ip link set \(device) up"]
      try namespace.shell(commands.joined(separator: "; "))
    }
  }

  /// Runs shell commands inside, until the first that fails. Their errors go to the test's standard error.
  func shell(_ commands: String) throws {
    let status = try run { () -> Int32 in
      var pid: pid_t = 0
      // Where Debian keeps ip and nft, which is not on every PATH.
      let script = "set -eu; PATH=/usr/sbin:/sbin:$PATH; \(commands)"
      let words: [UnsafeMutablePointer<CChar>?] = [strdup("sh"), strdup("-c"), strdup(script), nil]
      defer { for word in words { free(word) } }
      guard posix_spawn(&pid, "/bin/sh", nil, nil, words, environ) == 0 else { return -1 }
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
      return status
    }
    guard status == 0 else { throw ProgramFailure("status \(status): \(commands)") }
  }

  /// A thread of its own, because a namespace belongs to the thread, and Swift's pool must get its threads back as they were.
  private static func onOwnThread<Result>(_ body: () throws -> Result) throws -> Result {
    try withoutActuallyEscaping(body) { body in
      let task = Task(body)
      var thread = pthread_t()
      let started = pthread_create(
        &thread, nil,
        { argument in
          if let argument { Unmanaged<AnyTask>.fromOpaque(argument).takeUnretainedValue().run() }
          return nil
        }, Unmanaged<AnyTask>.passUnretained(task).toOpaque())
      guard started == 0 else { throw ProgramFailure("pthread_create: \(String(cString: strerror(started)))") }
      pthread_join(thread, nil)
      defer { task.body = nil }
      guard let result = task.result else { throw ProgramFailure("the thread gave no result") }
      return try result.get()
    }
  }

  private class AnyTask {
    func run() {}
  }

  private final class Task<Value>: AnyTask {
    var body: (() throws -> Value)?
    var result: Result<Value, any Error>?

    init(_ body: @escaping () throws -> Value) { self.body = body }

    override func run() { result = body.map { body in Result { try body() } } }
  }
}
