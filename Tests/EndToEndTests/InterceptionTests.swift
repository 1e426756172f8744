import Glibc
import Testing

/// Transparent interception with the rule set of Deploy/interception: a sidecar and its callers on one host, the peers on another,
/// each a network namespace, with a veth pair between them.
@Suite(
  .enabled(
    if: NetworkNamespace.isAvailable, "needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN for network namespaces, and ip of iproute2"),
  .timeLimit(.minutes(10)))
struct InterceptionTests {
  private static let host = "10.77.0.1"
  private static let peers = ["10.77.0.2", "10.77.0.3", "10.77.0.4"].map { SocketAddress($0, 17310) }
  private static let mark = "0x4C4B"

  @Test func requestsPassTheSidecarAndCallersSeeTheirPeer() throws {
    try withHosts { host, peers in
      let sidecar = try start(in: host)
      for (index, address) in Self.peers.enumerated() {
        let caller = try host.run { try PlainSocket(connectedTo: address) }
        #expect(caller.remote == address)
        let request = Self.request(reqID: UInt8(index + 1))
        try caller.write(request)
        #expect(try caller.read(57) == Self.reply(to: request))
      }
      let seen = peers.finish()
      // Each at the address that its caller meant: the original destination was right, and the sidecar's own connections passed.
      #expect(seen.map(\.peer) == Self.peers)
      for (index, sighting) in seen.enumerated() {
        #expect(sighting.from.address == Self.host)
        #expect(sighting.request[..<41] == Self.request(reqID: UInt8(index + 1))[..<41])
        #expect(sighting.request[49...] == Self.request(reqID: UInt8(index + 1))[49...])
        let stamp = sighting.request[41..<49]
        #expect(Array(stamp) != [0, 0, 0, 0, 0, 0, 0, UInt8(index + 1)], "not stamped: it did not pass the sidecar")
        #expect(stamp.first.map { $0 < 0x80 } ?? false, "not positive as Go's int64")
      }
      try finish(sidecar, started: Self.peers.count)
    }
  }

  @Test func aConnectionToTheListenerItselfIsRefused() throws {
    try withHosts { host, _ in
      let sidecar = try start(in: host)
      for address in ["127.0.0.1", "127.77.0.1", Self.host] {
        let stranger = try host.run { try PlainSocket(connectedTo: SocketAddress(address, 15310)) }
        #expect(stranger.end() == ECONNRESET, "\(address)")
      }
      try sidecar.wait { output, _ in output.contains("\"reason\":\"proxy-loop\"") }
      try finish(sidecar, started: 0)
    }
  }

  @Test func threeHundredConnectionsAtOnce() throws {
    try withHosts { host, peers in
      let sidecar = try start(in: host)
      let callers = try host.run { try (0..<300).map { try PlainSocket(connectedTo: Self.peers[$0 % Self.peers.count]) } }
      // One request is on its way on each before the first reply is read.
      for (index, caller) in callers.enumerated() { try caller.write(Self.request(number: index)) }
      for (index, caller) in callers.enumerated() {
        #expect(try caller.read(57) == Self.reply(to: Self.request(number: index)))
        #expect(caller.remote == Self.peers[index % Self.peers.count])
      }
      let seen = peers.finish()
      #expect(seen.count == callers.count)
      // Which caller a request came from is in its partition: each went to the peer that its caller meant.
      for sighting in seen {
        let number = Int(sighting.request[23]) << 8 | Int(sighting.request[24])
        #expect(sighting.peer == Self.peers[number % Self.peers.count])
      }
      #expect(Set(seen.map { Array($0.request[41..<49]) }).count == callers.count, "stamps are distinct")
      try finish(sidecar, started: callers.count)
    }
  }

  // MARK: Hosts

  private func withHosts(_ body: (_ host: NetworkNamespace, _ peers: InterceptedPeers) throws -> Void) throws {
    let host = try NetworkNamespace()
    let far = try NetworkNamespace()
    try host.join("near", ["\(Self.host)/24"], to: far, "far", Self.peers.map { "\($0.address)/24" })
    try host.shell("nft -f '\(RepositoryFile.path("Deploy/interception/lanekeeper.nft"))'")
    let peers = try far.run { try InterceptedPeers(Self.peers) }
    defer { peers.finish() }
    try body(host, peers)
  }

  // MARK: Sidecar

  private func start(in host: NetworkNamespace) throws -> RunningProgram {
    try RunningProgram.sidecar(
      """
      node: interception
      outbound: {mark: \(Self.mark), listeners: [{listen: 0.0.0.0:15310, intercept: true}]}
      log: {level: debug}
      """, in: host)
  }

  private func finish(_ sidecar: RunningProgram, started: Int) throws {
    sidecar.send(SIGTERM)
    let result = try sidecar.finish()
    #expect(result.status == 0, "\(result.stderr)")
    let account = result.stdout.split(separator: "\n").first { $0.contains("\"event\":\"accounting\"") }
    #expect(account?.contains("\"started\":\(started),") ?? false, "\(account ?? "no account")")
  }

  // MARK: Packets

  /// CreateExtent with 57 bytes and no payload: magic, extent type, opcode; partition at 17, extent at 25, ReqID at 41.
  private static func request(reqID: UInt8, partition: Int = 0) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 57)
    bytes[0] = 0xFF
    bytes[1] = 1
    bytes[2] = 0x01
    bytes[23] = UInt8(partition >> 8)
    bytes[24] = UInt8(partition & 0xFF)
    bytes[32] = 9
    bytes[48] = reqID
    return bytes
  }

  private static func request(number: Int) -> [UInt8] { request(reqID: UInt8(1 + number % 200), partition: number) }

  private static func reply(to request: [UInt8]) -> [UInt8] {
    var bytes = request
    bytes[3] = 0xF0
    return bytes
  }
}
