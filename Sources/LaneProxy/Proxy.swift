internal import CubeFSWire
public import LaneCore
public import LinuxIO
public import NetEndpoint

/// All that one reactor proxies: listeners, callers' sessions, peers and their lanes. Created and used in the reactor's thread.
public final class Proxy {
  /// Where a listener's connections are to go.
  public enum Route: Sendable, Equatable {
    /// To one peer.
    case peer(Endpoint)
    /// To where the caller meant, as connection tracking remembers.
    case originalDestination
  }

  let reactor: Reactor
  private(set) var settings: ProxySettings
  let sink: any EventSink
  /// Where the packets that led to an event go; nil where nobody keeps them.
  let evidence: (any EvidenceKeeper)?
  /// When the last packet was recorded; the reactor's clock, nanoseconds.
  private var lastPacketTime: UInt64 = 0
  let catalogue = OperationCatalogue.standard
  let wantsDetail: Bool
  private let observed: [Bool]
  /// The lab's defects.
  let judgesNothing: Bool
  let keepsStamps: Bool
  var stamps: StampGenerator
  /// What sees the callers' sockets; nil where the delivery gate does not work.
  private(set) var watch: CallerWatch?
  /// How operations began and ended.
  public internal(set) var accounting = Accounting()
  /// What the delivery gates did.
  public internal(set) var gateStatistics = GateStatistics()
  let readAheadPool = ReadAheadPool()
  /// TLS towards peers; nil where it is not configured.
  private(set) var outboundSecurity: OutboundSecurity?
  /// Goes up when connections to peers are made in another way than before.
  private(set) var securityGeneration: UInt64 = 0
  /// How many connections spoke TLS, and how many did not.
  public internal(set) var tlsStatistics = TLSStatistics()
  private(set) var listeners: [Listener] = []
  private(set) var peers: [Endpoint: Peer] = [:]
  private(set) var sessions: [Int: CallerSession] = [:]
  private var nextSession = 1
  /// The way to the local datanode, where there is one.
  private(set) var inbound: Inbound?
  private(set) var tunnels: [Tunnel] = []
  /// Where the local datanode's readers of tiny-delete records stop, as inbound tasks said.
  var tinyDeleteSizes = TinyDeleteSizes()
  /// Serialises what conflicts on one extent; nil where nothing is to be done about it.
  let conflicts: ConflictDesk?
  private var sweep: ReactorTimer?
  /// `drain` was called.
  public private(set) var isDraining = false
  private var drainDeadline: ReactorTimer?
  private var onDrained: (() -> Void)?

  /// - Parameters:
  ///   - reactor: whose thread this is.
  ///   - random: 64 random bits a call, for stamps.
  ///   - sink: where events go.
  ///   - evidence: keeps the packets that led to an event; nil where nobody does, and then no connection remembers any.
  public init(
    reactor: Reactor, settings: ProxySettings, sink: any EventSink, evidence: (any EvidenceKeeper)? = nil,
    random: @escaping @Sendable () -> UInt64
  ) {
    self.reactor = reactor
    self.settings = settings
    self.sink = sink
    self.evidence = evidence
    wantsDetail = sink.wantsDetail
    judgesNothing = settings.sabotage == .judge
    keepsStamps = settings.sabotage == .restore
    observed = OperationClass.allCases.map { settings.judge[$0] == .observe }
    stamps = StampGenerator(random: random)
    outboundSecurity = settings.tls.map { OutboundSecurity($0) }
    conflicts = settings.conflicts == .off ? nil : ConflictDesk(reactor, settings.conflicts)
    sweep = ReactorTimer(reactor) { [unowned self] in self.sweepLanes() }
    sweep?.arm(at: reactor.now + Self.sweepInterval)
  }

  /// Starts the delivery gate for connections that are accepted from now on, and tells whether it works.
  /// - Parameter test: what the self-test of the socket diagnostics found; nil where the gate is switched off.
  public func startGate(_ test: DiagnosticsSelfTest?) {
    var event = LaneEvent(.gateDisabled, reason: test == nil ? .gateOff : .gateUnsupported)
    event.detail = test?.description
    if let test, test.isUsable, settings.sabotage != .gate {
      do throws(DiagnosticsFailure) {
        watch = try CallerWatch(reactor: reactor, capacity: settings.maxConnections) { [unowned self] number, answer, took in
          self.sessions[number]?.answered(answer, took: took)
        }
        event = LaneEvent(.gateReady)
        event.detail = test.description
      } catch {
        event.detail = "\(error)"
      }
    }
    sink.record(event)
  }

  /// TLS as these settings have it from now on, for every connection that is made or accepted, and how long connections to peers
  /// live. Idle connections to peers are closed, those in use when they are given back; accepted ones stay as they are. All else in
  /// the settings is left as it was. A tunnel with TLS must have been opened with TLS.
  public func apply(_ fresh: ProxySettings) {
    settings.tls = fresh.tls
    settings.lanes = fresh.lanes
    if let tls = fresh.tls, let outboundSecurity {
      outboundSecurity.apply(tls)
    } else {
      outboundSecurity = fresh.tls.map { OutboundSecurity($0) }
    }
    inbound?.applySettings()
    if let tls = fresh.tls { for tunnel in tunnels { tunnel.apply(tls) } }
    securityGeneration &+= 1
    for peer in peers.values { peer.reconfigure() }
  }

  private static let sweepInterval: Nanoseconds = 1_000_000_000

  /// Opens a listener. Returns its address, with the real port.
  public func listen(on endpoint: Endpoint, route: Route) throws(SystemFailure) -> Endpoint {
    let listener = try Listener(
      reactor: reactor, on: endpoint, backlog: 1024, accept: { [unowned self] in self.accept($0, route) },
      trouble: { [unowned self] in self.report($0, endpoint, .outbound) })
    listeners.append(listener)
    let peer: Endpoint? = if case .peer(let peer) = route { peer } else { nil }
    opened(listener.endpoint, .outbound, peer: peer)
    return listener.endpoint
  }

  /// Opens the way to the local datanode: what connects there is paired with a connection to `datanode`. Once at most. Returns the
  /// listener's address, with the real port.
  public func listenInbound(
    on endpoint: Endpoint, datanode: Endpoint, limits: InboundLimits = InboundLimits()
  ) throws(SystemFailure) -> Endpoint {
    precondition(inbound == nil, "a sidecar has one datanode")
    let inbound = try Inbound(self, on: endpoint, datanode: datanode, limits: limits)
    self.inbound = inbound
    opened(inbound.listener.endpoint, .inbound, peer: datanode)
    return inbound.listener.endpoint
  }

  /// Opens a tunnel: what connects there is passed on to `peer` byte by byte. Returns the listener's address, with the real port.
  /// - Parameter tls: on which side TLS is spoken; without `ProxySettings.tls` on neither.
  public func openTunnel(on endpoint: Endpoint, to peer: Endpoint, tls: TunnelTLS = .off) throws(SystemFailure) -> Endpoint {
    let tunnel = try Tunnel(self, on: endpoint, to: peer, tls: tls)
    tunnels.append(tunnel)
    opened(tunnel.endpoint, .tunnel, peer: peer)
    return tunnel.endpoint
  }

  private func opened(_ endpoint: Endpoint, _ direction: LaneEvent.Direction, peer: Endpoint?) {
    var event = LaneEvent(.listenerOpened)
    event.direction = direction
    event.peer = peer
    event.detail = "\(endpoint)"
    sink.record(event)
  }

  // MARK: Accepting

  private func accept(_ socket: AcceptedSocket, _ route: Route) {
    let destination: Endpoint
    switch route {
    case .peer(let peer): destination = peer
    case .originalDestination:
      do {
        destination = try socket.originalDestination()
      } catch {
        return refuse(socket, .noOriginalDestination, nil, detail: "\(error)")
      }
      // Somebody connected to the listener itself: to dial that would come back here.
      if listeners.contains(where: { $0.endpoint.port == destination.port && [0, destination.address].contains($0.endpoint.address) }) {
        return refuse(socket, .proxyLoop, destination, detail: nil)
      }
    }
    if isDraining { return refuse(socket, .shutdown, destination, detail: nil) }
    guard sessions.count < settings.maxConnections else { return refuse(socket, .connectionLimit, destination, detail: nil) }
    let peer = peer(destination)
    // A peer that has just refused is refused here, too: a caller's pool dials ahead, and must not take this for a live peer.
    guard peer.isWorthTrying(now: reactor.now) else { return refuse(socket, .peerBackOff, destination, detail: nil) }
    do {
      let session = try CallerSession(proxy: self, peer: peer, number: newSessionNumber(), accepted: socket)
      sessions[session.number] = session
    } catch {
      var event = LaneEvent(.connectionRefused, reason: .callerReset, action: .refused)
      event.caller = socket.remote
      event.peer = destination
      event.detail = "\(error)"
      sink.record(event)
    }
  }

  /// The time of a packet that is recorded, nanoseconds: the reactor's clock, and later than that of any before, since the clock stands
  /// still while the reactor handles what it found.
  func packetTime() -> UInt64 {
    lastPacketTime = max(lastPacketTime &+ 1, reactor.now)
    return lastPacketTime
  }

  func newSessionNumber() -> Int {
    defer { nextSession += 1 }
    return nextSession
  }

  func refuse(
    _ socket: AcceptedSocket, _ reason: Reason, _ peer: Endpoint?, detail: String?, _ direction: LaneEvent.Direction = .outbound,
    origin: Endpoint? = nil
  ) {
    socket.reset()
    var event = LaneEvent(.connectionRefused, reason: reason, action: .refused)
    event.direction = direction
    event.caller = socket.remote
    event.origin = origin
    event.peer = peer
    event.detail = detail
    sink.record(event)
  }

  func report(_ trouble: ListenerTrouble, _ endpoint: Endpoint, _ direction: LaneEvent.Direction) {
    var event: LaneEvent
    switch trouble {
    case .descriptorsExhausted(let failure):
      event = LaneEvent(.listenerExhausted, reason: .descriptorLimit, action: .paused)
      event.detail = "\(endpoint): \(failure)"
    case .recovered(let pause):
      event = LaneEvent(.listenerRecovered)
      event.duration = pause
      event.detail = "\(endpoint)"
    case .stopped(let failure):
      event = LaneEvent(.listenerFailed, action: .refused)
      event.detail = "\(endpoint): \(failure)"
    }
    event.direction = direction
    sink.record(event)
  }

  // MARK: Parts

  private func peer(_ endpoint: Endpoint) -> Peer {
    if let known = peers[endpoint] { return known }
    let peer = Peer(endpoint, self)
    peers[endpoint] = peer
    return peer
  }

  func observes(_ operationClass: OperationClass) -> Bool { observed[Int(operationClass.rawValue)] }

  func session(_ number: Int) -> CallerSession? { sessions[number] }

  func ended(_ session: CallerSession) {
    sessions[session.number] = nil
    if isDraining { drainStep() }
  }

  private func sweepLanes() {
    for (endpoint, peer) in peers {
      peer.sweep(now: reactor.now)
      if peer.mayBeForgotten(now: reactor.now) && !sessions.values.contains(where: { $0.peer === peer }) { peers[endpoint] = nil }
    }
    conflicts?.sweep()
    sweep?.arm(at: reactor.now + Self.sweepInterval)
  }

  // MARK: Stopping

  /// Stops accepting, lets operations finish for as long as `shutdownTimeout`, resets what is left, then calls `done`.
  public func drain(_ done: @escaping () -> Void) {
    guard !isDraining else { return }
    isDraining = true
    onDrained = done
    for listener in listeners { listener.close() }
    listeners.removeAll()
    inbound?.drain()
    for tunnel in tunnels { tunnel.stopAccepting() }
    drainDeadline = ReactorTimer(reactor) { [unowned self] in
      for session in Array(self.sessions.values) { session.fail(.shutdown) }
      self.inbound?.resetAll()
      self.drainStep()
    }
    drainDeadline?.arm(at: reactor.now + settings.shutdownTimeout)
    for session in Array(sessions.values) { session.closeIfIdle() }
    drainStep()
  }

  func drainStep() {
    guard sessions.isEmpty, inbound?.sessions.isEmpty ?? true, let done = onDrained else { return }
    onDrained = nil
    // Raft's connections have no end of their own: they last as long as there is an operation to finish.
    for tunnel in tunnels { tunnel.close() }
    drainDeadline?.disarm()
    sweep?.disarm()
    conflicts?.close()
    watch?.close()
    for peer in peers.values { peer.retireIdle(.shutdown) }
    // A peer and its proxy hold each other.
    peers.removeAll()
    done()
  }
}
