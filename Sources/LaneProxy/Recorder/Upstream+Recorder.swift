internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

extension Upstream {
  /// Keeps a reply as it came, before it is judged. `behind` bytes follow its head.
  func noteReply(_ head: Framer.Head, _ behind: Int) {
    guard ring.isOn else { return }
    ring.add(head, behind, isReply: true, at: peer.proxy.packetTime())
  }

  /// Keeps bytes that nobody asked for, up to the end of the first packet among them.
  func noteStray(_ bytes: UnsafeMutableRawBufferPointer, _ reason: Reason) {
    var rest = bytes
    var walker = Framer(.reply, release: peer.proxy.settings.release, limits: peer.proxy.settings.frameLimits)
    if case .head(let head) = walker.next(&rest) {
      noteReply(head, rest.count)
      ring.correctLastReply(.dropped, reason)
    } else {
      noteUnframed(bytes, reason)
    }
  }

  /// Keeps that bytes came which are no packet.
  func noteUnframed(_ bytes: UnsafeMutableRawBufferPointer, _ reason: Reason) {
    guard ring.isOn else { return }
    ring.addUnframed(UnsafeRawBufferPointer(bytes), reason: reason, at: peer.proxy.packetTime())
  }

  /// The payload of the last reply gives it away, after its head has passed. `verdict` is what the caller had of it.
  func correctLastReply(_ verdict: PacketRing.Verdict, _ reason: Reason, _ session: CallerSession) {
    ring.correctLastReply(verdict == .observed ? .observed : .dropped, reason)
    session.ring.correctLastReply(verdict, reason)
  }

  /// This connection as it was.
  var flow: Evidence.Flow {
    let packets = ring.packets.map { packet in
      var packet = packet
      // The ReqID of a stray reply may be anybody's: it is an operation's where a request here had it.
      if let reqID = packet.reqID, packet.verdict == .forwarded || ring.request(reqID: reqID) != nil { packet.stamp = reqID }
      return packet
    }
    return Evidence.Flow(.peer, client: local, server: remote, packets: packets, lost: ring.lost)
  }

  /// The operation that the last reply, which was refused, would have been an answer to: an earlier one on this connection; nil where it
  /// is not known, or is the one given.
  func owner(besides operation: LaneEvent.Operation?) -> LaneEvent.Operation? {
    guard let stamp = ring.lastReplyID, stamp != operation?.stamp else { return nil }
    return ring.operation(reqID: stamp, peer.proxy.catalogue)
  }

  /// As a caller's session does; there may be none.
  func addEvidence(to event: inout LaneEvent) {
    guard event.name.leavesEvidence, let keeper = peer.proxy.evidence else { return }
    event.owner = self.owner(besides: event.operation)
    guard keeper.takesMore(now: reactor.now) else { return }
    let flows = (self.owner.map { [$0.flow] } ?? []) + [flow]
    event.evidence = keeper.keep(Evidence(flows), of: event, now: reactor.now)
  }
}
