internal import LaneCore
internal import LinuxIO

/// The kernel's eye on the callers' sockets: cheap looks on the reactor's own thread, looks with counters on a helper's.
final class CallerWatch {
  private let diagnostics: SocketDiagnostics
  private var helper: DiagnosticsHelper?

  /// `answered` gets the session's number, what was found, and how long the kernel took, nanoseconds.
  init(
    reactor: Reactor, capacity: Int, answered: @escaping (_ session: Int, DeliveryGate.Answer, _ took: Nanoseconds) -> Void
  ) throws(DiagnosticsFailure) {
    diagnostics = try SocketDiagnostics()
    helper = try DiagnosticsHelper(reactor: reactor, capacity: capacity) { answer in
      answered(Int(truncatingIfNeeded: answer.token), DeliveryGate.Answer(answer.result), answer.took)
    }
  }

  /// State and queues, at once: the kernel takes no lock for them.
  func look(at tuple: SocketTuple, pinned: UInt64, twice: Bool) -> DeliveryGate.Answer {
    do throws(DiagnosticsFailure) {
      guard twice else { return DeliveryGate.Answer(.success(try diagnostics.queues(of: tuple, pinned: pinned))) }
      let (first, second) = try diagnostics.queuesTwice(of: tuple, pinned: pinned)
      return .observedTwice(DeliveryGate.Observation(first), DeliveryGate.Observation(second))
    } catch {
      return DeliveryGate.Answer(.failure(error))
    }
  }

  /// Asks for the counters, too. False where no answer will come.
  func ask(_ session: Int, about tuple: SocketTuple, pinned: UInt64?) -> Bool {
    helper?.ask(UInt64(session), tuple, pinned: pinned) == .accepted
  }

  /// No answer comes from here on.
  func close() {
    helper?.close()
    helper = nil
  }
}

extension DeliveryGate.Answer {
  init(_ result: Result<CallerSocket, DiagnosticsFailure>) {
    switch result {
    case .success(let socket): self = .observed(DeliveryGate.Observation(socket))
    // Another socket has the tuple now, or none has.
    case .failure(.notFound), .failure(.wrongTuple): self = .notFound
    case .failure: self = .failed
    }
  }
}

extension DeliveryGate.Observation {
  init(_ socket: CallerSocket) {
    self.init(
      cookie: socket.cookie, isEstablished: socket.isEstablished, receiveQueue: socket.rqueue, sendQueue: socket.wqueue,
      // Looks without counters do not tell; each proof begins with one that does.
      hasULP: socket.hasULP ?? false,
      counters: socket.counters.map {
        DeliveryGate.Counters(
          bytesReceived: $0.bytesReceived, bytesSent: $0.bytesSent, bytesRetransmitted: $0.bytesRetrans, bytesAcked: $0.bytesAcked,
          notSent: $0.notSent)
      })
  }
}
