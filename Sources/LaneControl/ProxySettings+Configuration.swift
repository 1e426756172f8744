internal import CubeFSWire
internal import LaneCore
internal import LaneProxy
internal import LinuxIO

extension ProxySettings {
  /// What the operator decided, as the proxy takes it.
  init(_ configuration: Configuration) {
    self.init()
    release = configuration.cubefsRelease
    let limits = configuration.limits
    frameLimits = limits.frameLimits
    let longestLife = configuration.tls?.maxConnectionAge.wholeNanoseconds ?? 0
    for operationClass in OperationClass.allCases {
      var lane = configuration.lanes[operationClass].laneLimits
      if longestLife > 0 { lane.maxLifetime = min(lane.maxLifetime, longestLife) }
      lanes[operationClass] = lane
      judge[operationClass] = configuration.judge.mode(of: operationClass) == .observe ? .observe : .enforce
    }
    dialTimeout = configuration.outbound.dialTimeout.wholeNanoseconds
    backOff = (configuration.outbound.backOff.initial.wholeNanoseconds, configuration.outbound.backOff.maximum.wholeNanoseconds)
    shutdownTimeout = configuration.outbound.shutdownTimeout.wholeNanoseconds
    maxConnections = limits.maxConnections
    maxInFlight = limits.maxInFlight
    pendingOutput = limits.pendingOutput
    gate.slowStream = configuration.gate.slowStream.wholeNanoseconds
    gate.resourceLimit = configuration.gate.resourceLimit.wholeNanoseconds
    conflicts = configuration.conflicts.mode
    atConflictLimit = configuration.conflicts.atLimit
    let timeouts = configuration.timeouts
    halfClose = timeouts.halfClose.wholeNanoseconds
    idleCaller = timeouts.idleCaller.wholeNanoseconds
    backPressure = timeouts.backPressure.wholeNanoseconds
    var options = SocketOptions()
    options.keepAliveIdle = Int32(timeouts.keepAlive.idle.components.seconds)
    options.keepAliveInterval = Int32(timeouts.keepAlive.interval.components.seconds)
    options.keepAliveCount = Int32(timeouts.keepAlive.count)
    options.userTimeoutMilliseconds = UInt32(timeouts.tcpUser.wholeNanoseconds / 1_000_000)
    downstream = options
    options.mark = configuration.outbound.mark
    upstream = options
  }
}

extension TLSSettings {
  /// What the operator decided, as the proxy takes it.
  init(_ configuration: TLSConfiguration, _ certificates: TLSCertificates) {
    self.init(certificates: certificates, allow: configuration.allow)
    inbound = configuration.inbound
    outbound = configuration.outbound
    handshakeTimeout = configuration.handshakeTimeout.wholeNanoseconds
    maxHandshakes = configuration.maxHandshakes
    maxHandshakesPerSource = configuration.maxHandshakesPerSource
    downgradeMemory = configuration.downgradeMemory.wholeNanoseconds
  }
}

extension CertificateKeeper {
  /// Loads what the operator named.
  convenience init(_ configuration: TLSConfiguration, sink: any EventSink, now: Nanoseconds) throws(Service.Failure) {
    do throws(TLSFailure) { try self.init(Rules(configuration), sink: sink, now: now) } catch {
      throw Service.Failure(description: "tls: \(error)")
    }
  }
}

extension CertificateKeeper.Rules {
  /// What the operator decided.
  init(_ configuration: TLSConfiguration) {
    self.init(
      files: TLSFiles(
        certificate: configuration.certificate, key: configuration.key, authorities: configuration.ca, revocations: configuration.crl))
    minimum = configuration.minVersion == .v1_3 ? .tls13 : .tls12
    interval = configuration.reloadInterval.wholeNanoseconds
    warningDays = configuration.expiryWarning
  }
}

extension InboundLimits {
  /// What the operator decided, as the proxy takes it.
  init(_ configuration: Configuration.Inbound) {
    self.init()
    maxConnections = configuration.maxConnections
    maxInFlight = configuration.maxInFlight
    dialTimeout = configuration.dialTimeout.wholeNanoseconds
  }
}
