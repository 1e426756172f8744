internal import Glibc
internal import NetEndpoint
internal import Synchronization

/// Why a read or a write on a lab socket did not end well.
enum LabIOError: Error, Equatable {
  /// The other side closed in an orderly way.
  case endOfStream
  /// Any error of the kernel's, ECONNRESET most of all.
  case failed(errno: Int32)
  /// The deadline passed.
  case timedOut
  /// `stop` was called.
  case stopped
  /// The bytes are no packet.
  case malformed(String)
}

/// A TCP socket read and written by one thread at a time, in exact lengths; another thread may ask it to stop.
final class LabSocket: @unchecked Sendable {
  /// A wait for the kernel is cut into slices of this many milliseconds, so that `stop` is noticed.
  private static let sliceMs: Int32 = 50

  private var descriptor: Int32
  private let stopping = Atomic<Bool>(false)
  private let resetWanted = Atomic<Bool>(false)
  let peer: Endpoint

  init(descriptor: Int32, peer: Endpoint) {
    self.descriptor = descriptor
    self.peer = peer
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { close() }

  /// Dials, with a time limit in milliseconds.
  /// - Parameters:
  ///   - source: the address to dial from; nil for the kernel's choice.
  ///   - namespace: where; nil for where the thread is.
  static func connect(
    to endpoint: Endpoint, from source: Endpoint? = nil, in namespace: LabNamespace? = nil, timeoutMs: Int = 1_000
  ) throws(LabIOError) -> LabSocket {
    let descriptor = LabNamespace.socket(in: namespace)
    guard descriptor >= 0 else { throw .failed(errno: errno) }
    var limit = timeval(tv_sec: timeoutMs / 1_000, tv_usec: timeoutMs % 1_000 * 1_000)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    if let source, withSocketAddress(source, { bind(descriptor, $0, $1) }) != 0 {
      let code = errno
      Glibc.close(descriptor)
      throw .failed(errno: code)
    }
    let status = withSocketAddress(endpoint) { Glibc.connect(descriptor, $0, $1) }
    guard status == 0 else {
      let code = errno
      Glibc.close(descriptor)
      throw code == EINPROGRESS || code == EAGAIN ? .timedOut : .failed(errno: code)
    }
    return LabSocket(descriptor: descriptor, peer: endpoint)
  }

  /// Ends waits of the owning thread within a slice; with `reset`, its `close` sends RST.
  func stop(reset: Bool = false) {
    if reset { resetWanted.store(true, ordering: .releasing) }
    stopping.store(true, ordering: .releasing)
  }

  /// Closes; with RST where `stop(reset:)` or `reset` says so.
  func close(reset: Bool = false) {
    guard descriptor >= 0 else { return }
    if reset || resetWanted.load(ordering: .acquiring) {
      var now = linger(l_onoff: 1, l_linger: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }
    Glibc.close(descriptor)
    descriptor = -1
  }

  /// Sends FIN; what the other side sends can still be read.
  func shutdownWrite() {
    if descriptor >= 0 { shutdown(descriptor, Int32(SHUT_WR)) }
  }

  /// The address on this side.
  var local: Endpoint? {
    endpointOfSocket { getsockname(descriptor, $0, $1) }
  }

  /// True where bytes, FIN or an error wait to be read; waits up to that many milliseconds.
  func isReadable(withinMs milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  /// Reads exactly as many bytes as `buffer` has.
  /// - Parameter deadline: on `LabClock`; nil waits for ever, as the datanode's `NoReadDeadlineTime` does.
  func read(into buffer: UnsafeMutableRawBufferPointer, deadline: Int64?) throws(LabIOError) {
    var done = 0
    while done < buffer.count {
      let count = recv(descriptor, buffer.baseAddress! + done, buffer.count - done, Int32(MSG_DONTWAIT))
      if count > 0 {
        done += count
      } else if count == 0 {
        throw .endOfStream
      } else if errno == EAGAIN {
        try wait(for: Int16(POLLIN), deadline: deadline)
      } else if errno != EINTR {
        throw .failed(errno: errno)
      }
    }
  }

  /// Reads exactly `count` bytes.
  func read(_ count: Int, deadline: Int64?) throws(LabIOError) -> [UInt8] {
    if count == 0 { return [] }
    var failure: LabIOError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(LabIOError) {
        try read(into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]), deadline: deadline)
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Writes all of `bytes`.
  func write(_ bytes: UnsafeRawBufferPointer, deadline: Int64?) throws(LabIOError) {
    var done = 0
    while done < bytes.count {
      let count = send(
        descriptor, bytes.baseAddress! + done, bytes.count - done, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
      if count > 0 {
        done += count
      } else if errno == EAGAIN {
        try wait(for: Int16(POLLOUT), deadline: deadline)
      } else if errno != EINTR {
        throw .failed(errno: errno)
      }
    }
  }

  /// Writes all of `bytes`.
  func write(_ bytes: [UInt8], deadline: Int64? = nil) throws(LabIOError) {
    var failure: LabIOError?
    bytes.withUnsafeBytes { buffer in
      do throws(LabIOError) { try write(buffer, deadline: deadline) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  private func wait(for events: Int16, deadline: Int64?) throws(LabIOError) {
    while true {
      if stopping.load(ordering: .acquiring) { throw .stopped }
      var slice = Self.sliceMs
      if let deadline {
        let left = deadline - LabClock.nanoseconds
        if left <= 0 { throw .timedOut }
        slice = Int32(min(Int64(slice), left / 1_000_000 + 1))
      }
      var entry = pollfd(fd: descriptor, events: events, revents: 0)
      if poll(&entry, 1, slice) > 0 { return }
    }
  }
}

/// A listening TCP socket.
final class LabListener: @unchecked Sendable {
  /// Below those that the kernel gives where none is asked for (`net.ipv4.ip_local_port_range` as it comes): whoever asks for none, a
  /// sidecar that starts included, does not get one of these first.
  private static let ports: Range<UInt16> = 20_000..<32_768

  /// Endpoints of 127.0.0.1 on which nobody listens: bound and let go again.
  static func freeEndpoints(_ count: Int) throws(ChildProcess.Failure) -> [Endpoint] {
    var held: [LabListener] = []
    defer { for listener in held { listener.close() } }
    for _ in 0..<20 * count where held.count < count {
      if let listener = try? LabListener(Endpoint(address: 0x7F00_0001, port: .random(in: ports))) { held.append(listener) }
    }
    guard held.count == count else { throw ChildProcess.Failure(description: "no free loopback ports") }
    return held.map(\.endpoint)
  }

  private var descriptor: Int32
  let endpoint: Endpoint

  /// Binds and listens; port 0 lets the kernel choose.
  init(_ wanted: Endpoint, in namespace: LabNamespace? = nil) throws(LabIOError) {
    descriptor = LabNamespace.socket(in: namespace)
    guard descriptor >= 0 else { throw .failed(errno: errno) }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    let fd = descriptor
    guard withSocketAddress(wanted, { bind(fd, $0, $1) }) == 0, listen(fd, 1_024) == 0,
      let bound = endpointOfSocket({ getsockname(fd, $0, $1) })
    else {
      let code = errno
      Glibc.close(fd)
      throw .failed(errno: code)
    }
    endpoint = bound
  }

  deinit { close() }

  /// Stops listening; connections that wait are reset.
  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// The next connection, or nil where none comes within that many milliseconds.
  func accept(withinMs milliseconds: Int32) -> LabSocket? {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return nil }
    let accepted = Glibc.accept(descriptor, nil, nil)
    guard accepted >= 0 else { return nil }
    _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
    let peer = endpointOfSocket { getpeername(accepted, $0, $1) }
    return LabSocket(descriptor: accepted, peer: peer ?? Endpoint(address: 0, port: 0))
  }
}

private func withSocketAddress<Value>(_ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = endpoint.port.bigEndian
  address.sin_addr.s_addr = endpoint.address.bigEndian
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}

private func endpointOfSocket(_ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) -> Endpoint? {
  var address = sockaddr_in()
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let status = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask($0, &length) }
  }
  guard status == 0 else { return nil }
  return Endpoint(address: UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port))
}
