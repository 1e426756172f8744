public import NetEndpoint

/// Where a relayed connection goes.
public enum RelayTarget: Sendable, Equatable {
  /// Always there.
  case fixed(Endpoint)
  /// Where the peer meant to connect before a redirect (`SO_ORIGINAL_DST`). A connection that was not redirected is reset: relaying it would loop.
  case originalDestination
}

/// Limits and socket options of a relay.
public struct RelayOptions: Sendable, Equatable {
  /// For accepted connections.
  public var downstream = SocketOptions()
  /// For connections that the relay opens.
  public var upstream = SocketOptions()
  /// How long a connect may take.
  public var connectTimeout: Nanoseconds = 5_000_000_000
  /// How long a session may last after one side has shut its direction, counted from the last byte or the shut-down.
  public var halfCloseTimeout: Nanoseconds = 30_000_000_000
  /// How long a session may be silent; 0 is for ever.
  public var idleTimeout: Nanoseconds = 0
  /// The most sessions at a time; connections over it are reset.
  public var maximumSessions = 65_536

  /// The defaults above.
  public init() {}
}

/// TLS on one side of a relay, or on both.
public struct RelaySecurity {
  /// Makes what the connection to the target is secured with for an accepted one; nil for plain ones.
  public var upstream: ((AcceptedSocket) -> TLSParameters)?
  /// Takes each accepted connection for its handshake, and brings it back by `OpaqueRelay.relay`; nil for plain ones.
  public var admit: ((AcceptedSocket) -> Void)?

  /// Plain on both sides, until said otherwise.
  public init() {}
}

/// Why a relayed session ended.
public enum RelayEnd: Equatable, Sendable {
  /// Both directions were shut, all bytes delivered.
  case finished
  /// The downstream side was lost; the upstream was reset.
  case downstreamLost(SystemFailure)
  /// The upstream side was lost; the downstream was reset.
  case upstreamLost(SystemFailure)
  /// The upstream could not be opened; the downstream was reset.
  case connectFailed(SystemFailure)
  /// The upstream did not come to terms about TLS; the downstream was reset.
  case handshakeFailed(TLSFailure)
  /// The connect took longer than `connectTimeout`; the downstream was reset.
  case connectTimedOut
  /// One direction was shut and nothing came for `halfCloseTimeout`; both sides were reset.
  case halfCloseTimedOut
  /// Nothing came for `idleTimeout`; both sides were reset.
  case idleTimedOut
  /// `maximumSessions` were open.
  case refused
  /// The relay was closed.
  case relayClosed
}

/// What a relay tells of a session that is over.
public struct RelayReport: Sendable, Equatable {
  /// Who connected.
  public let downstream: Endpoint
  /// For whom, where that was told when the connection was brought back.
  public let origin: Endpoint?
  /// Where it was going, nil where that could not be found.
  public let upstream: Endpoint?
  /// Why it ended.
  public let end: RelayEnd
  /// Bytes given to the upstream's kernel.
  public let bytesUpstream: UInt64
  /// Bytes given to the downstream's kernel.
  public let bytesDownstream: UInt64
}

/// Copies bytes both ways between each accepted connection and one that it opens for it, and knows nothing of what they mean.
public final class OpaqueRelay {
  /// Counts of sessions since the start.
  public private(set) var sessionsOpened: UInt64 = 0
  /// Sessions now.
  public var sessionCount: Int { sessions.count }
  /// The address in use, with the real port.
  public var endpoint: Endpoint { listener.endpoint }
  /// Whether it takes connections now.
  public var isAccepting: Bool { listener.isAccepting }
  /// Bytes given to upstreams' kernels since the start. It walks the sessions; for once in a while.
  public var bytesUpstream: UInt64 { sessions.values.reduce(endedUpstream) { $0 &+ $1.upstream.bytesWritten } }
  /// Bytes given to downstreams' kernels since the start; likewise.
  public var bytesDownstream: UInt64 { sessions.values.reduce(endedDownstream) { $0 &+ $1.downstream.bytesWritten } }

  let reactor: Reactor
  /// Limits and socket options.
  public let options: RelayOptions
  private let target: RelayTarget
  private let ended: (RelayReport) -> Void
  /// TLS; set before the first connection.
  public var security = RelaySecurity()
  private var listener: Listener
  private var sessions: [UInt64: RelaySession] = [:]
  /// Of sessions that are over.
  private var endedUpstream: UInt64 = 0
  private var endedDownstream: UInt64 = 0

  /// Listens at once. `ended` is called for each session that is over, `trouble` as a `Listener` does; both on the reactor's thread.
  public init(
    reactor: Reactor, listen: Endpoint, target: RelayTarget, options: RelayOptions = RelayOptions(),
    ended: @escaping (RelayReport) -> Void = { _ in }, trouble: @escaping (ListenerTrouble) -> Void = { _ in }
  ) throws(SystemFailure) {
    self.reactor = reactor
    self.options = options
    self.target = target
    self.ended = ended
    let acceptor = RelayAcceptor()
    listener = try Listener(reactor: reactor, on: listen, accept: { acceptor.relay?.admit($0) }, trouble: trouble)
    acceptor.relay = self
  }

  deinit {
    listener.close()
    for session in sessions.values { session.abandon() }
  }

  /// Stops listening; sessions go on.
  public func stopAccepting() { listener.close() }

  /// Stops listening and resets all sessions.
  public func close() {
    listener.close()
    for session in Array(sessions.values) { session.finish(.relayClosed) }
  }

  private func admit(_ socket: AcceptedSocket) {
    if let admit = security.admit { admit(socket) } else { relay(socket, nil) }
  }

  /// Opens a session for an accepted connection.
  /// - Parameters:
  ///   - tls: the outcome of its handshake, where there was one.
  ///   - origin: for whom it was made, for the report; nil where that is not known.
  public func relay(_ socket: AcceptedSocket, _ tls: TLSSession?, origin: Endpoint? = nil) {
    let peer: Endpoint
    switch target {
    case .fixed(let endpoint): peer = endpoint
    case .originalDestination:
      do { peer = try socket.originalDestination() } catch {
        refuse(socket, nil, .connectFailed(error), origin)
        return
      }
    }
    guard sessions.count < options.maximumSessions else {
      refuse(socket, peer, .refused, origin)
      return
    }
    let upstream: RelaySide
    do {
      upstream = try RelaySide(reactor: reactor, connectingTo: peer, tls: security.upstream?(socket), options: options.upstream)
    } catch {
      refuse(socket, peer, .connectFailed(error), origin)
      return
    }
    let downstream: RelaySide
    let remote = socket.remote
    do {
      downstream = try RelaySide(reactor: reactor, accepted: socket, tls: tls, options: options.downstream, reading: false)
    } catch {
      upstream.reset()
      report(
        RelayReport(
          downstream: remote, origin: origin, upstream: peer, end: .downstreamLost(error), bytesUpstream: 0, bytesDownstream: 0))
      return
    }
    sessionsOpened &+= 1
    sessions[sessionsOpened] = RelaySession(self, sessionsOpened, downstream, upstream, origin: origin)
  }

  /// Resets an accepted connection for which there is no room.
  public func refuse(_ socket: AcceptedSocket) { refuse(socket, nil, .refused, nil) }

  private func refuse(_ socket: AcceptedSocket, _ peer: Endpoint?, _ end: RelayEnd, _ origin: Endpoint?) {
    socket.reset()
    report(
      RelayReport(downstream: socket.remote, origin: origin, upstream: peer, end: end, bytesUpstream: 0, bytesDownstream: 0))
  }

  func forget(_ identifier: UInt64, _ end: RelayEnd) {
    // The local reference keeps the session through the rest of this call, in which it is the last one.
    guard let session = sessions.removeValue(forKey: identifier) else { return }
    report(
      RelayReport(
        downstream: session.downstream.remote, origin: session.origin, upstream: session.upstream.remote, end: end,
        bytesUpstream: session.upstream.bytesWritten, bytesDownstream: session.downstream.bytesWritten))
  }

  private func report(_ report: RelayReport) {
    endedUpstream &+= report.bytesUpstream
    endedDownstream &+= report.bytesDownstream
    ended(report)
  }
}

/// The listener's closure is made before the relay is complete, and must not keep it alive.
private final class RelayAcceptor {
  weak var relay: OpaqueRelay?
}
