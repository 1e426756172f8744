internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

// Inbound, the bytes are the same on both connections: one ring stands for both.
extension InboundSession {
  /// Keeps a request. `behind` bytes follow its head; `stamp` is nil where it is refused.
  func noteRequest(_ head: Framer.Head, _ behind: Int, stamp: Int64?) {
    guard ring.isOn else { return }
    ring.add(
      head, behind, isReply: false, counterpart: stamp ?? 0, verdict: stamp == nil ? .dropped : .forwarded,
      reason: stamp == nil ? .callerDirtyReuse : nil, at: proxy.packetTime())
  }

  /// Keeps a reply that was judged. `behind` bytes follow its head.
  func noteReply(_ head: Framer.Head, _ behind: Int, _ refusal: Reason?) {
    guard ring.isOn else { return }
    ring.add(
      head, behind, isReply: true, counterpart: refusal == nil ? datanode.passing.stamp ?? 0 : 0,
      verdict: refusal == nil ? .forwarded : .dropped, reason: refusal, at: proxy.packetTime())
  }

  /// Keeps that bytes came which are no packet.
  func noteUnframed(_ bytes: UnsafeMutableRawBufferPointer, _ reason: Reason) {
    guard ring.isOn else { return }
    ring.addUnframed(UnsafeRawBufferPointer(bytes), reason: reason, at: proxy.packetTime())
  }

  /// Keeps an error reply of our own.
  func noteError(_ bytes: UnsafeRawBufferPointer, _ exchange: Exchange, _ reason: Reason) {
    guard ring.isOn else { return }
    ring.addError(bytes, to: exchange, reason, at: proxy.packetTime())
  }

  /// Has the packets that led to an event kept, and tells whose the stray reply is.
  func addEvidence(to event: inout LaneEvent) {
    guard event.name.leavesEvidence, let keeper = proxy.evidence else { return }
    if event.name.isAboutReply { event.owner = owner(besides: event.operation) }
    guard keeper.takesMore(now: reactor.now) else { return }
    let packets = ring.packets.map { packet in
      var packet = packet
      let reqID = packet.reqID
      // Where the caller's own sidecar stamps its requests, its operation ids count.
      if introduction?.process != nil, let reqID, reqID > 0 {
        packet.stamp = packet.counterpart != 0 || ring.request(reqID: reqID) != nil ? reqID : nil
      } else {
        packet.stamp = packet.counterpart != 0 ? packet.counterpart : reqID.flatMap { ring.request(reqID: $0)?.counterpart }
      }
      return packet
    }
    let toCaller = packets.filter { !$0.isReply || $0.verdict != .dropped }
    let toDatanode = packets.filter { $0.verdict != .ours && ($0.isReply || $0.verdict != .dropped) }
    event.evidence = keeper.keep(
      Evidence(
        [
          Evidence.Flow(.caller, client: remote, server: local, packets: toCaller, lost: ring.lost),
          Evidence.Flow(.peer, client: datanode.local, server: datanode.remote, packets: toDatanode, lost: ring.lost),
        ], process: introduction?.process), of: event, now: reactor.now)
  }

  private func owner(besides operation: LaneEvent.Operation?) -> LaneEvent.Operation? {
    guard let reqID = ring.lastReplyID, var owner = ring.operation(reqID: reqID, proxy.catalogue) else { return nil }
    swap(&owner.stamp, &owner.callerReqID)
    if let introduction { owner.adopt(introduction) }
    return owner.stamp == operation?.stamp ? nil : owner
  }
}
