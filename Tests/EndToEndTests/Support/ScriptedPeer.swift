import Glibc

/// A datanode that does what a test says: each connection runs the test's closure on a thread of its own.
final class ScriptedPeer: Sendable {
  /// Its port.
  let port: UInt16
  private let listener: Int32
  private let state = Shared(State())
  private let acceptor = Shared<BlockingThread?>(nil)

  private struct State {
    var isStopping = false
    var accepted = 0
    var living: [Int: StreamSocket] = [:]
  }

  /// Listens.
  /// - Parameters:
  ///   - address: one of this host's.
  ///   - port: 0 for a free one.
  ///   - serve: called with each connection and its number, from 0.
  init(address: String = "127.0.0.1", port wanted: UInt16 = 0, serve: @escaping @Sendable (StreamSocket, Int) -> Void) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard listener >= 0 else { throw ProgramFailure("socket: \(String(cString: strerror(errno)))") }
    var on: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard SocketAddress(address, wanted).withRaw({ bind(listener, $0, $1) }) == 0, listen(listener, 1024) == 0 else {
      throw ProgramFailure("bind \(address):\(wanted): \(String(cString: strerror(errno)))")
    }
    var bound = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &bound) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
    }
    port = UInt16(bigEndian: bound.sin_port)
    self.listener = listener
    let state = state
    acceptor.withLock {
      $0 = BlockingThread {
        while true {
          let descriptor = acceptPrivately(listener)
          if descriptor < 0 && (errno == EINTR || errno == ECONNABORTED) { continue }
          guard descriptor >= 0 else { return }
          let socket = StreamSocket(owning: descriptor)
          let number = state.withLock { state -> Int? in
            guard !state.isStopping else { return nil }
            state.living[state.accepted] = socket
            state.accepted += 1
            return state.accepted - 1
          }
          guard let number else { return }
          BlockingThread {
            serve(socket, number)
            state.withLock { _ = $0.living.removeValue(forKey: number) }
          }.detach()
        }
      }
    }
  }

  deinit { stop() }

  /// Connections so far.
  var accepted: Int { state.withLock { $0.accepted } }
  /// Connections whose closure still runs.
  var living: Int { state.withLock { $0.living.count } }

  /// Ends every connection that lives, for its closure to see the end after the bytes that came.
  func hangUpIdle() {
    state.withLock { state in
      for socket in state.living.values { socket.hangUp() }
    }
  }

  /// Closes the listener, hangs up on every connection and waits for their closures.
  func stop() {
    let isFirst = state.withLock { state in
      defer { state.isStopping = true }
      return !state.isStopping
    }
    guard isFirst else { return }
    shutdown(listener, Int32(SHUT_RDWR))
    acceptor.withLock { $0 }?.join()
    close(listener)
    _ = eventually {
      state.withLock { state in
        for socket in state.living.values { socket.hangUp() }
        return state.living.isEmpty
      }
    }
  }
}

private func acceptPrivately(_ listener: Int32) -> Int32 {
  let descriptor = accept(listener, nil, nil)
  if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
  return descriptor
}
