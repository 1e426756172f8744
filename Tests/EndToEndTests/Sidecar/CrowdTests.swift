import CubeFSWire
import Glibc
import TestBytes
import Testing

/// Many connections, few descriptors, processes that die: DESIGN.md G8 and G9.
@Suite(.serialized) struct CrowdTests {
  private static func answeringPeer() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
  }

  @Test func thousandsOfSilentConnectionsCostTheOthersNothing() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port])
    let silent = try (0..<2000).map { _ in try StreamSocket(port: sidecar.port) }
    let caller = try StreamSocket(port: sidecar.port)
    for round in 0..<200 {
      let request = Exemplar.request(0x10, reqID: Int64(round), partition: 7)
      #expect(caller.ask(request) == Exemplar.reply(to: request))
    }
    #expect(peer.accepted == 1)
    #expect(silent.allSatisfy { !$0.isReadable() })
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 200)
  }

  @Test func connectionsBeyondTheLimitAreResetAndToldOf() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["limits:", "  maxConnections: 3"]))
    var callers = try (0..<3).map { _ in try StreamSocket(port: sidecar.port) }
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    for caller in callers { #expect(caller.ask(request) == Exemplar.reply(to: request)) }
    let fourth = try StreamSocket(port: sidecar.port)
    #expect(fourth.receiveToEnd().ending == .reset)
    #expect(try sidecar.waitFor("connection.refused").first?["reason"] == "connection-limit")
    callers.removeLast()
    #expect(eventually { (try? StreamSocket(port: sidecar.port))?.ask(request) == Exemplar.reply(to: request) })
    try sidecar.stop()
  }

  @Test func aSidecarOutOfDescriptorsSaysSoAndRecovers() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(shell: "ulimit -n 64"))
    var callers = try (0..<100).map { _ in try StreamSocket(port: sidecar.port) }
    #expect(try sidecar.waitFor("listener.exhausted").first?["reason"] == "descriptor-limit")
    // Those that were accepted find no descriptor for their upstream: told at once.
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    let reply = callers[0].ask(request)
    #expect(reply?.isErrorReply(to: request) == true || reply == Exemplar.reply(to: request))
    callers.removeAll()
    try sidecar.waitFor("listener.recovered")
    #expect(eventually { (try? StreamSocket(port: sidecar.port))?.ask(request) == Exemplar.reply(to: request) })
    try sidecar.stop()
  }

  @Test func anOperationThatNeverEndsDelaysTheEndForAsLongAsConfigured() throws {
    let peer = try ScriptedPeer { socket, _ in _ = socket.receiveToEnd() }
    let sidecar = try Sidecar(peers: [peer.port], .init(outbound: ["shutdownTimeout: 700ms"]))
    let caller = try StreamSocket(port: sidecar.port)
    caller.send(Exemplar.request(0x08, reqID: 1, partition: 7))
    #expect(eventually { peer.living == 1 })
    let start = ContinuousClock.now
    let accounting = try sidecar.stop()
    let took = ContinuousClock.now - start
    #expect(took > .milliseconds(650) && took < .seconds(5), "\(took)")
    #expect(caller.receiveToEnd().ending == .reset)
    #expect(accounting.started == 1 && accounting.reset == 1)
  }

  @Test func sigtermUnderLoadLosesNothing() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port])
    let port = sidecar.port
    let counts = Shared((right: 0, wrong: 0))
    let opcodes: [UInt8] = [0x01, 0x03, 0x02, 0x05, 0x07, 0x09, 0x10, 0x60]
    let threads = (0..<8).map { thread in
      BlockingThread {
        guard let caller = try? StreamSocket(port: port) else { return }
        for round in 0..<1_000_000 {
          let request = Exemplar.request(opcodes[(round + thread) % opcodes.count], reqID: Int64(round), partition: UInt64(thread))
          guard caller.send(request), let reply = caller.receivePacket() else { return }
          let isRight = reply == Exemplar.reply(to: request) || reply.isErrorReply(to: request)
          counts.withLock { if isRight { $0.right += 1 } else { $0.wrong += 1 } }
        }
      }
    }
    #expect(eventually { counts.now.right > 2000 })
    let accounting = try sidecar.stop()
    for thread in threads { thread.join() }
    #expect(counts.now.wrong == 0)
    #expect(accounting.delivered >= counts.now.right && accounting.delivered <= counts.now.right + 8, "\(accounting), \(counts.now)")
  }

  private static let bench = "lanekeeper-bench"

  private static func load(_ port: UInt16) throws -> RunningProgram {
    try RunningProgram(
      ["load", "--target", "127.0.0.1:\(port)", "--shape", "block", "--connections", "16", "--seconds", "60", "--warmup", "16"],
      executable: Program.path(bench))
  }

  @Test func aCallerKilledInMidStreamIsAccountedFor() throws {
    let peer = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      let block = request.block(at: request.header.extentOffset, pattern(Int(request.header.size)))
      socket.send(block.bytes.prefix(60_000))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try Self.load(sidecar.port)
    #expect(eventually { peer.living == 16 })
    caller.send(SIGKILL)
    #expect(eventually { peer.living == 0 })
    let accounting = try sidecar.stop()
    #expect(accounting.started == 16 && accounting.abandoned == 16, "\(accounting)")
  }

  @Test func aPeerKilledUnderLoadIsAccountedFor() throws {
    let echo = try RunningProgram(["echo", "--listen", "127.0.0.1:0"], executable: Program.path(Self.bench))
    try echo.wait { output, _ in output.contains("listening") && output.hasSuffix("\n") }
    let echoPort = try #require(echo.output.split(separator: ":").last.flatMap { UInt16($0.filter(\.isNumber)) })
    let sidecar = try Sidecar(peers: [echoPort], .init(level: "debug"))
    let caller = try Self.load(sidecar.port)
    try sidecar.waitFor("operation.finished", count: 500)
    echo.send(SIGKILL)
    try sidecar.waitFor("operation.failed")
    caller.send(SIGKILL)
    let accounting = try sidecar.stop()
    #expect(accounting.delivered >= 500 && accounting.errorReply + accounting.reset > 0, "\(accounting)")
  }
}
