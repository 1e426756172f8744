internal import CubeFSWire
internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// The upstream of one inbound session: to the local datanode, for as long as the session lasts.
final class DatanodeConnection: Connection, ReplySource {
  /// Set before the first event; nil once the session has ended.
  var owner: InboundSession?
  var framer: Framer
  var carried = CarriedBytes()
  /// The reply that is passing through.
  var passing = PassingReply()
  /// It carried an error reply: the datanode stops the connection.
  var carriedError = false
  /// It does not take requests any more; what it has sent is still read.
  var refusesRequests = false
  /// The most bytes to read at a time: fewer for a caller that lags, so that each pause is short.
  var readLimit = Reactor.readBufferSize

  init(_ reactor: Reactor, _ endpoint: Endpoint, _ settings: ProxySettings) throws(SystemFailure) {
    framer = Framer(.reply, release: settings.release, limits: settings.frameLimits)
    try super.init(reactor: reactor, connectingTo: endpoint, options: settings.upstream)
    pendingLimit = settings.pendingOutput + Reactor.readBufferSize + Reactor.readHeadroom
  }

  override func connected() { owner?.datanodeConnected() }

  override func connectFailed(_ failure: SystemFailure) { owner?.dialFailed(failure.isLocal ? nil : .dialFailed, "\(failure)") }

  override func readable() {
    let buffer = UnsafeMutableRawBufferPointer(rebasing: reactor.readBuffer[..<readLimit])
    switch read(into: buffer) {
    case .bytes(let count):
      owner?.replied(carried.prepend(to: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)))
    case .wouldBlock: break
    // A reset that was found while nobody read looks like an end now.
    case .end: owner?.datanodeLost(isInsidePacket ? .upstreamTruncated : refusesRequests ? .upstreamReset : .upstreamClosed)
    case .failed: owner?.datanodeLost(.upstreamReset)
    }
  }

  var isInsidePacket: Bool { framer.isInsidePacket || carried.count > 0 }

  override func drained() { owner?.datanodeDrained() }

  override func broken(_ failure: SystemFailure) { owner?.datanodeRefusesRequests() }
}

/// What is known of the reply whose bytes are coming in; meaningless between replies.
struct PassingReply {
  /// What becomes of its bytes.
  enum Fate: UInt8 {
    /// They go to the caller.
    case delivered
    /// They go nowhere.
    case swallowed
  }

  var fate = Fate.delivered
  var plan = ReplyPlan(isError: false, checksPayload: false, expectedCRC: 0, completes: false)
  /// The stamp of the exchange that it answers, under which it is found again; nil where it is nobody's.
  var stamp: Int64?
  var crc = PayloadCRC()
  /// Bytes of it were handed to the caller.
  var partlyDelivered = false
}
