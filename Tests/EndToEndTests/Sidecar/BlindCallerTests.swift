import Glibc
import Testing

/// Callers whose socket the delivery gate cannot watch: said so once and served all the same, and a newer request behind replies
/// that are due is still found and costs them the connection (DESIGN.md section 5).
@Suite(
  .enabled(
    if: NetworkNamespace.isAvailable, "needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN for network namespaces, and ip of iproute2"),
  .timeLimit(.minutes(10)))
struct BlindCallerTests {
  enum Hiding: String, CaseIterable {
    /// In a network namespace of its own, with a veth pair to the sidecar's, as a container on its host is.
    case otherNamespace
    /// Above the sockets that socket diagnostics show.
    case mptcp

    var reason: String { self == .mptcp ? "caller-upper-layer" : "caller-not-found" }
  }

  private struct Stage {
    let sidecar: Sidecar
    let peer: ScriptedPeer
    /// Nil where this kernel has no such callers.
    let connect: () throws -> StreamSocket?
  }

  private static let stream = RepairStream(blocks: 3, of: 1000)
  private static let address = "10.79.0.1"

  private static func stage(_ hiding: Hiding, sending sent: Int = .max) throws -> Stage {
    if hiding == .mptcp {
      let peer = try stream.peer(sending: sent)
      let sidecar = try Sidecar(peers: [peer.port])
      return Stage(sidecar: sidecar, peer: peer) {
        guard access("/proc/sys/net/mptcp", F_OK) == 0 else { return nil }
        // IPPROTO_MPTCP, linux/in.h.
        return try StreamSocket(to: SocketAddress("127.0.0.1", sidecar.port), transport: 262)
      }
    }
    let host = try NetworkNamespace()
    let container = try NetworkNamespace()
    try host.join("near", ["\(address)/24"], to: container, "far", ["10.79.0.2/24"])
    let peer = try host.run { try stream.peer(sending: sent) }
    let sidecar = try Sidecar(peers: [peer.port], .init(address: address, namespace: host))
    return Stage(sidecar: sidecar, peer: peer) {
      try container.run { try StreamSocket(to: SocketAddress(address, sidecar.port)) }
    }
  }

  @Test(arguments: Hiding.allCases) func itIsSaidOnceAndServed(_ hiding: Hiding) throws {
    let stage = try Self.stage(hiding)
    guard let caller = try stage.connect() else { return print("this kernel has no MPTCP") }
    for number in 0..<3 {
      let request = Self.stream.request(number)
      caller.send(request)
      #expect(Self.stream.isRead(by: caller, request), "stream \(number)")
    }
    let line = try #require(try stage.sidecar.waitFor("caller.blind").first)
    #expect(line["reason"] == hiding.reason && line["alert"] == "caller.blind", "\(line.text)")
    let accounting = try stage.sidecar.stop()
    #expect(accounting.delivered == 3 && accounting.started == 3)
    #expect(stage.sidecar.log("caller.blind").count == 1)
    #expect(stage.sidecar.log("caller.dirty-reuse").isEmpty)
  }

  @Test(arguments: Hiding.allCases) func goingOnBeforeTheEndOfAStreamCostsItTheConnection(_ hiding: Hiding) throws {
    let stage = try Self.stage(hiding, sending: 1)
    guard let caller = try stage.connect() else { return print("this kernel has no MPTCP") }
    let request = Self.stream.request(0)
    caller.send(request)
    // Not gated: the first reply lies there whole, for the next reader to find.
    let first = Self.stream.replies(to: request)[0]
    #expect(eventually { caller.peek() == first.count })
    caller.send(Exemplar.request(0x10, reqID: 2, partition: 8))
    let found = caller.receiveToEnd()
    let isRight = first.starts(with: found.bytes)
    #expect(isRight && found.ending == .reset, "\(found.bytes.count) bytes, \(found.ending)")
    let line = try #require(try stage.sidecar.waitFor("caller.dirty-reuse").first)
    #expect(line["severity"] == "critical" && line["opcode"] == "OpExtentRepairRead" && line["callerReqID"] == "1", "\(line.text)")
    #expect(line["observed"]?.contains("OpGetAppliedId") == true, "\(line.text)")
    #expect(stage.sidecar.log("caller.blind", reason: hiding.reason).count == 1)
    #expect(eventually { stage.peer.living == 0 })
    let accounting = try stage.sidecar.stop()
    #expect(accounting.started == 2 && accounting.reset == 2)
  }
}

extension StreamSocket {
  /// How many bytes could be read now. By reading: an MPTCP socket does not tell by FIONREAD on every kernel.
  fileprivate func peek() -> Int {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    return recv(descriptor, &bytes, bytes.count, Int32(MSG_PEEK | MSG_DONTWAIT))
  }
}
