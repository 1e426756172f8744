import CubeFSWire
import Testing

/// What a fresh user sees first.
@Suite struct OrdinaryOperationTests {
  @Test func oneRequestGetsItsAnswerUnderItsOwnID() throws {
    let stamps = Shared<[Int64]>([])
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        stamps.withLock { $0.append(request.header.reqID) }
        socket.send(request.mutated(bigEndian(99)))
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x10, reqID: 42)
    #expect(caller.ask(request) == request.mutated(bigEndian(99)))
    #expect(caller.ask(request) == request.mutated(bigEndian(99)))
    #expect(Set(stamps.now).count == 2 && stamps.now.allSatisfy { $0 > 0 && $0 != 42 })
    let accounting = try sidecar.stop()
    #expect(accounting.started == 2 && accounting.delivered == 2)
  }
}
