import Glibc

/// A blocking TCP connection. May be closed from one thread while another reads.
final class StreamSocket: @unchecked Sendable {
  /// How a read ended.
  enum Ending: Equatable, Sendable {
    /// As many bytes as were asked for came.
    case complete
    /// The other end has shut its sending side.
    case end
    /// The connection was reset.
    case reset
    /// Nothing came in time.
    case timeout
  }

  /// The descriptor.
  let descriptor: Int32
  /// How long one read or write may take, seconds.
  static let patience = 15

  /// Takes over a connected descriptor.
  init(owning descriptor: Int32) {
    self.descriptor = descriptor
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    setTimeout(seconds: Self.patience)
  }

  /// Connects to a port of 127.0.0.1.
  /// - Parameter receiveBuffer: SO_RCVBUF, bytes, where it matters.
  convenience init(port: UInt16, receiveBuffer: Int32? = nil) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw ProgramFailure("socket: \(String(cString: strerror(errno)))") }
    if var receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size)) }
    let result = withLoopback(port: port) { connect(descriptor, $0, $1) }
    guard result == 0 else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw ProgramFailure("connect 127.0.0.1:\(port): \(reason)")
    }
    self.init(owning: descriptor)
  }

  /// Connects to any address.
  /// - Parameters:
  ///   - own: the own end; another connection may have it too, towards another address. Port 0: any.
  ///   - transport: IPPROTO_TCP, or what stands above it.
  convenience init(to remote: SocketAddress, from own: SocketAddress = SocketAddress("0.0.0.0", 0), transport: Int32 = 0) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), transport)
    guard descriptor >= 0 else { throw ProgramFailure("socket: \(String(cString: strerror(errno)))") }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    let isBound = own == SocketAddress("0.0.0.0", 0) || own.withRaw { bind(descriptor, $0, $1) } == 0
    guard isBound, remote.withRaw({ connect(descriptor, $0, $1) }) == 0 else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw ProgramFailure("connect \(remote) from \(own): \(reason)")
    }
    self.init(owning: descriptor)
  }

  deinit { close(descriptor) }

  /// The most time that one read or write takes from now on.
  func setTimeout(seconds: Int, microseconds: Int = 0) {
    var time = timeval(tv_sec: seconds, tv_usec: microseconds)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Writes all. False where the other end does not take it.
  @discardableResult func send(_ bytes: some Collection<UInt8>) -> Bool {
    let bytes = Array(bytes)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Writes in pieces of that many bytes, each its own segment where the kernel lets them be.
  @discardableResult func send(_ bytes: [UInt8], pieces: Int) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard send(rest.prefix(pieces)) else { return false }
      rest = rest.dropFirst(pieces)
    }
    return true
  }

  /// Reads that many bytes, or to the end.
  func receive(_ wanted: Int) -> (bytes: [UInt8], ending: Ending) {
    var bytes = [UInt8](repeating: 0, count: min(wanted, 1 << 22))
    var count = 0
    while count < wanted {
      if count == bytes.count { bytes += [UInt8](repeating: 0, count: min(wanted - count, 1 << 22)) }
      let got = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + count, $0.count - count, 0) }
      if got > 0 {
        count += got
        continue
      }
      if got < 0 && errno == EINTR { continue }
      let ending: Ending = got == 0 ? .end : errno == EAGAIN ? .timeout : .reset
      return (Array(bytes[..<count]), ending)
    }
    return (Array(bytes[..<count]), .complete)
  }

  /// Reads until the other end closes or resets, or nothing comes.
  func receiveToEnd() -> (bytes: [UInt8], ending: Ending) { receive(1 << 40) }

  /// Whether something, or the end, can be read now.
  func isReadable(within milliseconds: Int32 = 0) -> Bool {
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&wait, 1, milliseconds) == 1
  }

  /// Its own port.
  func localPort() throws -> UInt16 {
    var name = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    guard result == 0 else { throw ProgramFailure("getsockname: \(String(cString: strerror(errno)))") }
    return UInt16(bigEndian: name.sin_port)
  }

  /// Shuts the sending side.
  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Ends both sides; a thread that reads wakes up.
  func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// When the last reference goes, the other end gets a reset.
  func resetOnClose() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }
}

/// Calls with the address of a port on 127.0.0.1.
func withLoopback<Result>(port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}
