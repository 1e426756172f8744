/// The release rule. Each condition has its proof beside it; the simulator removes them one at a time and finds the stale reply.
extension DeliveryGate {
  /// What an answer means for the withheld tail.
  enum Verdict: Equatable {
    /// The caller is inside the read of this reply, for its operation.
    case release
    /// The next question, for the counters, follows at once.
    case askAtOnce
    /// The next look follows at once.
    case lookAtOnce
    /// Not yet.
    case lookAgain
    /// The answer is not about a socket that can be reading.
    case noEvidence
    /// No answer will ever be evidence.
    case blind(Blindness)
  }

  func weigh(_ answer: Answer, _ question: Question, _ wait: inout Wait, own: some OwnSocket, now: UInt64) -> Verdict {
    switch answer {
    case .failed:
      // A kernel short of memory fails once; a policy loaded behind our back fails for ever, and the caller waits meanwhile.
      let since = wait.failingSince ?? now
      wait.failingSince = since
      return now &- since >= limits.sockmapPatience ? .blind(.queryFailed) : .lookAgain
    case .notFound:
      // It was found before: it has closed, and our socket is about to tell.
      return .noEvidence
    case .observed(let look):
      wait.failingSince = nil
      return weigh(look, question, &wait, own: own, now: now)
    case .observedTwice(let first, let second):
      wait.failingSince = nil
      let verdict = weigh(first, question, &wait, own: own, now: now)
      return verdict == .lookAtOnce ? weigh(second, question, &wait, own: own, now: now) : verdict
    }
  }

  private func weigh(
    _ look: Observation, _ question: Question, _ wait: inout Wait, own: some OwnSocket, now: UInt64
  ) -> Verdict {
    // A kernel may answer a look-up with another socket than was meant: a listener, a successor that reuses the port. That one's
    // empty queue says nothing about what this caller has read.
    guard look.tupleMatches, look.cookie == cookie || mutations.contains(.ignoreCookie) else { return .noEvidence }
    // Under TLS or MPTCP the kernel moves bytes out of this queue before the application asks for them: empty is not read.
    if look.hasULP, !mutations.contains(.ignoreULP) { return .blind(.upperLayer) }
    // In any other state one side has said goodbye: nobody may be reading, and a FIN stands in the counters.
    guard look.isEstablished else { return .noEvidence }
    if mutations.contains(.receiveQueueAlone) { return look.receiveQueue == 0 ? .release : .lookAgain }

    guard question == .counters else { return weighLook(look, &wait, own: own) }
    guard let counters = look.counters else { return .blind(.shortInfo) }
    // What an earlier answer has shown need not be shown again.
    if wait.begun { return noNewerRequest(look, counters, wait, hadBegun: true) }

    // Q1: the bytes have arrived. Until then they may be on their way, or in the socket's backlog, which `rqueue` does not count:
    // an empty queue would then be the queue of a caller that has not read, and may have left. Equal, not at least: where a FIN
    // or anything else is counted as well, W no longer tells whether the last data byte is among them. Nothing but this reply
    // is written while its tail is withheld, so what has arrived once stays so.
    guard counters.bytesReceived == wait.written || mutations.contains(.dropArrival) else {
      return missing(counters, &wait, own: own, now: now)
    }
    wait.missingSince = nil
    if !wait.arrived {
      wait.arrived = true
      // The queues are read before the counters: in this answer `rqueue` may be from before the arrival that the counters show.
      // Only a query sent from here on sees the queue with the bytes in it.
      if !mutations.contains(.mergeQueries) { return looksSuffice ? .lookAtOnce : .askAtOnce }
    }

    // Q2: the caller has taken every byte that has arrived. It reads with exact lengths and the tail is missing, so it is inside
    // the read that the tail ends. Which operation it reads for, the counters below tell.
    guard look.receiveQueue == 0 else { return .lookAgain }
    wait.begun = true
    return noNewerRequest(look, counters, wait, hadBegun: false)
  }

  /// The caller is inside the read of this reply. Has it written a request that we have not read? If so it wrote it before it read,
  /// and reads for the newer operation. If not, it cannot write one any more: it is in a read that ends with the tail, or with an
  /// error, on which it closes. Counters that disagree only withhold: they drift, and a caller must not be reset for that.
  private func noNewerRequest(_ look: Observation, _ counters: Counters, _ wait: Wait, hadBegun: Bool) -> Verdict {
    // A: what the application has written, by what was sent. Of one instant, after `rqueue`. It never falls short of the truth
    // unless a retransmission failed for want of memory: that counts as retransmitted and not as sent, and exactly one request
    // can be missing from the sum for ever after. So with retransmissions A is no evidence.
    // A send that failed locally counts twice: then A is over the truth for ever, and Q3 decides.
    let sent = counters.bytesSent &- counters.bytesRetransmitted &+ UInt64(counters.notSent)
    // B: the same by what was acknowledged; the SYN counts as one. It never drifts, and an acknowledgement between the readings
    // of its two parts makes it too large, which only withholds. But `wqueue` has no lock and no order with the `rqueue` beside
    // it: it may be from before a request that the caller wrote before it read the queue empty. So B of this answer does not
    // do alone; B of an answer to a later query, after the caller was seen to read, does.
    let written = counters.bytesAcked &+ UInt64(look.sendQueue) &- 1

    if mutations.contains(.onlyGreater) {
      return sent > wait.read || written > wait.read ? .lookAgain : .release
    }
    if mutations.contains([.dropA, .dropB]) { return .release }
    if mutations.contains(.dropB) { return sent == wait.read ? .release : .lookAgain }

    guard written == wait.read else { return .lookAgain }
    if hadBegun || mutations.contains(.dropA) { return .release }
    let sentIsEvidence = counters.bytesRetransmitted == 0 || mutations.contains(.trustRetransmitted)
    return sentIsEvidence && sent == wait.read ? .release : .askAtOnce
  }

  /// Bytes are missing from the caller's counters, or there are too many.
  private func missing(_ counters: Counters, _ wait: inout Wait, own: some OwnSocket, now: UInt64) -> Verdict {
    // A FIN counts as one byte; nobody can have received more than that over what was written to him. It is another connection's
    // socket: where address translation has given this caller's port away, its tuple names a stranger (DESIGN.md section 5).
    if counters.bytesReceived > wait.written &+ 1 { return .blind(.notFound) }
    // TCP acknowledges what it has counted. Bytes that are not counted, and that do not wait for an acknowledgement either, have
    // taken another way: past our send queue, so the count of what was acknowledged would not tell.
    guard counters.bytesReceived < wait.written, !own.hasUnacknowledgedBytes else {
      wait.missingSince = nil
      return .lookAgain
    }
    let since = wait.missingSince ?? now
    wait.missingSince = since
    return now &- since >= limits.sockmapPatience ? .blind(.sockmap) : .lookAgain
  }
}
