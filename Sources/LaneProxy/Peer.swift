internal import Glibc
internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// A remote datanode: its lanes, one per class, and whether it may be dialled.
final class Peer {
  let endpoint: Endpoint
  let proxy: Proxy
  private(set) var lanes: [Lane]
  /// Upstreams by number; those that are idle, and no others.
  private var idle: [Upstream?] = []
  private var freeNumbers: [Int] = []
  private var tasks: [Work] = []
  private var lastLease: Nanoseconds = 0
  var health: PeerHealth
  /// Its last connection was in plain.
  private(set) var wasPlain = false

  init(_ endpoint: Endpoint, _ proxy: Proxy) {
    self.endpoint = endpoint
    self.proxy = proxy
    lanes = OperationClass.allCases.map { Lane(limits: proxy.settings.lanes[$0] ?? LaneLimits()) }
    health = PeerHealth(initial: proxy.settings.backOff.initial, maximum: proxy.settings.backOff.maximum)
  }

  /// Nothing leased, dialling, idle or waiting.
  private var isUnused: Bool { lanes.allSatisfy { $0.leased + $0.dialling + $0.idleCount + $0.waiting == 0 } }

  private static let memory: Nanoseconds = 60_000_000_000

  /// Unused for so long that nothing is lost with it: addresses come and go.
  func mayBeForgotten(now: Nanoseconds) -> Bool { isUnused && now &- lastLease >= Self.memory }

  /// Whether there is reason to think that it answers.
  func isWorthTrying(now: Nanoseconds) -> Bool { health.mayDial(now: now) || lanes.contains { $0.leased + $0.idleCount > 0 } }

  /// What a session that asked for a connection has to do.
  enum Lease {
    case leased(Upstream)
    case dialling(Upstream)
    case waiting
    case refused(Reason, SystemFailure?)
  }

  func limits(_ operationClass: OperationClass) -> LaneLimits { lanes[Int(operationClass.rawValue)].limits }

  // MARK: Check-out

  func lease(_ operationClass: OperationClass, for session: CallerSession, fresh: Bool) -> Lease {
    let index = Int(operationClass.rawValue)
    lastLease = proxy.reactor.now
    while true {
      switch lanes[index].lease(session.number, fresh: fresh) {
      case .reuse(let id):
        guard let upstream = takeIdle(id) else {
          // The lane and its shell disagree: take the place back, and go on.
          _ = lanes[index].retired()
          continue
        }
        if let refusal = ReleaseGate.refusal(upstream.releaseFacts(lookAtSocket: true), lanes[index].limits) {
          retireLeased(upstream, refusal)
          continue
        }
        return .leased(upstream)
      case .dial:
        return dial(operationClass, for: session)
      case .wait:
        return .waiting
      case .refuse(let reason):
        return .refused(reason, nil)
      }
    }
  }

  private func dial(_ operationClass: OperationClass, for session: CallerSession) -> Lease {
    let index = Int(operationClass.rawValue)
    guard health.mayDial(now: proxy.reactor.now) else {
      next(lanes[index].dialEnded(succeeded: false), operationClass)
      return .refused(.peerBackOff, nil)
    }
    do throws(SystemFailure) {
      let id = newNumber()
      let way = proxy.outboundSecurity?.way(to: endpoint, now: proxy.reactor.now) ?? plainWay
      do throws(SystemFailure) {
        return .dialling(try Upstream(peer: self, id: id, operationClass: operationClass, owner: session, way: way))
      } catch {
        freeNumbers.append(id)
        throw error
      }
    } catch {
      // Local: descriptors, memory, the mark's capability. The peer is not to blame.
      next(lanes[index].dialEnded(succeeded: false), operationClass)
      return .refused(error.isDescriptorLimit ? .descriptorLimit : .dialFailed, error)
    }
  }

  private var plainWay: OutboundSecurity.Way { OutboundSecurity.Way(endpoint: endpoint, tls: nil, mayDowngrade: false) }

  /// TLS could not be had: the dial has failed, or goes on in plain where that is allowed and the peer does not speak TLS.
  func handshakeFailed(_ upstream: Upstream, _ failure: TLSFailure) {
    proxy.tlsStatistics.refused(.outbound)
    if upstream.way.mayDowngrade, failure.isForeignProtocol { return downgrade(upstream, Reason(failure.kind), "\(failure)") }
    let reason = Reason(failure.kind)
    report(.tlsRefused, reason, upstream, "\(failure)", .refused)
    let owner = upstream.owner
    dialEnded(upstream, failure: reason, detail: "\(failure)")
    owner?.leaseRefused(reason)
  }

  /// A peer that does not take our certificate says so when for us the handshake is over (TLS 1.3).
  func recordsFailed(_ upstream: Upstream, _ failure: TLSFailure) {
    if failure.kind == .refusedByPeer { proxy.tlsStatistics.refused(.outbound) }
    report(.tlsRefused, Reason(failure.kind), upstream, "\(failure)", .refused)
  }

  /// Dials once more, in plain, for the same session.
  func downgrade(_ upstream: Upstream, _ reason: Reason, _ detail: String) {
    report(.tlsDowngraded, reason, upstream, detail, .forwarded)
    proxy.outboundSecurity?.downgraded(endpoint, now: proxy.reactor.now)
    guard let owner = upstream.owner else { return dialEnded(upstream, failure: nil) }
    upstream.owner = nil
    upstream.close()
    do throws(SystemFailure) {
      let plain = try Upstream(peer: self, id: upstream.id, operationClass: upstream.operationClass, owner: owner, way: plainWay)
      owner.dialStarted(.dialling(plain))
    } catch {
      // Local: descriptors or memory.
      dialEnded(upstream, failure: nil)
      owner.leaseRefused(error.isDescriptorLimit ? .descriptorLimit : .dialFailed)
    }
  }

  private func report(_ name: LaneEvent.Name, _ reason: Reason, _ upstream: Upstream, _ detail: String, _ action: LaneEvent.Action) {
    var event = LaneEvent(name, reason: reason, action: action)
    event.peer = endpoint
    event.operationClass = upstream.operationClass
    event.detail = detail
    proxy.sink.record(event)
  }

  /// The dial went through: the connection is leased to the one who asked.
  func dialSucceeded(_ upstream: Upstream) {
    proxy.tlsStatistics.opened(.outbound, isTLS: upstream.tls != nil)
    wasPlain = upstream.tls == nil
    if !wasPlain { proxy.outboundSecurity?.succeeded(endpoint) }
    _ = lanes[Int(upstream.operationClass.rawValue)].dialEnded(succeeded: true)
    if health.succeeded() {
      var event = LaneEvent(.peerUp)
      event.peer = endpoint
      proxy.sink.record(event)
    }
  }

  /// The dial failed, or was given up.
  func dialEnded(_ upstream: Upstream, failure: Reason?, detail: String? = nil) {
    upstream.owner = nil
    upstream.close()
    freeNumbers.append(upstream.id)
    if let failure, health.failed(now: proxy.reactor.now) {
      var event = LaneEvent(.peerDown, reason: failure)
      event.peer = endpoint
      event.operationClass = upstream.operationClass
      event.detail = detail
      proxy.sink.record(event)
    }
    next(lanes[Int(upstream.operationClass.rawValue)].dialEnded(succeeded: false), upstream.operationClass)
  }

  // MARK: Check-in

  /// A lease ends. The connection goes to the next who waits, to the idle ones, or away.
  func giveBack(_ upstream: Upstream, inFlight: Int, reason: Reason?) {
    upstream.owner = nil
    let index = Int(upstream.operationClass.rawValue)
    var facts = upstream.releaseFacts(lookAtSocket: false)
    facts.inFlight = inFlight
    if let refusal = reason ?? ReleaseGate.refusal(facts, lanes[index].limits) {
      return retireLeased(upstream, refusal)
    }
    let now = proxy.reactor.now
    upstream.idleSince = now
    switch lanes[index].checkIn(upstream.id, openedAt: upstream.openedAt, now: now) {
    case .none: idle[upstream.id] = upstream
    case .handOver(let waiter):
      soon(.grant(waiter, upstream))
    case .dial: break
    }
  }

  private func retireLeased(_ upstream: Upstream, _ reason: Reason) {
    upstream.owner = nil
    close(upstream, reason)
    next(lanes[Int(upstream.operationClass.rawValue)].retired(), upstream.operationClass)
  }

  /// An idle connection has something to read: bytes nobody asked for, or its end.
  func idleFailed(_ upstream: Upstream, _ reason: Reason) {
    guard takeIdle(upstream.id) != nil else { return }
    _ = lanes[Int(upstream.operationClass.rawValue)].idleLost(upstream.id)
    close(upstream, reason)
  }

  private func close(_ upstream: Upstream, _ reason: Reason) {
    // What failed has nothing left to say; an operation that is due no reply has.
    if reason == .singleUse || reason == .requestIncomplete { upstream.closeWhenSent() } else { upstream.close() }
    freeNumbers.append(upstream.id)
    var event = LaneEvent(.upstreamRetired, reason: reason, action: .retired)
    event.peer = endpoint
    event.operationClass = upstream.operationClass
    proxy.sink.record(event)
  }

  private func next(_ action: Lane.NextAction, _ operationClass: OperationClass) {
    if case .dial(let waiter) = action { soon(.dial(waiter, operationClass)) }
  }

  /// What is to be done for one who waited.
  private enum Work {
    case grant(Lane.WaiterID, Upstream)
    case dial(Lane.WaiterID, OperationClass)
  }

  /// One after the other, never one within another: a waiter that is served may at once make room for the next, and how many wait
  /// is the callers' choice.
  private func soon(_ task: Work) {
    tasks.append(task)
    guard tasks.count == 1 else { return }
    var done = 0
    while done < tasks.count {
      perform(tasks[done])
      done += 1
    }
    tasks.removeAll(keepingCapacity: true)
  }

  private func perform(_ task: Work) {
    switch task {
    case .grant(let waiter, let upstream):
      guard let session = proxy.session(waiter) else { return retireLeased(upstream, .callerClosed) }
      session.leaseGranted(upstream)
    case .dial(let waiter, let operationClass):
      guard let session = proxy.session(waiter) else {
        return next(lanes[Int(operationClass.rawValue)].dialEnded(succeeded: false), operationClass)
      }
      session.dialStarted(dial(operationClass, for: session))
    }
  }

  private func newNumber() -> Int {
    if let free = freeNumbers.popLast() { return free }
    idle.append(nil)
    return idle.count - 1
  }

  private func takeIdle(_ id: Int) -> Upstream? {
    guard idle.indices.contains(id), let upstream = idle[id] else { return nil }
    idle[id] = nil
    return upstream
  }

  // MARK: Time

  func abandonWait(_ session: CallerSession, _ operationClass: OperationClass) {
    _ = lanes[Int(operationClass.rawValue)].abandonWait(session.number)
  }

  func sweep(now: Nanoseconds) {
    for index in lanes.indices {
      while let (id, reason) = lanes[index].expire(now: now) {
        if let upstream = takeIdle(id) { close(upstream, reason) }
      }
    }
  }

  /// Connections are made in another way from now on.
  func reconfigure() {
    for (index, operationClass) in OperationClass.allCases.enumerated() {
      lanes[index].setMaxLifetime((proxy.settings.lanes[operationClass] ?? LaneLimits()).maxLifetime)
    }
    retireIdle(.reconfigured)
  }

  func retireIdle(_ reason: Reason) {
    for index in lanes.indices {
      for id in lanes[index].drainIdle() {
        if let upstream = takeIdle(id) { close(upstream, reason) }
      }
    }
  }
}

extension SystemFailure {
  /// The process or the system is out of descriptors.
  var isDescriptorLimit: Bool { errno == EMFILE || errno == ENFILE }

  /// It says nothing of the peer: ports, memory or rights of our own are missing.
  var isLocal: Bool { isDescriptorLimit || [EADDRNOTAVAIL, ENOBUFS, ENOMEM, EACCES, EPERM].contains(errno) }
}
