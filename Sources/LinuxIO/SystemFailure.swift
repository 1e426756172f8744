internal import CLinux
internal import Glibc

/// The system calls and socket options of this module that can fail, as messages name them.
public enum SystemCall: String, Sendable, CaseIterable {
  case accept, bind, close, connect, link, listen, open, read, socket, write
  case receive = "recv"
  case send
  case shutdown
  case localName = "getsockname"
  case remoteName = "getpeername"
  case originalDestination = "getsockopt(SO_ORIGINAL_DST)"
  case mark = "setsockopt(SO_MARK)"
  case noDelay = "setsockopt(TCP_NODELAY)"
  case keepAlive = "setsockopt(SO_KEEPALIVE)"
  case userTimeout = "setsockopt(TCP_USER_TIMEOUT)"
  case sendBuffer = "setsockopt(SO_SNDBUF)"
  case receiveBuffer = "setsockopt(SO_RCVBUF)"
  case reuseAddress = "setsockopt(SO_REUSEADDR)"
  case reusePort = "setsockopt(SO_REUSEPORT)"
  case epollCreate = "epoll_create1"
  case epollControl = "epoll_ctl"
  case epollWait = "epoll_wait"
  case eventDescriptor = "eventfd"
  case signalDescriptor = "signalfd"
  case ignoreSignal = "sigaction(SIGPIPE)"
  case descriptorLimit = "setrlimit(RLIMIT_NOFILE)"
  case thread = "pthread_create"
  case diagnosticsSocket = "socket(NETLINK_SOCK_DIAG)"
  case diagnosticsSend = "send(NETLINK_SOCK_DIAG)"
  case diagnosticsReceive = "recv(NETLINK_SOCK_DIAG)"
  case diagnosticsQuery = "SOCK_DIAG_BY_FAMILY"
  case cookie = "getsockopt(SO_COOKIE)"
  case records = "TLS"
  case makeDirectory = "mkdir"
  case lockFile = "flock"
  case changeMode = "fchmod"
  case synchronise = "fsync"
  case rename
}

/// A failed system call: which one, and the kernel's reason. A plain value: two integers, nothing to count references on.
public struct SystemFailure: Error, Equatable, Sendable {
  /// The call that failed.
  public let systemCall: SystemCall
  /// The kernel's reason, a positive errno.
  public let errno: Int32

  /// Names the call and its positive errno.
  public init(_ systemCall: SystemCall, _ errno: Int32) {
    self.systemCall = systemCall
    self.errno = errno
  }

  /// The name of the call as messages give it: `connect`, `setsockopt(SO_MARK)`.
  public var call: String { systemCall.rawValue }

  /// What an operator can do about it, where that is known.
  public var hint: String? {
    switch (systemCall, errno) {
    case (.mark, EPERM):
      "needs CAP_NET_ADMIN"
    case (.originalDestination, ENOENT):
      "the kernel knows no redirect of this connection: it reached the listener directly, or conntrack forgot it"
    case (.originalDestination, ENOPROTOOPT):
      "the kernel tracks no connections here: load the interception rules (nf_conntrack)"
    case (.bind, EADDRINUSE):
      "another socket listens there"
    case (.bind, EADDRNOTAVAIL):
      "no interface of this host has that address"
    case (.bind, EACCES):
      "ports below 1024 need CAP_NET_BIND_SERVICE"
    case (.connect, EADDRNOTAVAIL):
      "no local port is free towards this peer"
    case (_, EMFILE):
      "the process is at its descriptor limit: raise RLIMIT_NOFILE"
    case (_, ENFILE):
      "the host is at its descriptor limit: raise fs.file-max"
    default:
      nil
    }
  }
}

extension SystemFailure: CustomStringConvertible {
  /// `connect: ECONNREFUSED (Connection refused)`, and the hint where there is one.
  public var description: String {
    let name = clinux_errno_name(errno).map { String(cString: $0) } ?? "errno \(errno)"
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
      guard let base = buffer.baseAddress else { return "" }
      clinux_errno_text(errno, base, buffer.count)
      return String(cString: base)
    }
    return "\(call): \(name) (\(text))" + (hint.map { ": \($0)" } ?? "")
  }
}

/// Turns a shim's answer (a negative errno, or a value) into a value or a thrown failure.
@inline(__always)
@discardableResult
func check(_ call: SystemCall, _ answer: Int32) throws(SystemFailure) -> Int32 {
  if answer < 0 { throw SystemFailure(call, -answer) }
  return answer
}
