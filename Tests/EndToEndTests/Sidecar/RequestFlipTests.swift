import CubeFSWire
import TestBytes
import Testing

/// Each bit of a request's header turned over, for each opcode, over real sockets.
@Suite struct RequestFlipTests {
  private struct Turn: Sendable {
    var wanted = 0
    var result: (bytes: [UInt8], ending: StreamSocket.Ending)?
  }

  @Test func everyFlippedBitIsForwardedUnchangedOrRefused() throws {
    let lanes = 16
    let turns = (0..<lanes).map { _ in Shared(Turn()) }
    let peers = try turns.map { turn in
      try ScriptedPeer { socket, _ in
        let found = socket.receive(turn.now.wanted)
        if !found.bytes.isEmpty { turn.withLock { $0.result = found } }
      }
    }
    let sidecar = try Sidecar(peers: peers.map(\.port))
    let ports = sidecar.ports
    var requests = (ProtocolTable.answered + [0x04]).map { Exemplar.request($0, reqID: 0x0102_0304, partition: 7) }
    // A leader's write to its follower at v3.5.3.
    requests.append(
      .request(0x03, reqID: 5) {
        $0.header.extentType = 0x11
        $0.header.verSeq = 3
        $0.header.protoVersion = 1
        $0.payload = pattern(64)
      })
    let cases = requests.flatMap { request in (0..<57 * 8).map { (request, $0) } }
    let failures = Shared<[String]>([])
    let sums = Shared((nothing: 0, packet: 0, part: 0))
    BlockingThread.run(lanes) { lane in
      for index in stride(from: lane, to: cases.count, by: lanes) {
        // Each failure may cost a whole time limit: a few say enough.
        guard failures.now.count < 20 else { return }
        let (request, bit) = cases[index]
        var bytes = request.bytes
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        let right = ProtocolTable.peerSees(bytes)
        sums.withLock {
          switch right {
          case .nothing: $0.nothing += 1
          case .packet: $0.packet += 1
          case .part: $0.part += 1
          }
        }
        do {
          if let failure = try Self.check(bytes, right, ports[lane], turns[lane], peers[lane]) {
            failures.withLock { $0.append("\(request.header.opcode.name), byte \(bit / 8) bit \(bit % 8), \(right): \(failure)") }
          }
        } catch {
          failures.withLock { $0.append("\(error)") }
          return
        }
      }
    }
    #expect(failures.now.isEmpty, "\(failures.now.count) of \(cases.count):\n\(failures.now.prefix(20).joined(separator: "\n"))")
    let found = sums.now
    #expect(found.nothing > 1000 && found.packet > 10_000 && found.part > 100, "\(found)")
    try sidecar.stop()
  }

  private static func check(
    _ bytes: [UInt8], _ right: ProtocolTable.PeerSees, _ port: UInt16, _ turn: Shared<Turn>, _ peer: ScriptedPeer
  ) throws -> String? {
    let wanted = if case .packet(let count) = right { count } else { bytes.count + 1 }
    turn.withLock { $0 = Turn(wanted: wanted) }
    let caller = try StreamSocket(port: port)
    guard caller.send(bytes) else { return "not taken" }
    defer { caller.resetOnClose() }
    switch right {
    case .nothing:
      let found = caller.receiveToEnd()
      guard found.bytes.isEmpty, found.ending == .reset else { return "no reset, but \(found.bytes.count) bytes, \(found.ending)" }
      // A connection of an earlier turn may be accepted as late as now; it has nothing to say.
      return turn.now.result.map { $0.bytes.isEmpty } ?? true ? nil : "the peer was sent something for it"
    case .packet(let count) where count < bytes.count:
      // A lock-step caller that goes on at once has given the request up: it need not be sent any more.
      let found = caller.receiveToEnd()
      guard found.bytes.isEmpty, found.ending == .reset else { return "no reset, but \(found.bytes.count) bytes, \(found.ending)" }
      guard settle(peer) else { return "the connection to the peer stays" }
      guard let result = turn.now.result else { return nil }
      return difference(Array(bytes.prefix(result.bytes.count)), result.bytes)
    case .packet(let count):
      guard eventually({ turn.now.result != nil }), let result = turn.now.result else { return "nothing came" }
      return result.ending == .complete
        ? difference(Array(bytes.prefix(count)), result.bytes) : "\(result.bytes.count) bytes, \(result.ending)"
    case .part:
      caller.finishSending()
      let found = caller.receiveToEnd()
      guard found.bytes.isEmpty, found.ending != .timeout else { return "\(found.bytes.count) bytes to the caller, \(found.ending)" }
      // Part of the packet may have gone out; then its connection ends.
      guard settle(peer) else { return "the connection to the peer stays" }
      guard let result = turn.now.result else { return nil }
      return result.ending == .complete ? "more than was sent" : difference(Array(bytes.prefix(result.bytes.count)), result.bytes)
    }
  }

  /// Waits until every connection that the sidecar has opened to the peer was served, and ends those that are left idle.
  private static func settle(_ peer: ScriptedPeer) -> Bool {
    // A connection of our own, behind the sidecar's in the queue, shows that those were accepted.
    let accepted = peer.accepted
    guard let own = try? StreamSocket(port: peer.port) else { return false }
    guard eventually({ peer.accepted > accepted }) else { return false }
    own.hangUp()
    peer.hangUpIdle()
    return eventually { peer.living == 0 }
  }

  /// Nil where they are equal but for ReqID, which is a positive stamp.
  private static func difference(_ sent: [UInt8], _ seen: [UInt8]) -> String? {
    var seen = seen
    guard seen.count >= 57 else { return seen.count == sent.count ? nil : "\(seen.count) bytes" }
    if seen[41] & 0x80 != 0 || seen[41..<49].elementsEqual(sent[41..<49]) { return "no stamp: \(seen[41..<49])" }
    seen.replaceSubrange(41..<49, with: sent[41..<49])
    return seen == sent ? nil : "sent \(sent), seen \(seen)"
  }
}
