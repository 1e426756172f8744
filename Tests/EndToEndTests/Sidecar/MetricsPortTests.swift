import CubeFSWire
import Glibc
import Testing

/// `metrics.listen`, through the real program.
@Suite struct MetricsPortTests {
  private static let metrics = "metrics: {listen: \"127.0.0.1:0\"}"

  private static func answeringPeer() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
  }

  @Test func bothPagesAnswer() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: [Self.metrics]))
    let port = try sidecar.metricsPort()
    let ready = try HTTP.get(port, "/readyz")
    #expect(ready.status == 200 && ready.text == "ok\n")
    let metrics = try HTTP.get(port, "/metrics")
    #expect(metrics.status == 200)
    #expect(metrics.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
    let scrape = Scrape(metrics.text)
    #expect(scrape.sum("lanekeeper_build_info", ["cubefs_release": "auto"]) == 1)
    let start = try #require(scrape.sum("process_start_time_seconds"))
    #expect(abs(start - Double(time(nil))) < 120)
    #expect(try #require(scrape.sum("process_resident_memory_bytes")) > 1e6)
    #expect(try #require(scrape.sum("process_cpu_seconds_total")) > 0)
    #expect(try #require(scrape.sum("lanekeeper_reactor_stall_seconds_count")) > 0)

    for path in ["/metrics", "/readyz"] {
      let head = try HTTP.ask(port, HTTP.request(path, "HEAD"))
      #expect(head.status == 200 && head.body.isEmpty)
      #expect(try #require(head.fields["content-length"].flatMap { Int($0) }) > 0)
      let post = try HTTP.ask(port, HTTP.request(path, "POST"))
      #expect(post.status == 405 && post.fields["allow"] == "GET, HEAD")
    }
    let unknown = try HTTP.get(port, "/")
    #expect(unknown.status == 404 && unknown.text == "Not here. There is:\n/metrics\n/readyz\n/holds\n")
    #expect(try HTTP.ask(port, "\u{16}\u{3}\u{1} no HTTP at all\r\n\r\n").status == 400)
    try sidecar.stop()
  }

  /// Prometheus' own parser and linter.
  @Test func promtoolReadsThemAndHasNothingToSay() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: [Self.metrics]))
    let caller = try StreamSocket(port: sidecar.port)
    _ = caller.ask(Exemplar.request(0x10, reqID: 1, partition: 7))
    let metrics = try HTTP.get(try sidecar.metricsPort(), "/metrics")
    try #require(access("/usr/bin/promtool", X_OK) == 0, "no promtool: run Deploy/setup/packages test")
    let result = try RunningProgram(["check", "metrics"], executable: "/usr/bin/promtool").finish(stdin: metrics.body)
    #expect(result.status == 0 && result.stdout == "" && result.stderr == "", "\(result.stdout) \(result.stderr)")
    // It does find what is wrong.
    let broken = try RunningProgram(["check", "metrics"], executable: "/usr/bin/promtool").finish(stdin: metrics.body + Array("a{\n".utf8))
    #expect(broken.status != 0)
    try sidecar.stop()
  }

  @Test func countsAgreeWithTheClosingLineAndTheLog() throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        var reply = Exemplar.reply(to: request)
        // Another partition's answer.
        if request.header.opcode.rawValue == 0x11 { reply.header.partitionID = 99 }
        socket.send(reply)
      }
    }
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: [Self.metrics]))
    let port = try sidecar.metricsPort()
    let callers = try (0..<5).map { _ in try StreamSocket(port: sidecar.port) }
    for (index, caller) in callers.enumerated() {
      for opcode: UInt8 in [0x10, 0x09, 0x05, 0x07] {
        let request = Exemplar.request(opcode, reqID: Int64(index), partition: 7)
        #expect(caller.ask(request) == Exemplar.reply(to: request))
      }
      let request = Exemplar.request(0x11, reqID: 77, partition: 7)
      #expect(caller.ask(request)?.isErrorReply(to: request) == true)
    }
    let before = Scrape(try HTTP.get(port, "/metrics").text)
    #expect(before.sum("lanekeeper_caller_connections") == 5)
    #expect(before.sum("lanekeeper_peers") == 1)
    #expect(
      before.sum("lanekeeper_events_total", ["event": "reply.dropped", "reason": "partition-mismatch", "class": "repair-control"]) == 5)
    #expect(before.sum("lanekeeper_alerts_total", ["event": "reply.dropped", "severity": "critical"]) == 5)
    #expect(try sidecar.waitFor("reply.dropped", count: 5).count == 5)
    // A stream's connection serves once. At this level the log does not tell; the metrics do.
    #expect(before.sum("lanekeeper_events_total", ["event": "upstream.retired", "reason": "single-use", "class": "repair-stream"]) == 5)
    #expect(sidecar.log("upstream.retired", reason: "single-use").isEmpty)
    #expect(before.sum("lanekeeper_upstream_connections", ["class": "read", "state": "idle"]) == 1)
    #expect(before.sum("lanekeeper_upstream_connections", ["state": "leased"]) == 0)

    let accounting = try sidecar.stop()
    #expect(before.sum("lanekeeper_operations_started_total") == 25)
    #expect(accounting.started == 25)
    for (outcome, count) in [
      ("delivered", accounting.delivered), ("errorReply", accounting.errorReply), ("reset", accounting.reset),
      ("abandoned", accounting.abandoned), ("noneDue", accounting.noneDue),
    ] { #expect(before.sum("lanekeeper_operations_ended_total", ["outcome": outcome]) == Double(count), "\(outcome)") }
  }

  @Test func aDrainingProcessIsNotReadyAndSaysSo() throws {
    let released = Shared(false)
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        _ = eventually { released.now }
        socket.send(Exemplar.reply(to: request))
      }
    }
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: [Self.metrics]))
    let port = try sidecar.metricsPort()
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    caller.send(request)
    #expect(eventually { peer.accepted == 1 })
    #expect(try HTTP.get(port, "/readyz").status == 200)
    sidecar.send(SIGTERM)
    try sidecar.waitFor("process.draining")
    let answer = try HTTP.get(port, "/readyz")
    #expect(answer.status == 503 && answer.text == "draining\n")
    let scrape = Scrape(try HTTP.get(port, "/metrics").text)
    #expect(scrape.sum("lanekeeper_operations_started_total") == 1)
    #expect(scrape.sum("lanekeeper_operations_ended_total") == 0)
    released.withLock { $0 = true }
    #expect(caller.receivePacket() == Exemplar.reply(to: request))
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 1)
  }

  /// More than the port takes, each with half a request: a scrape gets in at once, and the rest are closed after their time.
  @Test func aHundredHalfOpenConnectionsKeepNobodyOut() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: [Self.metrics]))
    let port = try sidecar.metricsPort()
    let halves = try (0..<100).map { _ in
      let socket = try StreamSocket(port: port)
      socket.send(Array("GET /metrics HTTP/1.1\r\nHost: ".utf8))
      return socket
    }
    let start = ContinuousClock.now
    #expect(try HTTP.get(port, "/readyz").status == 200)
    #expect(try HTTP.get(port, "/metrics").status == 200)
    #expect(descriptors(of: sidecar.pid) < 64 + 40)
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    #expect(caller.ask(request) == Exemplar.reply(to: request))
    for half in halves { #expect(half.receiveToEnd().bytes.isEmpty) }
    // The last of them waited for its time and not for a test's patience.
    #expect(ContinuousClock.now - start > .seconds(4))
    #expect(halves.allSatisfy { $0.isReadable() })
    try sidecar.stop()
  }

  @Test func aProcessOutOfDescriptorsIsNotReadyUntilItRecovers() throws {
    let peer = try Self.answeringPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: [Self.metrics], shell: "ulimit -n 64"))
    let port = try sidecar.metricsPort()
    var answer: HTTPAnswer?
    // A connection that asks later must be there before: none can be accepted then. On a busy machine its time may run out.
    for attempt in 1...5 where answer == nil {
      #expect(attempt == 1 || eventually { (try? HTTP.get(port, "/readyz").status) == 200 })
      let asker = try StreamSocket(port: port)
      asker.send(Array("GET /readyz HTTP/1.1\r\n".utf8))
      // Connections are accepted in their order: after this one, the first was.
      #expect(try HTTP.get(port, "/readyz").status == 200)
      let callers = try (0..<100).map { _ in try StreamSocket(port: sidecar.port) }
      try sidecar.waitFor("listener.exhausted", count: attempt)
      asker.send(Array("\r\n".utf8))
      let found = asker.receiveToEnd().bytes
      if !found.isEmpty { answer = HTTPAnswer(found) }
      withExtendedLifetime(callers) {}
    }
    #expect(answer?.status == 503 && answer?.text == "listener 127.0.0.1:\(sidecar.port) is not accepting\n", "\(answer?.text ?? "none")")
    try sidecar.waitFor("listener.recovered")
    #expect(eventually { (try? HTTP.get(port, "/readyz").status) == 200 })
    let alerts = Scrape(try HTTP.get(port, "/metrics").text).sum("lanekeeper_alerts_total", ["event": "listener.exhausted"])
    try sidecar.stop()
    #expect(alerts == Double(sidecar.log("listener.exhausted").count))
  }

  private func descriptors(of pid: pid_t) -> Int {
    guard let directory = opendir("/proc/\(pid)/fd") else { return .max }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count
  }

  @Test func aTakenPortIsSaidAndNothingStarts() throws {
    let squatter = try ScriptedPeer { _, _ in }
    defer { squatter.stop() }
    let text = """
      {outbound: {listeners: [{listen: "127.0.0.1:0", peer: "127.0.0.1:1"}]}, metrics: {listen: "127.0.0.1:\(squatter.port)"}}
      """
    let result = try Program.run(["run", "--config", "/dev/stdin"], stdin: Array(text.utf8))
    #expect(result.status == 1)
    #expect(
      result.stderr
        == "lanekeeper run: metrics.listen 127.0.0.1:\(squatter.port): bind: EADDRINUSE (Address already in use): another socket listens there\n"
    )
    #expect(!result.stdout.contains("listener.opened"))
  }

  @Test func withoutTheKeyThereIsNoThreadForIt() throws {
    let peer = try Self.answeringPeer()
    let without = try Sidecar(peers: [peer.port])
    let with = try Sidecar(peers: [peer.port], .init(sections: [Self.metrics]))
    #expect(threads(of: with.pid) == threads(of: without.pid) + 1)
    #expect(without.log("metrics.opened").isEmpty)
    try without.stop()
    try with.stop()
  }

  private func threads(of pid: pid_t) -> Int {
    guard let directory = opendir("/proc/\(pid)/task") else { return -1 }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count
  }
}
