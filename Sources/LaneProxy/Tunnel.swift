internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// A port whose bytes are passed on to one peer as they are: raft's heartbeat and replica ports.
final class Tunnel {
  let peer: Endpoint
  private let relay: OpaqueRelay
  private var doorsteps: Doorsteps?

  init(_ proxy: Proxy, on endpoint: Endpoint, to peer: Endpoint, tls: TunnelTLS) throws(SystemFailure) {
    self.peer = peer
    let settings = proxy.settings
    var options = RelayOptions()
    options.downstream = settings.downstream
    options.upstream = settings.upstream
    options.connectTimeout = settings.dialTimeout
    options.halfCloseTimeout = settings.halfClose
    options.maximumSessions = settings.maxConnections
    let sink = proxy.sink
    relay = try OpaqueRelay(
      reactor: proxy.reactor, listen: endpoint, target: .fixed(peer), options: options,
      ended: { [unowned proxy] in
        if case .handshakeFailed = $0.end { proxy.tlsStatistics.refused(.tunnel) }
        sink.record(LaneEvent($0))
      }, trouble: { [unowned proxy] in proxy.report($0, endpoint, .tunnel) })
    switch (tls, settings.tls, proxy.outboundSecurity) {
    case (.off, _, _): break
    case (.connect, _, let security?):
      relay.security.upstream = { security.tunnelParameters(to: peer, for: $0.remote) }
    case (.accept, let security?, _):
      doorsteps = Doorsteps(proxy, security, .tunnel, peer: peer) { [unowned self, unowned proxy] in
        proxy.tlsStatistics.opened(.tunnel, isTLS: $1 != nil)
        self.relay.relay($0, $1, origin: $2?.addresses?.source)
      }
      relay.security.admit = { [unowned self] in self.admit($0) }
    case (.connect, _, nil), (.accept, nil, _):
      // TLS is asked for, and there are no certificates: nothing goes through in plain.
      relay.security.admit = { [unowned self] in self.relay.refuse($0) }
    }
  }

  /// Bytes of a tunnel are anybody's: nothing but TLS is taken for it.
  private func admit(_ socket: AcceptedSocket) {
    guard let doorsteps, relay.sessionCount + doorsteps.count < relay.options.maximumSessions else { return relay.refuse(socket) }
    // The descriptor is closed already.
    do throws(SystemFailure) { try doorsteps.receive(socket, .tlsOnly) } catch {}
  }

  /// For connections from now on. Those to the peer ask for theirs as they are made.
  func apply(_ settings: TLSSettings) { doorsteps?.settings = settings }

  /// Of accepted connections, now.
  var handshakes: Int { doorsteps?.handshakes ?? 0 }

  var endpoint: Endpoint { relay.endpoint }
  var isAccepting: Bool { relay.isAccepting }

  var status: ProxyStatus.Tunnel {
    var status = ProxyStatus.Tunnel(listen: endpoint, peer: peer)
    status.connections = relay.sessionCount
    status.opened = relay.sessionsOpened
    status.bytesToPeer = relay.bytesUpstream
    status.bytesFromPeer = relay.bytesDownstream
    return status
  }

  func stopAccepting() {
    relay.stopAccepting()
    doorsteps?.close()
  }

  func close() { relay.close() }
}

extension LaneEvent {
  /// The end of a connection through a tunnel.
  init(_ report: RelayReport) {
    var failure: SystemFailure?
    var text: String?
    switch report.end {
    case .finished: self.init(.tunnelEnded)
    case .downstreamLost(let cause):
      self.init(.tunnelEnded, reason: .callerReset, action: .reset)
      failure = cause
    case .upstreamLost(let cause):
      self.init(.tunnelEnded, reason: .upstreamReset, action: .reset)
      failure = cause
    case .connectFailed(let cause):
      self.init(.tunnelEnded, reason: .dialFailed, action: .refused)
      failure = cause
    case .handshakeFailed(let cause):
      self.init(.tlsRefused, reason: Reason(cause.kind), action: .refused)
      text = "\(cause)"
    case .connectTimedOut: self.init(.tunnelEnded, reason: .dialTimeout, action: .refused)
    case .halfCloseTimedOut: self.init(.tunnelEnded, reason: .deadline, action: .reset)
    case .idleTimedOut: self.init(.tunnelEnded, reason: .idleTimeout, action: .reset)
    case .refused: self.init(.tunnelEnded, reason: .connectionLimit, action: .refused)
    case .relayClosed: self.init(.tunnelEnded, reason: .shutdown, action: .reset)
    }
    direction = .tunnel
    peer = report.upstream
    caller = report.downstream
    origin = report.origin
    let carried = "\(report.bytesUpstream) bytes to the peer, \(report.bytesDownstream) from it"
    detail = text ?? failure.map { "\($0); \(carried)" } ?? carried
  }
}
