/// The release by looks alone: queries that take no lock, and two numbers of our own socket. Each condition has its proof beside
/// it, and a mutant in the simulator.
///
/// Looks do not tell of an upper layer, so a connection's first reply is proved by the counters.
extension DeliveryGate {
  /// L1: the bytes have arrived. The caller's TCP acknowledges a byte after it has counted it as received: never one that is on
  /// its way or in the socket's backlog. Bytes that sockmap takes past TCP are not acknowledged at all. What holds once stays so,
  /// as nothing is written while the tail is withheld; only a look sent after this was read sees the queue with the bytes in it.
  func hasArrived(_ wait: Wait, _ own: some OwnSocket) -> Bool {
    mutations.contains(.dropAcknowledged) || own.acknowledgedBytes == wait.written
  }

  func weighLook(_ look: Observation, _ wait: inout Wait, own: some OwnSocket) -> Verdict {
    guard look.receiveQueue == 0 else { return .lookAgain }
    guard looksSuffice else {
      // An empty queue proves nothing before the bytes have arrived, but is worth a question then.
      if wait.arrived { wait.seenEmpty = true }
      return .askAtOnce
    }
    if !wait.arrived {
      // The acknowledgement may be up to 40 ms late: the counters tell sooner.
      guard hasArrived(wait, own) else { return .askAtOnce }
      wait.arrived = true
      if !mutations.contains(.acknowledgedAfterLook) { return .lookAtOnce }
    }

    // L2: the caller has taken every byte that has arrived, so it is inside the read that the tail ends. `wqueue` has no order
    // with the `rqueue` beside it: it may be from before a request that the caller wrote before it read the queue empty.
    if !wait.seenEmpty {
      wait.seenEmpty = true
      if mutations.contains(.receivedTooEarly) { wait.receivedEarly = own.receivedBytes }
      if !mutations.contains(.mergeLooks) { return .lookAtOnce }
    }

    // L3: whatever the caller wrote before L2, a newer request included, our TCP has acknowledged. Its two numbers have no
    // order either, and need none: `snd_una` follows `write_seq`, so where they are equal all that was written before this
    // look is acknowledged.
    guard look.sendQueue == 0 || mutations.contains(.dropSendQueue) else { return .askAtOnce }

    // L4: our TCP has received R, and counts before it acknowledges: what was acknowledged by L3 was read by us, so the caller
    // wrote nothing but what belongs to this operation. A count, and not an empty queue: a program on our own socket may keep
    // acknowledged bytes for a while before they can be read.
    let received = mutations.contains(.receivedTooEarly) ? wait.receivedEarly : own.receivedBytes
    guard received == wait.read || mutations.contains(.dropReceived) else { return .askAtOnce }
    return .release
  }

  /// Whether looks will do for the replies after one that the counters have proved: our socket's numbers agree with what is then
  /// known to be true.
  func agrees(_ wait: Wait, _ own: some OwnSocket) -> Bool {
    guard let acknowledged = own.acknowledgedBytes, let received = own.receivedBytes else { return false }
    return acknowledged <= wait.written && received == wait.read
  }
}
