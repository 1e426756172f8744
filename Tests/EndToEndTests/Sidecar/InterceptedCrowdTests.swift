import Glibc
import Testing

/// Whether the delivery gate sees callers behind the rule set of Deploy/interception, where connection tracking rewrites their
/// addresses: a sidecar and its callers on one host, the peers on another.
@Suite(
  .enabled(
    if: NetworkNamespace.isAvailable, "needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN for network namespaces, and ip of iproute2"),
  .serialized, .timeLimit(.minutes(10)))
struct InterceptedCrowdTests {
  private struct Outcome {
    var wrong = 0
    var blind = -1.0
    var releases = -1.0
  }

  private static let stream = RepairStream(blocks: 3, of: 1000)
  private static let host = "10.78.0.1"
  /// Callers of two peers that have one source port: the rewriting must not make their tuples one. Few, because each has its two
  /// addresses from the range by chance, and one pair in 65,024 has the same.
  private static let sharedPorts = 10

  @Test func noneOf1500ConnectionsTo30PeersIsBlind() throws {
    let outcome = try Self.crowd(peers: 30, each: 50, rules: "cat")
    #expect(outcome.wrong == 0)
    #expect(outcome.blind == 0)
    #expect(outcome.releases == 1500 * 3)
  }

  /// What the range is for: one of each two is lost, and served all the same.
  @Test func behindOneAddressOneOfTwoCallersWithTheSamePortIsBlind() throws {
    let outcome = try Self.crowd(peers: 2, each: 30, rules: "sed 's/dnat ip to [0-9.-]*:/redirect to :/'")
    #expect(outcome.wrong == 0)
    // The port that one gets in place of its own may by chance be a third one's, who then is invisible, too.
    #expect(outcome.blind >= Double(Self.sharedPorts) && outcome.blind <= Double(2 * Self.sharedPorts))
    #expect(outcome.releases == (60 - outcome.blind) * 3)
  }

  /// All connections are there before the first request.
  /// - Parameter rules: a filter that the rule set passes.
  private static func crowd(peers count: Int, each: Int, rules: String) throws -> Outcome {
    let near = try NetworkNamespace()
    let far = try NetworkNamespace()
    let addresses = (0..<count).map { "10.78.1.\($0 + 1)" }
    try near.join("near", ["\(host)/16"], to: far, "far", addresses.map { "\($0)/16" })
    try near.shell("\(rules) '\(RepositoryFile.path("Deploy/interception/lanekeeper.nft"))' | nft -f -")
    let peers = try far.run { try addresses.map { try stream.peer(address: $0, port: 17310) } }
    let sidecar = try Sidecar(
      peers: [],
      .init(
        outbound: ["mark: 0x4C4B"], listeners: ["{listen: 0.0.0.0:15310, intercept: true}"], namespace: near,
        sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
    let callers = try near.run {
      try (0..<count * each).map { index -> StreamSocket in
        let (peer, place) = (index % count, index / count)
        // The first ones of the first two peers share their ports; all others have their own.
        let port = 10_000 + (peer == 1 && place < sharedPorts ? index - 1 : index)
        return try StreamSocket(to: SocketAddress(addresses[peer], 17310), from: SocketAddress("0.0.0.0", UInt16(port)))
      }
    }
    let outcome = Shared(Outcome())
    let threads = 30
    BlockingThread.run(threads) { thread in
      for index in stride(from: thread, to: callers.count, by: threads) {
        let request = stream.request(index)
        if callers[index].send(request), stream.isRead(by: callers[index], request) { continue }
        outcome.withLock { $0.wrong += 1 }
      }
    }
    let metrics = try sidecar.metricsPort()
    let scrape = Scrape(try near.run { try HTTP.get(metrics, "/metrics") }.text)
    outcome.withLock {
      $0.blind = scrape.sum("lanekeeper_gate_blind_callers_total") ?? -1
      $0.releases = scrape.sum("lanekeeper_gate_releases_total") ?? -1
    }
    #expect(sidecar.log("caller.blind").count == sidecar.log("caller.blind", reason: "caller-not-found").count)
    #expect(peers.allSatisfy { $0.accepted == each })
    #expect(try sidecar.stop().delivered == callers.count)
    return outcome.now
  }
}
