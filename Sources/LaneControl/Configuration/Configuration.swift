public import CubeFSWire
public import LaneCore
public import LaneTelemetry
public import NetEndpoint

/// What an operator decides. Every default stands here, once, as the property's initial value; the file that
/// `printDefault` writes and the messages of the decoder are made from them.
public struct Configuration: Sendable, Equatable {
  /// `node`: this node's name in logs and alerts, 1 to 255 characters of `A-Z a-z 0-9 . _ : -`. Default: the host name.
  public var node: String
  /// `cubefsRelease`: whose rules decide how long a header is. Default: the flags of each packet decide.
  public var cubefsRelease: CubeFSRelease = .auto
  /// `outbound`: the way from the caller to its peers.
  public var outbound: Outbound
  /// `inbound`: the way from peers and clients to the local datanode. Default: none.
  public var inbound = Inbound()
  /// `tunnels`: ports whose bytes are passed on unread.
  public var tunnels: [Tunnel] = []
  /// `tls`: identity and encryption on the way to other hosts; nil where no mode asks for it.
  public var tls: TLSConfiguration?
  /// `judge`: what happens to a reply that does not belong.
  public var judge = Judge()
  /// `gate`: when a reply may be completed.
  public var gate = Gate()
  /// `guard`: what is done about operations that conflict on one extent.
  public var conflicts = Conflicts()
  /// `lanes`: connection pools per peer and class.
  public var lanes = Lanes()
  /// `limits`: sizes and counts.
  public var limits = Limits()
  /// `timeouts`: of connections; those of operations follow from the caller's own deadlines.
  public var timeouts = Timeouts()
  /// `log`: where it goes and how much.
  public var log = Log()
  /// `recorder`: files with the packets that led to an alert.
  public var recorder = Recorder()
  /// `metrics`: figures and readiness over HTTP.
  public var metrics = Metrics()

  /// Defaults everywhere, but for what has none.
  /// - Parameters:
  ///   - node: this node's name.
  ///   - listeners: where callers arrive; a configuration file has one at least, or `inbound`, or a tunnel.
  public init(node: String, listeners: [Listener]) {
    self.node = node
    outbound = Outbound(listeners: listeners)
  }
}

extension Configuration {
  /// `outbound.listeners[]`: one address where callers arrive.
  public struct Listener: Sendable, Equatable {
    /// Where a listener's callers want to go.
    public enum Destination: Sendable, Equatable {
      /// `intercept: true`: to the original destination that conntrack knows.
      case original
      /// `peer`: to this one.
      case peer(Endpoint)
    }

    /// `listen`: the address and port to accept on. Port 0 takes any free one.
    public var listen: Endpoint
    /// `intercept` or `peer`.
    public var destination: Destination

    /// One listener.
    public init(listen: Endpoint, destination: Destination) {
      self.listen = listen
      self.destination = destination
    }
  }

  /// `outbound`.
  public struct Outbound: Sendable, Equatable {
    /// `outbound.listeners`: where callers arrive.
    public var listeners: [Listener]
    /// `outbound.mark`: SO_MARK of the sidecar's own connections, by which the interception rules let them pass. Default: none.
    public var mark: UInt32?
    /// `outbound.dialTimeout`: longest wait for a peer to accept.
    public var dialTimeout: Duration = .seconds(1)
    /// `outbound.backOff`: pauses before an unreachable peer is dialled again.
    public var backOff = BackOff()
    /// `outbound.shutdownTimeout`: how long SIGTERM lets operations finish.
    public var shutdownTimeout: Duration = .seconds(20)

    /// Defaults with these listeners.
    public init(listeners: [Listener]) { self.listeners = listeners }
  }

  /// `inbound`: each connection there is paired with one to the local datanode.
  public struct Inbound: Sendable, Equatable {
    /// `inbound.listen`: where peers and clients arrive. Set together with `datanode`.
    public var listen: Endpoint?
    /// `inbound.datanode`: where the local datanode listens.
    public var datanode: Endpoint?
    /// `inbound.dialTimeout`: longest wait for the datanode to accept.
    public var dialTimeout: Duration = .seconds(1)
    /// `inbound.maxConnections`: most connections at a time.
    public var maxConnections = 16_384
    /// `inbound.maxInFlight`: most unanswered requests of one connection. Clients write up to 10,240 deep.
    public var maxInFlight = 16_384

    /// The defaults: no inbound.
    public init() {}
  }

  /// `tunnels[]`: one port.
  public struct Tunnel: Sendable, Equatable {
    /// `listen`: the address and port to accept on. Port 0 takes any free one.
    public var listen: Endpoint
    /// `peer`: where its connections go.
    public var peer: Endpoint
    /// `tls`: on which side TLS is spoken.
    public var tls: TunnelTLS

    /// One tunnel.
    public init(listen: Endpoint, peer: Endpoint, tls: TunnelTLS = .off) {
      self.listen = listen
      self.peer = peer
      self.tls = tls
    }
  }

  /// `outbound.backOff`: doubles from `initial` to `maximum`.
  public struct BackOff: Sendable, Equatable {
    /// `outbound.backOff.initial`: after the first failure.
    public var initial: Duration = .milliseconds(100)
    /// `outbound.backOff.maximum`: the longest.
    public var maximum: Duration = .seconds(5)

    /// The defaults.
    public init() {}
  }

  /// `judge`.
  public struct Judge: Sendable, Equatable {
    /// What happens to a reply that does not belong to the operation.
    public enum Mode: String, Sendable, CaseIterable {
      /// It is dropped.
      case enforce
      /// It is logged and forwarded.
      case observe
    }

    /// `judge.mode`: for every class without its own.
    public var mode: Mode = .enforce
    /// `judge.classes.<class>`: of single classes.
    public var classes: [OperationClass: Mode] = [:]

    /// The defaults.
    public init() {}

    /// The mode of that class.
    public func mode(of operationClass: OperationClass) -> Mode { classes[operationClass] ?? mode }
  }

  /// `gate`: the delivery gate.
  public struct Gate: Sendable, Equatable {
    /// Whether replies of repair streams are completed only for a caller that is seen reading them.
    public enum Mode: String, Sendable, CaseIterable {
      /// Where the kernel shows the callers' sockets.
      case auto
      /// Never.
      case off
    }

    /// `gate.mode`.
    public var mode: Mode = .auto
    /// `gate.slowStream`: a reply that is unread for so long is an alert.
    public var slowStream: Duration = .seconds(60)
    /// `gate.resourceLimit`: a reply that is unread for so long costs its caller the connection.
    public var resourceLimit: Duration = .seconds(15 * 60)

    /// The defaults.
    public init() {}
  }

  /// `guard`: the conflict guard.
  public struct Conflicts: Sendable, Equatable {
    /// `guard.mode`.
    public var mode = ConflictGuard.Mode.serialize
    /// `guard.atLimit`: what becomes of an operation that was held for as long as it may be.
    public var atLimit = ConflictGuard.AtLimit.forward

    /// The defaults.
    public init() {}
  }

  /// `lanes.<class>`: one pool of connections to one peer.
  public struct Lane: Sendable, Equatable {
    /// `maxConnections`: most connections to one peer.
    public var maxConnections = 500
    /// `idleTimeout`: an unused connection is closed after this. Both ends of CubeFS drop theirs after 30 s.
    public var idleTimeout: Duration = .seconds(25)
    /// `maxLifetime`: a connection is not leased again after this.
    public var maxLifetime: Duration = .seconds(30 * 60)
    /// `queueLimit`: most operations that wait for a connection.
    public var queueLimit = 1024
    /// `queueTimeout`: longest wait for a connection.
    public var queueTimeout: Duration = .seconds(5)

    /// The defaults.
    public init() {}

    /// What a lane takes.
    public var laneLimits: LaneLimits {
      LaneLimits(
        maxConnections: maxConnections, idleTimeout: idleTimeout.wholeNanoseconds, maxLifetime: maxLifetime.wholeNanoseconds,
        queueLimit: queueLimit, queueTimeout: queueTimeout.wholeNanoseconds)
    }
  }

  /// `lanes`: one set of limits for each class.
  public struct Lanes: Sendable, Equatable {
    private var storage: [OperationClass: Lane] = [:]

    /// The defaults in each class.
    public init() {}

    /// The limits of that class.
    public subscript(operationClass: OperationClass) -> Lane {
      get { storage[operationClass] ?? Lane() }
      set { storage[operationClass] = newValue == Lane() ? nil : newValue }
    }
  }

  /// `limits`.
  public struct Limits: Sendable, Equatable {
    /// `limits.maxConnections`: most connections of callers, and most of each tunnel.
    public var maxConnections = 4096
    /// `limits.maxInFlight`: most unanswered requests of one caller connection. A CubeFS server reads ahead as far.
    public var maxInFlight = 2048
    /// `limits.argument`: largest Arg of a packet, bytes.
    public var argument = 64 << 10
    /// `limits.errorText`: largest payload of an error reply, bytes.
    public var errorText = 1 << 20
    /// `limits.pendingOutput`: most bytes that one connection holds for a slow reader.
    public var pendingOutput = 512 << 10
    /// `limits.<opcode>`: largest payload of that opcode's packets, bytes; others keep the protocol's own limits.
    public var payloads: [Opcode: Int] = [:]

    /// The defaults.
    public init() {}

    /// What the framer takes.
    public var frameLimits: FrameLimits {
      FrameLimits(
        overrides: payloads.mapValues { UInt32(clamping: $0) }, argument: UInt32(clamping: argument),
        errorText: UInt32(clamping: errorText))
    }
  }

  /// `timeouts`.
  public struct Timeouts: Sendable, Equatable {
    /// `timeouts.halfClose`: how long a half-closed connection may linger.
    public var halfClose: Duration = .seconds(5)
    /// `timeouts.idleCaller`: a caller's connection without an operation is closed after this; zero is never.
    public var idleCaller: Duration = .zero
    /// `timeouts.keepAlive`: TCP keep-alive of all connections.
    public var keepAlive = KeepAlive()
    /// `timeouts.tcpUser`: TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged.
    public var tcpUser: Duration = .seconds(20)
    /// `timeouts.backPressure`: how long a packet may stand still because its reader is slow, before the upstream counts as
    /// lost. A server left unread for 5 s writes an error packet into the middle of its block (CubeFS v3.5.3 `proto/packet.go:1078`).
    public var backPressure: Duration = .seconds(2)

    /// The defaults.
    public init() {}
  }

  /// `timeouts.keepAlive`.
  public struct KeepAlive: Sendable, Equatable {
    /// `timeouts.keepAlive.idle`: silence before the first probe (TCP_KEEPIDLE), whole seconds.
    public var idle: Duration = .seconds(30)
    /// `timeouts.keepAlive.interval`: between probes (TCP_KEEPINTVL), whole seconds.
    public var interval: Duration = .seconds(10)
    /// `timeouts.keepAlive.count`: unanswered probes until the connection counts as dead (TCP_KEEPCNT).
    public var count = 3

    /// The defaults.
    public init() {}
  }

  /// `log`.
  public struct Log: Sendable, Equatable {
    /// How much is logged.
    public enum Level: String, Sendable, CaseIterable {
      /// Everything, each connection included.
      case debug
      /// What an operator may want to look up later.
      case info
      /// What may need attention.
      case warning
      /// What needs attention.
      case error
    }

    /// `log.path`: a file, or `-` for standard output.
    public var path = "-"
    /// `log.level`: this and what is graver.
    public var level: Level = .info
    /// `log.queue`: most bytes of lines that wait for a slow disk or pipe; more are counted and dropped.
    public var queue = 1 << 20

    /// The defaults.
    public init() {}
  }

  /// `recorder`.
  public struct Recorder: Sendable, Equatable {
    /// `recorder.directory`: where files go. Default: none, and nothing is recorded.
    public var directory: String?
    /// `recorder.payload`: how much of the packets.
    public var payload: EvidencePayload = .headers
    /// `recorder.maxFiles`: most files.
    public var maxFiles = 1_000
    /// `recorder.maxBytes`: most bytes of all files together.
    public var maxBytes = 64 << 20
    /// `recorder.maxAge`: when a file is removed.
    public var maxAge: Duration = .seconds(30 * 24 * 3600)

    /// The defaults.
    public init() {}
  }

  /// `metrics`.
  public struct Metrics: Sendable, Equatable {
    /// `metrics.listen`: a loopback address and port for `/metrics` and `/readyz`. Default: none, since a storage host has many
    /// ports taken, and one that nobody asked for may be the one that keeps the sidecar from starting.
    public var listen: Endpoint?

    /// The defaults.
    public init() {}
  }
}
