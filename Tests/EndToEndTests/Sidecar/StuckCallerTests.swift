import CubeFSWire
import Glibc
import LinuxTestSupport
import TestBytes
import Testing

/// Callers that cannot go on while a reply of theirs is gated: what becomes of it, and of everybody else.
@Suite(.serialized) struct StuckCallerTests {
  /// A stream of two replies of this many bytes each, a multiple of what the caller reads at once: no read spans two replies.
  private static let reply = 20 * 57
  private static let request = WirePacket.request(0x09, reqID: 1, partition: 7, size: UInt32(2 * (reply - 57)))
  private static let stream = stream(of: request)

  private static func stream(of request: WirePacket) -> [UInt8] {
    [0, reply - 57].flatMap { start in
      request.block(at: request.header.extentOffset + Int64(start), pattern(reply - 57, seed: start)).bytes
    }
  }

  /// A peer, and a sidecar before it. The stream of partition 7 comes in two parts; everybody else is answered at once.
  private struct Bench {
    let isAsked = Shared(false)
    let goesOn = Shared(false)
    let sidecar: Sidecar
    let metrics: UInt16
    private let peer: ScriptedPeer

    init(firstPart: Int) throws {
      let (isAsked, goesOn) = (isAsked, goesOn)
      peer = try ScriptedPeer { socket, _ in
        while let request = socket.receiveRequest() {
          guard request.header.partitionID == 7 else {
            socket.send(Exemplar.reply(to: request))
            continue
          }
          let stream = stream(of: request)
          socket.send(stream.prefix(firstPart))
          isAsked.withLock { $0 = true }
          _ = eventually { goesOn.now }
          socket.send(stream.dropFirst(firstPart))
        }
      }
      sidecar = try Sidecar(peers: [peer.port], .init(sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
      metrics = try sidecar.metricsPort()
    }

    /// The caller under test, by its own port: the only one so far.
    func callersPort() throws -> UInt16 { try #require(ProcFile.unread(connectedTo: sidecar.port).keys.first) }

    /// The bytes in the caller's socket; those that wait for its lock are not among them.
    func unread(_ caller: UInt16) -> Int { ProcFile.unread(connectedTo: sidecar.port)[caller] ?? -1 }

    func scraped(_ name: String) -> Double {
      (try? HTTP.get(metrics, "/metrics")).flatMap { Scrape($0.text).sum("lanekeeper_gate_" + name) } ?? -1
    }

    /// A reply is withheld.
    var isWithholding: Bool { scraped("waiting_replies") >= 1 }

    /// Other callers of the same sidecar, one of single replies, which are not gated, and one of streams, which are. For half a
    /// second, so that the steps of the gate (25 ms at most) and of its helper (100 ms) fall into it.
    func servesOthers() throws -> Bool {
      let callers: [(StreamSocket, UInt8)] = [(try StreamSocket(port: sidecar.port), 0x10), (try StreamSocket(port: sidecar.port), 0x09)]
      let end = ContinuousClock.now + .milliseconds(500)
      var round: Int64 = 0
      while round < 50 || ContinuousClock.now < end {
        for (caller, opcode) in callers {
          let request = Exemplar.request(opcode, reqID: round, partition: 8)
          guard caller.ask(request) == Exemplar.reply(to: request) else { return false }
        }
        round += 1
      }
      return true
    }

    /// Serves others, and finds no turn of the loop over 5 ms that the machine did not make so: see `LoopWatch`. Five windows at
    /// most, because a sleep may have reasons of its own once (a page of the program read from disk); what the stuck caller
    /// does, it does in each.
    func expectOthersToBeServedInTime(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
      var findings: [LoopWatch.Finding] = []
      repeat {
        let watch = try LoopWatch(sidecar, metrics: metrics)
        let served = try servesOthers()
        try #require(served, "another caller was not served", sourceLocation: sourceLocation)
        findings.append(try watch.finding())
      } while findings.last?.isClean == false && findings.count < 5
      print("\(what): \(findings.map { "\($0)" }.joined(separator: "; "))")
      #expect(findings.last?.isClean == true, "\(findings)", sourceLocation: sourceLocation)
    }
  }

  /// Stopped before it reads, inside a reply, and between two.
  @Test(arguments: [0, 600, reply]) func aStoppedCallerGetsItsReplyWhenItGoesOn(_ before: Int) throws {
    let bench = try Bench(firstPart: before)
    defer { bench.goesOn.withLock { $0 = true } }
    let caller = try CallerProcess(Self.request.bytes, to: bench.sidecar.port, reads: Self.stream.count / 57, of: 57)
    try #require(eventually { bench.isAsked.now })
    try caller.waitUntilReceived(before / 57 * 57)
    let port = try bench.callersPort()
    try #require(eventually { bench.unread(port) == 0 })
    try #require(caller.stop())
    bench.goesOn.withLock { $0 = true }
    #expect(eventually { bench.isWithholding })
    try bench.expectOthersToBeServedInTime("stopped after \(before) bytes")

    // A reply that it was seen to read may have been completed meanwhile; one that it was not has never been.
    #expect(ProcFile.isStopped(caller.pid) && bench.isWithholding)
    let handedOver = before + bench.unread(port)
    #expect(handedOver > before && handedOver < (before == 0 ? Self.reply : Self.stream.count))

    caller.goOn()
    let isRight = try caller.finish() == Self.stream
    #expect(isRight)
    #expect(bench.sidecar.log("caller.dirty-reuse").isEmpty && bench.sidecar.log("caller.reset").isEmpty)
    let accounting = try bench.sidecar.stop()
    #expect(accounting.delivered == accounting.started, "\(accounting)")
  }

  /// The caller's `recv` waits for a page while it holds the socket's lock, and so does each look at the socket's counters.
  @Test(.enabled(if: HeldPage.refusal == nil, "cannot hold a page: \(HeldPage.refusal ?? "")"))
  func aCallerStuckInAPageFaultHoldsNobodyElse() throws {
    // It must stand there before the reply's last bytes come, because the counters are looked at then.
    let bench = try Bench(firstPart: 600)
    defer { bench.goesOn.withLock { $0 = true } }
    let page = try HeldPage()
    let caller = try StreamSocket(port: bench.sidecar.port)
    caller.send(Self.request)
    let got = Shared(0)
    let reader = BlockingThread {
      let count = recv(caller.descriptor, page.address, 57, 0)
      got.withLock { $0 = count }
    }
    defer { page.letGo() }
    let isStuck = page.waitUntilTouched()
    try #require(isStuck)
    let port = try bench.callersPort()
    bench.goesOn.withLock { $0 = true }
    #expect(eventually { bench.isWithholding })
    try bench.expectOthersToBeServedInTime("stuck in a page fault")
    #expect(bench.isWithholding && got.now == 0)
    let inItsSocket = bench.unread(port)
    #expect(inItsSocket >= 600 && inItsSocket < Self.reply)

    page.letGo()
    reader.join()
    #expect(got.now == 57)
    let rest = caller.receive(Self.stream.count - 57)
    let isRight = Array(UnsafeRawBufferPointer(start: page.address, count: 57)) + rest.bytes == Self.stream
    #expect(isRight && rest.ending == .complete)
    // One look did wait for the lock, or nothing was tested; the loop was served others meanwhile.
    #expect(eventually { bench.scraped("slow_queries_total") >= 1 })
    let accounting = try bench.sidecar.stop()
    #expect(accounting.delivered == accounting.started, "\(accounting)")
  }
}
