import Glibc
import LinuxIO
import NetEndpoint
import Testing

/// A connection of two plain blocking sockets over loopback: the caller, who is looked up, and the one who accepted it.
final class CallerPair {
  let caller: Int32
  private(set) var accepted: Int32
  let tuple: SocketTuple
  private var callerIsOpen = true

  /// `mapped` makes the caller an AF_INET6 socket that connects to ::ffff:127.0.0.1; `protocolNumber` 262 an MPTCP one.
  init(mapped: Bool = false, protocolNumber: Int32 = 0, source: Endpoint? = nil, listener given: Int32? = nil) throws {
    let listener = try given ?? CallerPair.listen()
    defer { if given == nil { Glibc.close(listener) } }
    let destination = CallerPair.name(of: listener)
    caller = socket(mapped ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), protocolNumber)
    try #require(caller >= 0, "socket errno \(errno)")
    if let source {
      var on: Int32 = 1
      setsockopt(caller, SOL_SOCKET, SO_REUSEADDR, &on, 4)
      try #require(CallerPair.call(bind, caller, source) == 0, "bind errno \(errno)")
    }
    let status = mapped ? CallerPair.connectMapped(caller, destination) : CallerPair.call(connect, caller, destination)
    try #require(status == 0, "connect errno \(errno)")
    accepted = accept(listener, nil, nil)
    _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
    var on: Int32 = 1
    setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
    try #require(accepted >= 0)
    tuple = SocketTuple(source: CallerPair.name(of: accepted, remote: true), destination: destination)
  }

  deinit { close() }

  func close() {
    closeAccepted()
    closeCaller()
  }

  func closeCaller() {
    guard callerIsOpen else { return }
    callerIsOpen = false
    Glibc.close(caller)
  }

  func closeAccepted() {
    guard accepted >= 0 else { return }
    Glibc.close(accepted)
    accepted = -1
  }

  /// The caller goes with RST, so that its tuple is free at once.
  func resetCaller() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(caller, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    closeCaller()
  }

  func push(_ count: Int, from fd: Int32) throws {
    let bytes = [UInt8](repeating: 0x5A, count: count)
    try #require(send(fd, bytes, count, Int32(MSG_NOSIGNAL)) == count)
  }

  func pull(_ count: Int, at fd: Int32) throws {
    var bytes = [UInt8](repeating: 0, count: count)
    try #require(recv(fd, &bytes, count, Int32(MSG_WAITALL)) == count)
  }

  var callerCookie: UInt64 {
    var cookie: UInt64 = 0
    var size = socklen_t(8)
    getsockopt(caller, SOL_SOCKET, 57, &cookie, &size)
    return cookie
  }

  static func listen() throws -> Int32 {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    try #require(call(bind, fd, Endpoint(address: 0x7F00_0001, port: 0)) == 0)
    try #require(Glibc.listen(fd, 4096) == 0)
    return fd
  }

  static func name(of fd: Int32, remote: Bool = false) -> Endpoint {
    var name = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { remote ? getpeername(fd, $0, &size) : getsockname(fd, $0, &size) }
    }
    return Endpoint(address: UInt32(bigEndian: name.sin_addr.s_addr), port: UInt16(bigEndian: name.sin_port))
  }

  private static func call(_ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ fd: Int32, _ endpoint: Endpoint) -> Int32 {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = endpoint.address.bigEndian
    name.sin_port = endpoint.port.bigEndian
    return withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { function(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  private static func connectMapped(_ fd: Int32, _ endpoint: Endpoint) -> Int32 {
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = endpoint.port.bigEndian
    withUnsafeMutableBytes(of: &name.sin6_addr) {
      $0[10] = 0xFF
      $0[11] = 0xFF
      $0.storeBytes(of: endpoint.address.bigEndian, toByteOffset: 12, as: UInt32.self)
    }
    return withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
    }
  }
}

/// Asks until the condition holds or two seconds have passed; the last answer.
func settled(_ ask: () throws -> CallerSocket, until condition: (CallerSocket) -> Bool) throws -> CallerSocket {
  let end = Reactor.clock() + 2_000_000_000
  while true {
    let answer = try ask()
    if condition(answer) || Reactor.clock() > end { return answer }
    sched_yield()
  }
}

/// What failed, nil where nothing did.
func failure(_ body: () throws(DiagnosticsFailure) -> CallerSocket) -> DiagnosticsFailure? {
  do throws(DiagnosticsFailure) {
    _ = try body()
    return nil
  } catch {
    return error
  }
}

func median(_ values: [UInt64]) -> UInt64 { values.isEmpty ? 0 : values.sorted()[values.count / 2] }

/// A thread of the test's own.
final class Background {
  private final class Body {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
  }
  private var thread = pthread_t()

  init(_ body: @escaping () -> Void) {
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(Body(body)).toOpaque())
    #expect(status == 0)
  }

  func join() { pthread_join(thread, nil) }
}

/// Runs a body on a thread of its own, which ends with it, and gives back what it returned.
func onOwnThread<Value>(_ body: @escaping () throws -> Value) throws -> Value {
  var result: Result<Value, any Error>?
  Background { result = Result { try body() } }.join()
  return try #require(result).get()
}
