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
      for reply in replies { try send(reply, on: socket, inPieces: request.header.kernelOffset % 2 == 0) }
      isDoomed = replies.contains(where: \.isError)
    }
  }

  /// Header, Arg and payload by separate writes as CubeFS does, or all at once, as they arrive after a wait.
  private func send(_ reply: LabPacket, on socket: LabSocket, inPieces: Bool) throws {
    let deadline = LabClock.nanoseconds + Self.writeDeadline
    guard inPieces else { return try socket.write(reply.bytes, deadline: deadline) }
    try socket.write(reply.header.encoded(), deadline: deadline)
    if !reply.argument.isEmpty { try socket.write(reply.argument, deadline: deadline) }
    if !reply.payload.isEmpty { try socket.write(reply.payload, deadline: deadline) }
  }
}
