internal import LaneCore
internal import LinuxIO

extension CallerSession {
  func attach(_ upstream: Upstream) {
    upstream.owner = self
    self.upstream = upstream
    writtenAtLease = upstream.bytesWritten
  }

  /// A connection is there for the request that waits.
  func leaseGranted(_ upstream: Upstream) {
    guard isOpen, held != nil else {
      return peer.giveBack(upstream, inFlight: 0, reason: nil)
    }
    upstream.owner = self
    granted = upstream
    resume()
    // Where the request is nobody's any more, the connection goes to whoever needs it.
    if let unused = granted {
      granted = nil
      peer.giveBack(unused, inFlight: 0, reason: nil)
    }
  }

  /// No connection for the request that waits.
  func leaseRefused(_ reason: Reason) {
    guard isOpen else { return }
    failHeld(reason)
  }

  /// The lane has begun a dial for this session, which waited in its queue.
  func dialStarted(_ lease: Peer.Lease) {
    guard isOpen, held != nil else {
      if case .dialling(let upstream) = lease { peer.dialEnded(upstream, failure: nil) }
      return
    }
    switch lease {
    case .dialling(let upstream):
      waiting = .dial(upstream)
      updateTimer()
    case .leased(let upstream): leaseGranted(upstream)
    case .waiting: break
    case .refused(let reason, _): leaseRefused(reason)
    }
  }

  /// The lease ends: the release gate decides what becomes of the connection. What was held goes on.
  func release(because reason: Reason?, resuming: Bool = true) {
    guard let upstream else { return }
    settleAbandoned()
    self.upstream = nil
    exchanges.removeAll()
    upstream.resumeReading()
    replaced = false
    peer.giveBack(upstream, inFlight: 0, reason: reason)
    // It may have been paused because that upstream did not take its requests.
    if isOpen, held == nil, !inputEnded { resumeReading() }
    guard resuming, isOpen else { return }
    if held != nil { resume() }
    updateTimer()
    closeIfIdle()
  }

  /// Unknown operations that were answered stay in the list until here; the others have their outcome elsewhere.
  private func settleAbandoned() {
    guard isUnknownTraffic else { return settle() }
    exchanges.takeAll { if !$0.isAnswered { finished($0, .noneDue) } }
  }

  /// The operation in flight is over without an end marker.
  func finishFront(_ outcome: Outcome) {
    guard let front = exchanges.first else { return }
    finished(front, outcome)
    dropLease(front, .singleUse)
  }

  /// The caller has given up the operation in flight, of which it has seen nothing.
  func cancelFront() {
    guard let front = exchanges.first else { return }
    // These may have nothing to send: at the end of a file, no reply is the answer.
    finished(front, front.mayBeOver ? .noneDue : .abandoned)
    if !front.mayBeOver {
      var event = LaneEvent(.callerAbandoned, reason: .inFlight, action: .cancelled)
      event.operation = LaneEvent.Operation(front)
      record(&event)
    }
    dropLease(front, .inFlight)
  }

  private func dropLease(_ front: Exchange, _ reason: Reason) {
    guard let upstream else { return }
    self.upstream = nil
    exchanges.removeAll()
    upstream.resumeReading()
    replaced = false
    peer.giveBack(upstream, inFlight: front.isComplete ? 0 : 1, reason: front.isComplete ? nil : reason)
    if held == nil, !inputEnded { resumeReading() }
    updateTimer()
  }
}
