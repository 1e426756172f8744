internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// What one reactor proxies for its local datanode: the listener, and a session with an upstream of its own for each connection.
final class Inbound {
  unowned let proxy: Proxy
  /// Where the local datanode listens.
  let datanode: Endpoint
  let limits: InboundLimits
  private(set) var listener: Listener!
  private(set) var sessions: [Int: InboundSession] = [:]
  /// Connections that are not sessions yet; nil without TLS.
  private(set) var doorsteps: Doorsteps?
  /// How operations began and ended.
  var accounting = Accounting()
  /// Whether the last dial went through; every connection dials, a local refusal costs nothing.
  private var isDown = false

  init(_ proxy: Proxy, on endpoint: Endpoint, datanode: Endpoint, limits: InboundLimits) throws(SystemFailure) {
    self.proxy = proxy
    self.datanode = datanode
    self.limits = limits
    listener = try Listener(
      reactor: proxy.reactor, on: endpoint, backlog: 1024, accept: { [unowned self] in self.accept($0) },
      trouble: { [unowned self] in self.proxy.report($0, endpoint, .inbound) })
    applySettings()
  }

  /// What is accepted from now on is met as the proxy's settings have it; what is in a handshake goes on.
  func applySettings() {
    guard let tls = proxy.settings.tls else { return }
    if let doorsteps {
      doorsteps.settings = tls
    } else if tls.inbound.mode != .off {
      doorsteps = Doorsteps(proxy, tls, .inbound, peer: datanode) { [unowned self] in self.open($0, $1, $2) }
    }
  }

  private func accept(_ socket: AcceptedSocket) {
    if proxy.isDraining { return proxy.refuse(socket, .shutdown, datanode, detail: nil, .inbound) }
    guard sessions.count + (doorsteps?.count ?? 0) < limits.maxConnections else {
      return proxy.refuse(socket, .connectionLimit, datanode, detail: nil, .inbound)
    }
    guard let doorsteps, let tls = proxy.settings.tls, tls.inbound.mode != .off else { return open(socket, nil, nil) }
    let expectation = tls.inbound.expectation(of: socket.remote.address)
    switch expectation {
    case .plainOnly: open(socket, nil, nil)
    case .refused: proxy.refuse(socket, Reason(.source), datanode, detail: nil, .inbound)
    case .tlsOnly, .either:
      do throws(SystemFailure) { try doorsteps.receive(socket, expectation) } catch { notOpened(socket, error) }
    }
  }

  /// Pairs a connection with one to the datanode. `introduction` is what the sender's sidecar says of it, where one stands there.
  private func open(_ socket: AcceptedSocket, _ tls: TLSSession?, _ introduction: ProxyHeader?) {
    let origin = introduction?.addresses?.source
    if proxy.isDraining { return proxy.refuse(socket, .shutdown, datanode, detail: nil, .inbound, origin: origin) }
    let upstream: DatanodeConnection
    do {
      upstream = try DatanodeConnection(proxy.reactor, datanode, proxy.settings)
    } catch {
      // Local: descriptors, memory, the mark's capability.
      return proxy.refuse(
        socket, error.isDescriptorLimit ? .descriptorLimit : .dialFailed, datanode, detail: "\(error)", .inbound, origin: origin)
    }
    do {
      let number = proxy.newSessionNumber()
      let session = try InboundSession(self, number, accepted: socket, tls, introduction, upstream)
      upstream.owner = session
      sessions[number] = session
      proxy.tlsStatistics.opened(.inbound, isTLS: tls != nil)
    } catch {
      upstream.close()
      notOpened(socket, error)
    }
  }

  /// The descriptor is closed already.
  private func notOpened(_ socket: AcceptedSocket, _ failure: SystemFailure) {
    var event = LaneEvent(.connectionRefused, reason: .callerReset, action: .refused)
    event.direction = .inbound
    event.caller = socket.remote
    event.peer = datanode
    event.detail = "\(failure)"
    proxy.sink.record(event)
  }

  func ended(_ session: InboundSession) {
    sessions[session.number] = nil
    if proxy.isDraining { proxy.drainStep() }
  }

  /// A dial went through.
  func datanodeAnswers() {
    guard isDown else { return }
    isDown = false
    report(LaneEvent(.peerUp))
  }

  /// A dial failed.
  func datanodeRefuses(_ reason: Reason, detail: String?) {
    guard !isDown else { return }
    isDown = true
    var event = LaneEvent(.peerDown, reason: reason)
    event.detail = detail
    report(event)
  }

  private func report(_ event: LaneEvent) {
    var event = event
    event.direction = .inbound
    event.peer = datanode
    proxy.sink.record(event)
  }

  /// Stops accepting; what has nothing in flight ends at once.
  func drain() {
    listener.close()
    doorsteps?.close()
    for session in Array(sessions.values) { session.closeIfIdle() }
  }

  func resetAll() {
    for session in Array(sessions.values) { session.fail(.shutdown) }
  }
}

/// Bounds of the inbound direction.
public struct InboundLimits: Sendable, Equatable {
  /// Most connections at a time.
  public var maxConnections = 16_384
  /// Most unanswered requests of one connection; further ones wait unread. Clients write up to 10,240 deep (PROTOCOL.md section 6).
  public var maxInFlight = 16_384
  /// How long a dial of the local datanode may take.
  public var dialTimeout: UInt64 = 1_000_000_000

  /// The defaults.
  public init() {}
}
