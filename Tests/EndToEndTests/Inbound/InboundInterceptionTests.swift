import Glibc
import Testing

/// The rule set Deploy/interception/inbound.nft, beside that of outbound: a datanode and its sidecar on one host, a client on another.
@Suite(
  .enabled(
    if: NetworkNamespace.isAvailable, "needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN for network namespaces, and ip of iproute2"),
  .timeLimit(.minutes(10)))
struct InboundInterceptionTests {
  @Test func whatOtherHostsSendPassesTheSidecarUnchanged() throws {
    let host = try NetworkNamespace()
    let far = try NetworkNamespace()
    let rules = RepositoryFile.path("Deploy/interception")
    try host.join("near", ["10.78.0.1/24"], to: far, "far", ["10.78.0.2/24"])
    try host.shell("nft -f '\(rules)/lanekeeper.nft'; nft -f '\(rules)/inbound.nft'")
    let datanode = try host.run { try InterceptedPeers([SocketAddress("0.0.0.0", 17310)]) }
    defer { datanode.finish() }
    let sidecar = try RunningProgram.sidecar(
      """
      node: inbound
      inbound: {listen: "0.0.0.0:15312", datanode: "127.0.0.1:17310"}
      """, in: host)

    var request = [UInt8](repeating: 0, count: 57)
    (request[0], request[1], request[2], request[24], request[32], request[48]) = (0xFF, 1, 0x01, 7, 9, 5)
    var reply = request
    reply[3] = 0xF0
    let client = try far.run { try PlainSocket(connectedTo: SocketAddress("10.78.0.1", 17310)) }
    try client.write(request)
    #expect(try client.read(57) == reply)
    // Applied anew, and taken away: what is open stays where it is, what is new goes past the sidecar.
    try host.shell("nft -f '\(rules)/inbound.nft'\nnft delete table ip lanekeeper_inbound")
    try client.write(request)
    #expect(try client.read(57) == reply)
    let direct = try far.run { try PlainSocket(connectedTo: SocketAddress("10.78.0.1", 17310)) }
    try direct.write(request)
    #expect(try direct.read(57) == reply)

    let seen = datanode.finish()
    #expect(seen.map(\.request) == [request, request, request])
    #expect(seen.map(\.from.address) == ["127.0.0.1", "127.0.0.1", "10.78.0.2"])
    sidecar.send(SIGTERM)
    let result = try sidecar.finish()
    #expect(result.status == 0, "\(result.stderr)")
    #expect(result.stdout.contains("\"inbound\":{\"started\":2,\"delivered\":2,"))
  }
}
