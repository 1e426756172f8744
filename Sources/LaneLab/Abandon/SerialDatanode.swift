internal import CubeFSWire
internal import NetEndpoint
internal import Synchronization

/// A TCP server that answers by `SerialRules` and keeps no account of anything, so that a million operations cost no memory.
final class SerialDatanode: @unchecked Sendable {
  private static let writeDeadline: Int64 = 5_000_000_000

  let endpoint: Endpoint
  private let rules: SerialRules
  private let listener: LabListener
  private let lock = LabLock()
  private var sockets: [Int: LabSocket] = [:]
  private var accepts = 0
  private var acceptor: LabThread?
  private let stopping = Atomic<Bool>(false)

  /// Listens at once and serves until `stop`.
  init(at address: Endpoint, rules: SerialRules) throws(LabIOError) {
    self.rules = rules
    let listener = try LabListener(address)
    self.listener = listener
    endpoint = listener.endpoint
    acceptor = LabThread { [weak self] in
      while let self, !self.stopping.load(ordering: .acquiring) {
        if let socket = listener.accept(withinMs: 50) { self.serve(socket) }
      }
    }
  }

  /// Ends every connection and returns when all threads are done.
  func stop() {
    stopping.store(true, ordering: .releasing)
    acceptor?.join()
    acceptor = nil
    listener.close()
    for socket in lock.withLock({ Array(sockets.values) }) { socket.stop() }
    lock.wait(until: { sockets.isEmpty }, then: {})
  }

  private func serve(_ socket: LabSocket) {
    let number = lock.withLock { () -> Int in
      accepts += 1
      sockets[accepts] = socket
      return accepts
    }
    LabThread.detached { [self] in
      try? answer(socket)
      socket.close()
      lock.change { sockets[number] = nil }
    }
  }

  /// After an error reply one more packet is read and dropped, then the connection ends (PROTOCOL.md section 2).
  private func answer(_ socket: LabSocket) throws {
    var isDoomed = false
    while true {
      let request = try LabPacket.read(from: socket, release: rules.release, deadline: nil)
      if isDoomed { return }
      let replies = rules.replies(to: request)
      for reply in replies { try send(reply, Serial(request.header.kernelOffset), on: socket) }
      isDoomed = replies.contains(where: \.isError)
    }
  }

  /// As CubeFS writes it or all at once, as it arrives after a wait; now and then so late that it meets the caller's next
  /// request on the way.
  private func send(_ reply: LabPacket, _ serial: Serial, on socket: LabSocket) throws {
    if serial.hash(4) % 8 == 0 { LabClock.sleep(microseconds: UInt32(serial.hash(5) % 400)) }
    let deadline = LabClock.nanoseconds + Self.writeDeadline
    if serial.value % 2 == 0 { try reply.write(to: socket, deadline: deadline) } else { try socket.write(reply.bytes, deadline: deadline) }
  }
}
