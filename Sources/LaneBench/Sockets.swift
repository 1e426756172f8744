import CLinux
import Glibc
import NetEndpoint

/// What `errno` number means, in the system's words.
func errorText(_ number: Int32) -> String {
  guard let text = strerror(number) else { return "errno \(number)" }
  return String(cString: text)
}

/// Writes a line at once; `print` would hold it back where standard output is a pipe.
func say(_ line: String, to descriptor: Int32 = STDOUT_FILENO) {
  var rest = Array((line + "\n").utf8)[...]
  while !rest.isEmpty {
    let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if written < 0 && errno == EINTR { continue }
    if written <= 0 { return }
    rest = rest.dropFirst(written)
  }
}

/// Nanoseconds of the monotonic clock.
func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// Blocking helpers over IPv4 sockets, and their switch to non-blocking.
enum Sockets {
  static func listen(on endpoint: Endpoint) throws -> (descriptor: Int32, local: Endpoint) {
    let descriptor = try make()
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    var address = socketAddress(endpoint)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> Int32 in
        guard bind(descriptor, pointer, length) == 0, Glibc.listen(descriptor, 1024) == 0 else { return -1 }
        return getsockname(descriptor, pointer, &length)
      }
    }
    guard result == 0 else { throw BenchError.system("listening on \(endpoint)", errno) }
    try setNonBlocking(descriptor)
    return (descriptor, Endpoint(address: UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port)))
  }

  /// Connects and waits for it; the socket is non-blocking afterwards.
  static func connect(to endpoint: Endpoint) throws -> Int32 {
    let descriptor = try make()
    var address = socketAddress(endpoint)
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      let number = errno
      close(descriptor)
      throw BenchError.system("connecting to \(endpoint)", number)
    }
    try prepare(descriptor)
    return descriptor
  }

  /// Non-blocking and without Nagle's delay.
  static func prepare(_ descriptor: Int32) throws {
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    try setNonBlocking(descriptor)
  }

  private static func make() throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw BenchError.system("socket", errno) }
    return descriptor
  }

  private static func setNonBlocking(_ descriptor: Int32) throws {
    guard fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) == 0 else {
      throw BenchError.system("O_NONBLOCK", errno)
    }
  }

  private static func socketAddress(_ endpoint: Endpoint) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = endpoint.port.bigEndian
    address.sin_addr.s_addr = endpoint.address.bigEndian
    return address
  }
}

/// A level-triggered epoll set; each descriptor is known by a number of the owner's choice.
final class Poller {
  private let descriptor: Int32
  private let events: UnsafeMutableBufferPointer<epoll_event>

  static let readable = EPOLLIN.rawValue
  static let writable = EPOLLOUT.rawValue

  init() throws {
    descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard descriptor >= 0 else { throw BenchError.system("epoll_create1", errno) }
    events = .allocate(capacity: 256)
  }

  deinit {
    close(descriptor)
    events.deallocate()
  }

  func add(_ socket: Int32, token: Int, interest: UInt32) throws {
    try control(EPOLL_CTL_ADD, socket, token, interest)
  }

  func change(_ socket: Int32, token: Int, interest: UInt32) throws {
    try control(EPOLL_CTL_MOD, socket, token, interest)
  }

  /// Waits at most until `deadline` (monotonic nanoseconds; nil for ever) and hands out what is ready.
  func wait(until deadline: UInt64?, _ body: (_ token: Int, _ events: UInt32) throws -> Void) throws {
    let count: Int32
    if let deadline {
      // epoll_wait counts in milliseconds, too coarse for an open loop.
      let now = monotonicNanoseconds()
      let left = deadline > now ? deadline - now : 0
      var time = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
      count = epoll_pwait2(descriptor, events.baseAddress, Int32(events.count), &time, nil)
    } else {
      count = epoll_wait(descriptor, events.baseAddress, Int32(events.count), -1)
    }
    if count < 0 {
      if errno == EINTR { return }
      throw BenchError.system("epoll_wait", errno)
    }
    for index in 0..<Int(count) {
      let event = events[index]
      try body(Int(event.data.u64), event.events)
    }
  }

  private func control(_ operation: Int32, _ socket: Int32, _ token: Int, _ interest: UInt32) throws {
    var event = epoll_event(events: interest, data: epoll_data_t(u64: UInt64(token)))
    guard epoll_ctl(descriptor, operation, socket, &event) == 0 else { throw BenchError.system("epoll_ctl", errno) }
  }
}
