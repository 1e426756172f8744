public import LaneCore
public import LinuxIO
public import NetEndpoint

/// What a proxy holds at one moment.
public struct ProxyStatus: Sendable {
  /// The connections of one class, over all peers.
  public struct Lanes: Sendable, Equatable {
    /// In use.
    public var leased = 0
    /// Being opened.
    public var dialling = 0
    /// Waiting for an operation.
    public var idle = 0
    /// Callers that wait for one.
    public var waiting = 0

    /// Those counts.
    public init(leased: Int = 0, dialling: Int = 0, idle: Int = 0, waiting: Int = 0) {
      self.leased = leased
      self.dialling = dialling
      self.idle = idle
      self.waiting = waiting
    }
  }

  /// One tunnel.
  public struct Tunnel: Sendable, Equatable {
    /// Where it listens.
    public var listen: Endpoint
    /// Where it leads.
    public var peer: Endpoint
    /// Connections now.
    public var connections = 0
    /// Connections since the start.
    public var opened: UInt64 = 0
    /// Bytes passed on to the peer since the start.
    public var bytesToPeer: UInt64 = 0
    /// Bytes passed on from the peer since the start.
    public var bytesFromPeer: UInt64 = 0

    /// A tunnel that has carried nothing.
    public init(listen: Endpoint, peer: Endpoint) {
      self.listen = listen
      self.peer = peer
    }
  }

  /// TLS on the hop.
  public struct TLS: Sendable, Equatable {
    /// Connections since the start.
    public var statistics = TLSStatistics()
    /// Handshakes of accepted connections now.
    public var handshakes = 0
    /// Addresses whose connections to the local datanode are in plain now; only where TLS may be spoken inbound.
    public var plainSources: Set<UInt32> = []
    /// Peers whose last connection is in plain; only where TLS may be spoken to them.
    public var plainPeers: [Endpoint] = []
    /// Our own certificate, as it is in force.
    public var certificate: CertificateDescription
    /// When the first of our certificate, its chain and the CAs ends, seconds since 1970.
    public var firstExpiry: Int64
  }

  /// The conflict guard.
  public struct Conflicts: Sendable {
    /// Operations that it knows of, repair rounds included.
    public var operations = 0
    /// Who waits for whom.
    public var holds: [ConflictGuard.Hold] = []
    /// How long operations were held.
    public var waits = WaitHistogram()
  }

  /// `Proxy.drain` was called.
  public var isDraining = false
  /// Connections of callers.
  public var callers = 0
  /// Peers that were dialled, or asked for, of late.
  public var peers = 0
  /// Connections to peers, by class.
  public var lanes: [OperationClass: Lanes] = [:]
  /// Connections of peers and clients to the local datanode; nil without inbound.
  public var inbound: Int?
  /// The tunnels, in the order in which they were opened.
  public var tunnels: [Tunnel] = []
  /// What TLS does; nil where it is not configured.
  public var tls: TLS?
  /// What the conflict guard holds; nil where it is off.
  public var conflicts: Conflicts?
  /// The random bits of this process's operation ids.
  public var process: UInt64 = 0
  /// When all this was so, nanoseconds of the monotonic clock.
  public var now: Nanoseconds = 0
  /// Listeners that take no connections although they should.
  public var notAccepting: [Endpoint] = []

  /// Nothing.
  public init() {}
}

extension Proxy {
  /// How operations of the inbound direction began and ended; nil without inbound.
  public var inboundAccounting: Accounting? { inbound?.accounting }

  /// The present state. It walks all peers' lanes; for once in a while.
  public var status: ProxyStatus {
    var status = ProxyStatus()
    status.isDraining = isDraining
    status.callers = sessions.count
    status.peers = peers.count
    for operationClass in OperationClass.allCases {
      var sum = ProxyStatus.Lanes()
      for peer in peers.values {
        let lane = peer.lanes[Int(operationClass.rawValue)]
        sum.leased += lane.leased
        sum.dialling += lane.dialling
        sum.idle += lane.idleCount
        sum.waiting += lane.waiting
      }
      status.lanes[operationClass] = sum
    }
    status.inbound = inbound?.sessions.count
    status.tunnels = tunnels.map(\.status)
    status.tls = settings.tls.map { tlsStatus($0) }
    status.conflicts = conflicts.map { .init(operations: $0.count, holds: $0.holds, waits: $0.waits) }
    status.process = settings.process ?? 0
    status.now = reactor.now
    status.notAccepting = listeners.filter { !$0.isAccepting }.map(\.endpoint)
    // Those stay in the list when the proxy stops accepting.
    if !isDraining {
      if let listener = inbound?.listener, !listener.isAccepting { status.notAccepting.append(listener.endpoint) }
      status.notAccepting += tunnels.filter { !$0.isAccepting }.map(\.endpoint)
    }
    return status
  }

  private func tlsStatus(_ settings: TLSSettings) -> ProxyStatus.TLS {
    let context = settings.certificates.current
    let certificates = context.chain + context.authorities
    var status = ProxyStatus.TLS(certificate: context.chain[0], firstExpiry: certificates.map(\.notAfter).min() ?? 0)
    status.statistics = tlsStatistics
    status.handshakes = (inbound?.doorsteps?.handshakes ?? 0) + tunnels.reduce(0) { $0 + $1.handshakes }
    if settings.inbound.mode != .off {
      status.plainSources = Set(inbound?.sessions.values.lazy.filter { $0.tls == nil }.map(\.remote.address) ?? [])
    }
    status.plainPeers = peers.values.filter { $0.wasPlain && settings.outbound.rule(for: $0.endpoint.address).mode != .off }.map(\.endpoint)
      .sorted()
    return status
  }
}
