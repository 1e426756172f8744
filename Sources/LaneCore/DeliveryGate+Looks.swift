/// The release by looks alone: queries that take no lock, and two numbers of our own socket. Each condition has its proof beside
/// it, and a mutant in the simulator.
///
/// The counters prove a reply when all of it but the tail has been read. Looks need less: a caller that has taken the header of
/// this reply is inside the one function that reads a packet (`ReadFromConn`, from v3.5.3 on `ReadFromConnWithVer`, CubeFS
/// `proto/packet.go`), which reads the rest or fails, and on a failure the connection is closed. So a reply may be completed, and
/// the next one begun behind it, while the caller is still copying the first: it need not sleep between two replies.
///
/// Looks do not tell of an upper layer, so a connection's first reply is proved by the counters.
extension DeliveryGate {
  /// The fixed header, which every reading of a packet begins with, bytes.
  private static let headerLength: UInt64 = 57

  /// L1: so much of W has arrived. The caller's TCP acknowledges a byte after it has counted it as received: never one that is on
  /// its way or in the socket's backlog. Bytes that sockmap takes past TCP are not acknowledged at all. Read before the look: at
  /// the look it can only be more.
  func arrivedBytes(_ wait: Wait, _ own: some OwnSocket) -> UInt64 {
    if wait.arrived || mutations.contains(.dropAcknowledged) { return wait.written }
    return max(wait.acknowledged, own.acknowledgedBytes ?? 0)
  }

  /// How much of W the caller must have read to be inside this reply: its header, or all that is there. A header and not one byte: a
  /// reader that takes an earlier packet for longer than we do ends up to 12 bytes late, and 57 bytes on it has found no magic.
  func begunMark(_ wait: Wait) -> UInt64 {
    mutations.contains(.headerUnread) ? replyStart : min(wait.written, replyStart &+ Self.headerLength)
  }

  func weighLook(_ look: Observation, _ wait: inout Wait, own: some OwnSocket) -> Verdict {
    guard looksSuffice else {
      guard look.receiveQueue == 0 else { return .lookAgain }
      // An empty queue proves nothing before the bytes have arrived, but is worth a question then.
      if wait.arrived { wait.begun = true }
      return .askAtOnce
    }

    // L2: the caller has read the header of this reply, so it is inside the read that the tail ends. What arrived by L1 and is
    // not in the queue was read; more may have been. Nothing is undone by time: this stays so.
    if !wait.begun {
      let arrived = mutations.contains(.acknowledgedAfterLook) ? arrivedBytes(wait, own) : wait.acknowledged
      let queued = UInt64(look.receiveQueue)
      guard arrived >= queued, arrived - queued >= begunMark(wait) else {
        // All that has arrived was read, and the acknowledgement may be up to 40 ms late: the counters tell sooner.
        return queued == 0 ? .askAtOnce : .lookAgain
      }
      wait.begun = true
      wait.starved = queued == 0
      if mutations.contains(.receivedTooEarly) { wait.receivedEarly = own.receivedBytes }
      // `wqueue` has no order with the `rqueue` beside it: it may be from before a request that the caller wrote before it read.
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
