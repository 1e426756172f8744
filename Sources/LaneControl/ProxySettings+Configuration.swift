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
    for operationClass in OperationClass.allCases {
      lanes[operationClass] = configuration.lanes[operationClass].laneLimits
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

extension InboundLimits {
  /// What the operator decided, as the proxy takes it.
  init(_ configuration: Configuration.Inbound) {
    self.init()
    maxConnections = configuration.maxConnections
    maxInFlight = configuration.maxInFlight
    dialTimeout = configuration.dialTimeout.wholeNanoseconds
  }
}
