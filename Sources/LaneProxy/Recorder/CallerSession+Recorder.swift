internal import CubeFSWire
internal import LaneCore
internal import LinuxIO

// The flight recorder's rings: what goes over the caller's connection and over the upstream, as it is there.
extension CallerSession {
  /// Puts the stamp into a request's head that goes out. The rings keep it as it came and as it goes.
  func restamp(_ head: Framer.Head, _ stamp: Int64) {
    guard ring.isOn else { return head.header.restamp(stamp) }
    let callerReqID = head.header.reqID
    let here = inputLimit.map { $0 - head.start } ?? head.length
    let bytes = UnsafeRawBufferPointer(start: head.start, count: max(head.length, here))
    ring.add(
      bytes, headLength: head.length, packetLength: head.packetLength, isReply: false, counterpart: stamp, at: proxy.packetTime())
    head.header.restamp(stamp)
    upstream?.ring.add(
      bytes, headLength: head.length, packetLength: head.packetLength, isReply: false, counterpart: callerReqID,
      at: proxy.packetTime())
  }

  /// Keeps a reply that goes to the caller. `behind` bytes follow its head.
  func noteReply(_ head: Framer.Head, _ behind: Int, stamp: Int64, observed reason: Reason?) {
    guard ring.isOn else { return }
    ring.add(
      head, behind, isReply: true, counterpart: stamp, verdict: reason == nil ? .forwarded : .observed, reason: reason,
      at: proxy.packetTime())
  }

  /// Keeps an error reply of our own.
  func noteError(_ bytes: UnsafeRawBufferPointer, _ exchange: Exchange, _ reason: Reason) {
    guard ring.isOn else { return }
    ring.addError(bytes, to: exchange, reason, at: proxy.packetTime())
  }

  /// Keeps a request that is not served.
  func noteRefused(_ head: Framer.Head, _ reason: Reason) {
    guard ring.isOn else { return }
    ring.add(head, 0, isReply: false, verdict: .dropped, reason: reason, at: proxy.packetTime())
  }

  /// The caller's connection as it was.
  var flow: Evidence.Flow {
    let packets = ring.packets.map { packet in
      var packet = packet
      packet.stamp = packet.counterpart == 0 ? nil : packet.counterpart
      return packet
    }
    return Evidence.Flow(.caller, client: tuple.source, server: tuple.destination, packets: packets, lost: ring.lost)
  }

  /// Has the packets that led to an event kept, and tells whose the stray reply is.
  func addEvidence(to event: inout LaneEvent) {
    guard event.name.leavesEvidence, let keeper = proxy.evidence else { return }
    if event.name.isAboutReply { event.owner = upstream?.owner(besides: event.operation) }
    guard keeper.takesMore(now: reactor.now) else { return }
    let flows = [flow] + (upstream.map { [$0.flow] } ?? [])
    event.evidence = keeper.keep(Evidence(flows), of: event, now: reactor.now)
  }
}
