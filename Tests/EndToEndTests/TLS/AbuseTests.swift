import CubeFSWire
import Glibc
import TestBytes
import Testing

/// Clients that do not mean it: slow, silent, many, or garbage. Others are served meanwhile, and memory stays bounded.
@Suite struct AbuseTests {
  private static let request = Exemplar.request(0x10, reqID: 2, partition: 8)

  private static func far(_ datanode: ScriptedPeer, _ lines: [String]) throws -> Sidecar {
    let section = Certificates.section(Certificates.far, inbound: "{mode: strict, requireFrom: [127.0.0.0/8]}", lines)
    return try Sidecar(peers: [], .init(datanode: datanode.port, sections: [section.text, "metrics: {listen: \"127.0.0.1:0\"}"]))
  }

  private static func near(_ far: Sidecar) throws -> Sidecar {
    try Sidecar(peers: [far.inboundPort], .init(sections: [Certificates.section(Certificates.near, outbound: "{mode: strict}").text]))
  }

  @Test func theSilentAndTheSlowAreEndedInTime() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, ["handshakeTimeout: 300ms"])
    let silent = try StreamSocket(port: far.inboundPort)
    #expect(silent.receiveToEnd().ending == .reset)
    // One byte of a hello at a time: each is welcome, and none gives more time.
    let slow = try StreamSocket(port: far.inboundPort)
    let hello: [UInt8] = [0x16, 0x03, 0x01, 0x02, 0x00]
    slow.send(hello.prefix(1))
    var sent = 1
    while slow.send([hello[min(sent, 4)]]), !slow.isReadable(within: 40), sent < 1000 { sent += 1 }
    #expect(sent < 1000)
    #expect(slow.receiveToEnd().ending == .reset)
    try far.waitFor("tls.refused", reason: "tls-timeout")
    #expect(datanode.accepted == 0)
    try far.stop()
  }

  @Test func handshakesInFlightAreLimitedAndOthersAreServed() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, ["maxHandshakes: 20", "handshakeTimeout: 20s"])
    let near = try Self.near(far)
    let caller = try StreamSocket(port: near.port)
    #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request))
    let metrics = try far.metricsPort()
    var open: [StreamSocket] = []
    for _ in 0..<20 {
      let socket = try StreamSocket(port: far.inboundPort)
      socket.send([0x16, 3, 1])
      open.append(socket)
    }
    #expect(eventually { (try? Scrape(HTTP.get(metrics, "/metrics").text).sum("lanekeeper_tls_handshakes")) == 20 })
    // The next ones are refused at once.
    for _ in 0..<5 {
      let socket = try StreamSocket(port: far.inboundPort)
      socket.send([0x16, 3, 1])
      #expect(socket.receiveToEnd().ending == .reset)
    }
    try far.waitFor("tls.refused", reason: "handshake-limit")
    // A connection that is there already is not touched.
    #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request))
    // Room again: new ones get through.
    open.removeAll()
    #expect(eventually { (try? Scrape(HTTP.get(metrics, "/metrics").text).sum("lanekeeper_tls_handshakes")) == 0 })
    let stream = Exemplar.request(0x09, reqID: 4, partition: 8)
    #expect(try StreamSocket(port: near.port).ask(stream) == Exemplar.reply(to: stream))
    try near.stop()
    try far.stop()
  }

  /// One host that does not finish its handshakes keeps nobody else out.
  @Test func oneSourceDoesNotTakeAllHandshakes() throws {
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, ["maxHandshakes: 20", "maxHandshakesPerSource: 3", "handshakeTimeout: 20s"])
    let metrics = try far.metricsPort()
    func other() throws -> StreamSocket {
      try StreamSocket(to: SocketAddress("127.0.0.1", far.inboundPort), from: SocketAddress("127.0.0.2", 0))
    }
    var open = try (0..<3).map { _ in try other() }
    for socket in open { socket.send([0x16, 3, 1]) }
    #expect(eventually { (try? Scrape(HTTP.get(metrics, "/metrics").text).sum("lanekeeper_tls_handshakes")) == 3 })
    let fourth = try other()
    fourth.send([0x16, 3, 1])
    #expect(fourth.receiveToEnd().ending == .reset)
    let line = try #require(try far.waitFor("tls.refused", reason: "handshake-limit").first)
    #expect(line["detail"] == "3 from its address are in flight; tls.maxHandshakesPerSource is 3")
    let near = try Self.near(far)
    #expect(try StreamSocket(port: near.port).ask(Self.request) == Exemplar.reply(to: Self.request))
    // One that is over makes room for another of the same source.
    open.removeLast()
    #expect(eventually { (try? Scrape(HTTP.get(metrics, "/metrics").text).sum("lanekeeper_tls_handshakes")) == 2 })
    let another = try other()
    another.send([0x16, 3, 1])
    #expect(eventually { (try? Scrape(HTTP.get(metrics, "/metrics").text).sum("lanekeeper_tls_handshakes")) == 3 })
    try near.stop()
    try far.stop()
    #expect(far.log("tls.refused").count { $0["reason"] == "handshake-limit" } == 1)
  }

  @Test func floodsOfGarbageCostNobodyElseAndNoMemory() throws {
    let seed = testSeed()
    let datanode = try InboundTests.datanode()
    let far = try Self.far(datanode, [])
    let near = try Self.near(far)
    let caller = try StreamSocket(port: near.port)
    #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request))
    let port = far.inboundPort
    let before = try Self.residentKiB(far.pid)
    let isOver = Shared(false)
    let flood = BlockingThread {
      BlockingThread.run(4) { thread in
        var random = SeededGenerator(seed: seed &+ UInt64(thread))
        for number in 0..<250 {
          guard let socket = try? StreamSocket(port: port) else { continue }
          // Half of them begin as TLS does.
          let head: [UInt8] = number % 2 == 0 ? [0x16, 0x03, 0x01] : []
          socket.send(head + random.bytes(Int.random(in: 1...20_000, using: &random)))
          if number % 3 == 0 { socket.resetOnClose() }
        }
      }
      isOver.withLock { $0 = true }
    }
    var served = 0
    while !isOver.now {
      #expect(caller.ask(Self.request) == Exemplar.reply(to: Self.request))
      served += 1
    }
    flood.join()
    let grown = try Self.residentKiB(far.pid) - before
    print("\(served) operations meanwhile, \(grown) KiB more resident")
    #expect(served > 0 && grown < 8192)
    #expect(datanode.accepted == 1)
    try near.stop()
    try far.stop()
  }

  /// Killed in mid-handshake, on either side.
  @Test func aSideKilledInMidHandshake() throws {
    let datanode = try InboundTests.datanode()
    // The near one waits for a hello that never comes.
    let mute = try ScriptedPeer { socket, _ in _ = socket.receiveToEnd() }
    let near = try Sidecar(
      peers: [mute.port],
      .init(outbound: ["dialTimeout: 10s"], sections: [Certificates.section(Certificates.near, outbound: "{mode: strict}").text]))
    let caller = try StreamSocket(port: near.port)
    caller.send(Self.request)
    #expect(eventually { mute.accepted == 1 })
    mute.hangUpIdle()
    #expect(caller.receivePacket()?.header.resultCode != .ok)
    try near.waitFor("tls.refused", reason: "tls-lost")
    try near.stop()

    let far = try Self.far(datanode, [])
    let program = try RunningProgram(["s_client", "-connect", "127.0.0.1:\(far.inboundPort)"], executable: "/usr/bin/openssl")
    program.send(SIGKILL)
    _ = try program.finish()
    // Whatever was begun is over.
    let metrics = try far.metricsPort()
    #expect(eventually { (try? Scrape(HTTP.get(metrics, "/metrics").text).sum("lanekeeper_tls_handshakes")) == 0 })
    try far.stop()
  }

  private static func residentKiB(_ pid: pid_t) throws -> Int {
    let text = ProcFile.text("/proc/\(pid)/status")
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
    return try #require(Int(line.split(separator: " ").dropLast().last ?? ""))
  }
}
