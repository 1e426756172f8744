internal import Glibc
internal import NetEndpoint

/// A network namespace in which the lab opens sockets, as a host of its own would: network_namespaces(7).
final class LabNamespace: Sendable {
  // Glibc declares it only for _GNU_SOURCE, which the module does not set.
  private typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
  private static let setNamespace = unsafeBitCast(dlsym(nil, "setns"), to: SetNamespace?.self)
  private static let network: Int32 = 0x4000_0000  // CLONE_NEWNET, linux/sched.h

  private let descriptor: Int32

  /// - Parameter path: as `/run/netns/NAME` or `/proc/PID/ns/net`.
  init(path: String) throws(LabIOError) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .failed(errno: errno) }
  }

  deinit { Glibc.close(descriptor) }

  /// Opens a stream socket inside: it stays there, whatever its thread does later. Needs CAP_SYS_ADMIN.
  /// - Returns: the descriptor; negative with `errno` set where it cannot be had.
  func socket() -> Int32 {
    // The namespace is the thread's: nobody else sees it change.
    let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    guard home >= 0 else { return -1 }
    defer { Glibc.close(home) }
    guard let enter = Self.setNamespace, enter(descriptor, Self.network) == 0 else { return -1 }
    let made = Self.streamSocket()
    let code = errno
    guard enter(home, Self.network) == 0 else {
      Glibc.close(made)
      return -1
    }
    errno = code
    return made
  }

  /// Opens one in that namespace, or where the thread is.
  static func socket(in namespace: LabNamespace?) -> Int32 { namespace?.socket() ?? streamSocket() }

  private static func streamSocket() -> Int32 {
    Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  }
}

/// A host for one datanode of the lab and its callers: somebody else has made it, and put a sidecar on it.
public struct LabHost: Sendable {
  /// Why a text names no host.
  public struct Problem: Error, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String
  }

  let namespace: LabNamespace
  /// Where the others reach its datanode.
  let endpoint: Endpoint

  /// Opens the namespace.
  /// - Parameter text: `NAMESPACE@ADDRESS:PORT`, as in `/run/netns/host-1@10.78.0.1:17310`.
  public init(_ text: String) throws(Problem) {
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    guard parts.count == 2, let endpoint = Endpoint(String(parts[1])) else {
      throw Problem(description: "'\(text.prefix(200))': NAMESPACE@ADDRESS:PORT is wanted, as in /run/netns/host-1@10.78.0.1:17310")
    }
    do throws(LabIOError) {
      namespace = try LabNamespace(path: String(parts[0]))
    } catch {
      throw Problem(description: "\(parts[0].prefix(200)): \(error)")
    }
    self.endpoint = endpoint
  }

  /// All addresses of the host, as a datanode listens.
  var anyAddress: Endpoint { Endpoint(address: 0, port: endpoint.port) }
}
