internal import LaneCore
internal import LinuxIO

/// What replies are read from.
protocol ReplySource: Connection {
  /// The most bytes to read at a time.
  var readLimit: Int { get set }
}

/// A connection over which a caller is handed what passed the judge.
protocol ReplySink: Connection {
  var proxy: Proxy { get }
  var slowReader: SlowReader { get set }
  func updateTimer()
  func fail(_ reason: Reason)
  func callerLost(_ reason: Reason)
  func record(_ event: inout LaneEvent)
}

extension ReplySink {
  /// What a send to the caller leads to. False where it ended the session.
  @discardableResult
  func goesOn(after outcome: SendOutcome) -> Bool {
    switch outcome {
    case .sent, .queued: return true
    case .overflow: fail(.pendingOutput)
    case .failed: callerLost(.callerReset)
    }
    return false
  }

  /// Likewise, of bytes that `source` sent: it is read as fast as the caller reads. False where that ended the session.
  func handed(_ outcome: SendOutcome, from source: some ReplySource) -> Bool {
    switch outcome {
    case .sent:
      source.readLimit = Reactor.readBufferSize
    case .queued:
      source.readLimit = SlowReader.readSize
      // Not a byte more is taken from the source than the caller takes from us.
      source.pauseReading()
      if !slowReader.isBehind { slowReader.fallsBehind(now: reactor.now, owed: unacknowledgedBytes) }
      updateTimer()
    case .overflow, .failed:
      return goesOn(after: outcome)
    }
    return true
  }

  /// Tells of an operation that is over, where somebody wants to know of each.
  func tell(_ exchange: Exchange, _ outcome: Outcome) {
    guard proxy.wantsDetail else { return }
    var event = LaneEvent(.operationFinished)
    event.outcome = outcome
    event.operation = LaneEvent.Operation(exchange)
    event.duration = reactor.now &- exchange.startedAt
    record(&event)
  }
}
