import Glibc

/// An IPv4 address and port, as a test names them.
struct SocketAddress: Hashable, CustomStringConvertible, Sendable {
  var address: String
  var port: UInt16

  var description: String { "\(address):\(port)" }

  init(_ address: String, _ port: UInt16) {
    self.address = address
    self.port = port
  }

  fileprivate init(_ raw: sockaddr_in) {
    let number = UInt32(bigEndian: raw.sin_addr.s_addr)
    address = [24, 16, 8, 0].map { "\(number >> UInt32($0) & 0xFF)" }.joined(separator: ".")
    port = UInt16(bigEndian: raw.sin_port)
  }

  /// Calls with the kernel's form of it.
  func withRaw<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var raw = sockaddr_in()
    raw.sin_family = sa_family_t(AF_INET)
    raw.sin_port = port.bigEndian
    raw.sin_addr.s_addr = inet_addr(address)
    return withUnsafePointer(to: &raw) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
}

/// A blocking TCP socket of a test, with 20 s of patience for each call.
final class PlainSocket: @unchecked Sendable {
  let descriptor: Int32

  fileprivate init(accepted descriptor: Int32) {
    self.descriptor = descriptor
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  }

  private init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw ProgramFailure("socket: \(String(cString: strerror(errno)))") }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
  }

  convenience init(connectedTo remote: SocketAddress) throws {
    try self.init()
    let failure = remote.withRaw { connect(descriptor, $0, $1) == 0 ? 0 : errno }
    guard failure == 0 else { throw ProgramFailure("connect \(remote): \(String(cString: strerror(failure)))") }
  }

  convenience init(listeningOn local: SocketAddress) throws {
    try self.init()
    let failure = local.withRaw { bind(descriptor, $0, $1) == 0 && listen(descriptor, 1024) == 0 ? 0 : errno }
    guard failure == 0 else { throw ProgramFailure("bind \(local): \(String(cString: strerror(failure)))") }
  }

  deinit { close(descriptor) }

  /// getsockname.
  var local: SocketAddress { name(getsockname) }
  /// getpeername.
  var remote: SocketAddress { name(getpeername) }

  func write(_ bytes: [UInt8]) throws {
    guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw ProgramFailure("send to \(remote): \(String(cString: strerror(errno)))")
    }
  }

  func read(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = recv(descriptor, &bytes, count, Int32(MSG_WAITALL))
    guard got == count else {
      throw ProgramFailure("\(got) of \(count) bytes from \(remote): \(got < 0 ? String(cString: strerror(errno)) : "end")")
    }
    return bytes
  }

  /// Nil where a byte came; else the errno that ended the connection, 0 for an orderly end.
  func end() -> Int32? {
    var byte: UInt8 = 0
    let got = recv(descriptor, &byte, 1, 0)
    return got > 0 ? nil : got == 0 ? 0 : errno
  }

  private func name(_ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) -> SocketAddress {
    var raw = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &raw) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = call(descriptor, $0, &size) }
    }
    return SocketAddress(raw)
  }
}

/// Peers that answer each request of 57 bytes with its own header and result OK, and keep a record of what they saw.
final class InterceptedPeers: @unchecked Sendable {
  /// One request, as it came in.
  struct Sighting: Sendable {
    var peer: SocketAddress
    var from: SocketAddress
    var request: [UInt8]
  }

  private let listeners: [PlainSocket]
  private let wake: [Int32]
  private var thread = pthread_t()
  // Written by the thread until it is joined, read only then.
  private var seen: [Sighting] = []
  private var isFinished = false

  /// Listens on each address; the caller is in their namespace, and calls `finish()` before it lets go.
  init(_ addresses: [SocketAddress]) throws {
    listeners = try addresses.map { try PlainSocket(listeningOn: $0) }
    var pair: [Int32] = [-1, -1]
    guard pipe(&pair) == 0 else { throw ProgramFailure("pipe: \(String(cString: strerror(errno)))") }
    wake = pair
    let started = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<InterceptedPeers>.fromOpaque(argument).takeUnretainedValue().serve() }
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    guard started == 0 else { throw ProgramFailure("pthread_create: \(String(cString: strerror(started)))") }
  }

  /// Ends the peers; what they saw.
  @discardableResult func finish() -> [Sighting] {
    if isFinished { return seen }
    isFinished = true
    // A byte, not the end of the pipe: another test's program may have inherited our end of it.
    _ = Glibc.write(wake[1], [0], 1)
    pthread_join(thread, nil)
    for end in wake { close(end) }
    return seen
  }

  private func serve() {
    var connections: [PlainSocket] = []
    while true {
      let watched = [wake[0]] + listeners.map(\.descriptor) + connections.map(\.descriptor)
      var events = watched.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      guard poll(&events, nfds_t(events.count), -1) >= 0 else { continue }
      if events[0].revents != 0 { return }
      var ended: Set<Int32> = []
      for (index, connection) in connections.enumerated() where events[1 + listeners.count + index].revents != 0 {
        guard let request = try? connection.read(57) else {
          ended.insert(connection.descriptor)
          continue
        }
        seen.append(Sighting(peer: connection.local, from: connection.remote, request: request))
        var reply = request
        reply[3] = 0xF0
        if (try? connection.write(reply)) == nil { ended.insert(connection.descriptor) }
      }
      for (index, listener) in listeners.enumerated() where events[1 + index].revents != 0 {
        let accepted = accept(listener.descriptor, nil, nil)
        if accepted >= 0 { connections.append(PlainSocket(accepted: accepted)) }
      }
      connections.removeAll { ended.contains($0.descriptor) }
    }
  }
}
