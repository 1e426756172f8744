internal import CubeFSWire
internal import NetEndpoint
internal import Synchronization

/// A TCP server that behaves as a CubeFS datanode of one release, and misbehaves where its script says so.
final class ScriptedDatanode: @unchecked Sendable {
  let rules: DatanodeRules
  let script: FaultScript
  let ledger = DatanodeLedger()
  let endpoint: Endpoint

  /// Serves one accepted connection, whose number in the ledger is given, to its end.
  typealias Session = @Sendable (_ datanode: ScriptedDatanode, _ socket: LabSocket, _ number: Int) -> Void

  private let session: Session
  private let host: LabHost?
  private let lock = LabLock()
  private var listener: LabListener?
  private var acceptor: LabThread?
  private var sockets: [Int: LabSocket] = [:]
  private let stopping = Atomic<Bool>(false)

  /// Listens at once and serves until `stop`.
  /// - Parameters:
  ///   - endpoint: a loopback address; port 0 lets the kernel choose.
  ///   - host: where; nil for the lab's own. Then it listens at all addresses of the host, at the port of its endpoint.
  ///   - session: what it does with a connection, where that is not what its rules and its script say.
  init(
    at endpoint: Endpoint, host: LabHost? = nil, rules: DatanodeRules, script: FaultScript, session: Session? = nil
  ) throws(LabIOError) {
    self.host = host
    self.rules = rules
    self.script = script
    self.session =
      session ?? { datanode, socket, number in
        var connection = DatanodeConnection(
          socket: socket, number: number, rules: datanode.rules, script: datanode.script, ledger: datanode.ledger)
        connection.run()
      }
    let listener = try LabListener(host?.anyAddress ?? endpoint, in: host?.namespace)
    self.endpoint = host?.endpoint ?? listener.endpoint
    self.listener = listener
    startAccepting(listener)
  }

  /// Stops listening and ends every connection, with RST where asked for; returns when all threads are done.
  func stop(reset: Bool = false) {
    stopping.store(true, ordering: .releasing)
    acceptor?.join()
    acceptor = nil
    listener?.close()
    listener = nil
    for socket in lock.withLock({ Array(sockets.values) }) { socket.stop(reset: reset) }
    lock.wait(until: { sockets.isEmpty }, then: {})
  }

  /// Listens again at the same address, as a datanode that comes back.
  func restart() throws(LabIOError) {
    let again = try LabListener(host?.anyAddress ?? endpoint, in: host?.namespace)
    stopping.store(false, ordering: .releasing)
    listener = again
    startAccepting(again)
  }

  private func startAccepting(_ listener: LabListener) {
    acceptor = LabThread { [weak self] in
      while let self, !self.stopping.load(ordering: .acquiring) {
        guard let socket = listener.accept(withinMs: 50) else { continue }
        self.serve(socket)
      }
    }
  }

  private func serve(_ socket: LabSocket) {
    let number = ledger.accepted(socket.peer)
    lock.withLock { sockets[number] = socket }
    LabThread.detached { [self] in
      session(self, socket, number)
      ledger.closed(number)
      socket.close()
      lock.change { sockets[number] = nil }
    }
  }
}
