internal import NetEndpoint

/// A datanode's pool of connections: per target; the first use dials five; first in, first out; no liveness check; 30 s
/// idle. CubeFS `util/conn_pool.go`, v3.3.0.
final class CallerPool: @unchecked Sendable {
  private static let capacity = 500
  private static let idleLimit: Int64 = 30_000_000_000

  private struct Idle {
    let socket: LabSocket
    let since: Int64
  }

  private let firstDials: Int
  private let source: Endpoint?
  private let namespace: LabNamespace?
  private let lock = LabLock()
  private var idle: [Endpoint: [Idle]] = [:]

  /// - Parameters:
  ///   - firstDials: connections that the first use dials.
  ///   - source: the address to dial from; nil for the kernel's choice.
  ///   - namespace: where from; nil for the lab's own.
  init(firstDials: Int = 5, source: Endpoint? = nil, namespace: LabNamespace? = nil) {
    self.firstDials = firstDials
    self.source = source
    self.namespace = namespace
  }

  /// A pooled connection, or a new one.
  func get(_ target: Endpoint) throws(LabIOError) -> LabSocket {
    let isFirst = lock.withLock { () -> Bool in
      if idle[target] != nil { return false }
      idle[target] = []
      return true
    }
    if isFirst {
      // Refused dials are passed over, as the original does.
      for _ in 0..<firstDials {
        if let socket = try? connect(target) { put(socket, target, close: false) }
      }
    }
    while let next = lock.withLock({ takeFirst(target) }) {
      if LabClock.nanoseconds - next.since <= Self.idleLimit { return next.socket }
      next.socket.close()
    }
    return try connect(target)
  }

  /// A connection of its own, which the pool does not know.
  func connect(_ target: Endpoint) throws(LabIOError) -> LabSocket { try LabSocket.connect(to: target, from: source, in: namespace) }

  /// Gives a connection back, or closes it.
  func put(_ socket: LabSocket, _ target: Endpoint, close: Bool) {
    let kept =
      !close
      && lock.withLock { () -> Bool in
        guard idle[target, default: []].count < Self.capacity else { return false }
        idle[target, default: []].append(Idle(socket: socket, since: LabClock.nanoseconds))
        return true
      }
    if !kept { socket.close() }
  }

  /// Closes all idle connections; with RST, as a process that dies with replies unread.
  func closeAll(reset: Bool = false) {
    let sockets = lock.withLock { () -> [Idle] in
      defer { idle = [:] }
      return idle.values.flatMap { $0 }
    }
    for entry in sockets { entry.socket.close(reset: reset) }
  }

  private func takeFirst(_ target: Endpoint) -> Idle? {
    guard var queue = idle[target], !queue.isEmpty else { return nil }
    let first = queue.removeFirst()
    idle[target] = queue
    return first
  }
}
