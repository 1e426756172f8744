import Glibc
import LinuxIO
import NetEndpoint
import Testing

let loopback = Endpoint(address: 0x7F00_0001, port: 0)

/// Turns the reactor until the condition holds. False after ten seconds.
func turn(_ reactor: Reactor, seconds: UInt64 = 10, until condition: () -> Bool) throws -> Bool {
  let end = Reactor.clock() + seconds * 1_000_000_000
  while !condition() {
    if Reactor.clock() > end { return false }
    try reactor.runOnce(maximumWait: 2_000_000)
  }
  return true
}

/// A test's own end of a connection: a plain non-blocking socket, nothing of the module under test in it.
final class RawSocket {
  private(set) var fd: Int32
  var lastErrno: Int32 = 0

  init(adopting fd: Int32) { self.fd = fd }

  init(connectingTo endpoint: Endpoint, receiveBuffer: Int32? = nil) throws {
    fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(fd >= 0)
    if var size = receiveBuffer { setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size)) }
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = endpoint.address.bigEndian
    name.sin_port = endpoint.port.bigEndian
    let status = withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(status == 0, "connect errno \(errno)")
    _ = fcntl(fd, F_SETFL, O_NONBLOCK)
  }

  deinit { close() }

  /// Bytes, an empty array at the end of the stream, or nil where nothing is there or reading failed (`lastErrno`).
  func read(_ most: Int = 65_536) -> [UInt8]? {
    var count = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: most) { buffer, used in
      count = recv(fd, buffer.baseAddress, most, Int32(MSG_DONTWAIT))
      lastErrno = count < 0 ? errno : 0
      used = max(0, count)
    }
    return count < 0 ? nil : bytes
  }

  @discardableResult
  func write(_ bytes: [UInt8]) -> Int {
    let count = send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
    lastErrno = count < 0 ? errno : 0
    return count
  }

  func shutWrite() { shutdown(fd, Int32(SHUT_WR)) }

  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  func close() {
    guard fd >= 0 else { return }
    Glibc.close(fd)
    fd = -1
  }
}

/// A port of loopback on which nobody listens.
func deadPort() throws -> Endpoint {
  let reactor = try Reactor()
  let listener = try Listener(reactor: reactor, on: loopback, accept: { $0.close() })
  defer { listener.close() }
  return listener.endpoint
}

/// Records what a connection is told.
final class Recorder: Connection {
  var received: [UInt8] = []
  var reads = 0
  var events: [String] = []
  var readLimit = Reactor.readBufferSize
  var onReadable: ((Recorder) -> Void)?

  override func connected() { events.append("connected") }
  override func connectFailed(_ failure: SystemFailure) { events.append("connectFailed \(failure)") }
  override func drained() { events.append("drained") }
  override func broken(_ failure: SystemFailure) { events.append("broken \(failure.errno)") }
  override func readable() {
    if let onReadable {
      onReadable(self)
      return
    }
    reads += 1
    switch read(into: UnsafeMutableRawBufferPointer(rebasing: reactor.readBuffer[..<readLimit])) {
    case .bytes(let count): received += reactor.readBuffer[..<count]
    case .wouldBlock: events.append("wouldBlock")
    case .end: events.append("end")
    case .failed(let failure): events.append("failed \(failure.errno)")
    }
  }

  @discardableResult
  func send(_ bytes: [UInt8]) -> SendOutcome { bytes.withUnsafeBytes { send($0) } }
}

/// A connection of the reactor and the raw socket at its other end.
struct Pair {
  let connection: Recorder
  let raw: RawSocket

  init(_ reactor: Reactor, options: SocketOptions = SocketOptions(), reading: Bool = true, receiveBuffer: Int32? = nil) throws {
    var made: Recorder?
    let listener = try Listener(
      reactor: reactor, on: loopback,
      accept: { made = try? Recorder(reactor: reactor, accepted: $0, options: options, reading: reading) })
    raw = try RawSocket(connectingTo: listener.endpoint, receiveBuffer: receiveBuffer)
    #expect(try turn(reactor) { made != nil })
    listener.close()
    connection = try #require(made)
  }
}

/// Fletcher-like sum over any split of a stream: order matters, pieces do not.
struct RunningSum: Equatable {
  private(set) var count = 0
  private var low: UInt64 = 1
  private var high: UInt64 = 0

  mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes {
      low = (low &+ UInt64(byte)) % 0xFFFF_FFFB
      high = (high &+ low) % 0xFFFF_FFFB
      count += 1
    }
  }
}
