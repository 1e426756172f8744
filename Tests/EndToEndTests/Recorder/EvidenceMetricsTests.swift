import CertificateTestSupport
import Glibc
import TestBytes
import Testing

/// `lanekeeper_evidence_*`: what the metrics say of the flight recorder's files, beside what is in its directory.
@Suite struct EvidenceMetricsTests {
  /// The figures of one scrape.
  private struct Figures: Equatable {
    var written = 0
    var failed = 0
    var skipped = 0
    var removed = 0
    var failing = 0
  }

  /// A sidecar with metrics, and a peer whose every reply is another operation's.
  private final class Stage {
    let sidecar: Sidecar
    private let peer: ScriptedPeer
    private let metricsPort: UInt16

    init(_ directory: String, _ more: String = "") throws {
      peer = try StrayReply.peer()
      sidecar = try Sidecar(
        peers: [peer.port],
        .init(sections: ["metrics: {listen: \"127.0.0.1:0\"}", "recorder: {directory: \(directory)\(more)}"]))
      metricsPort = try sidecar.metricsPort()
    }

    func scrape() throws -> [UInt8] { try HTTP.get(metricsPort, "/metrics").body }

    func figures() throws -> Figures {
      let scrape = Scrape(String(decoding: try scrape(), as: UTF8.self))
      func files(_ result: String) throws -> Int { Int(try #require(scrape.sum("lanekeeper_evidence_files_total", ["result": result]))) }
      return Figures(
        written: try files("written"), failed: try files("failed"), skipped: try files("skipped"), removed: try files("removed"),
        failing: Int(try #require(scrape.sum("lanekeeper_evidence_failing"))))
    }

    /// Waits until the metrics say so.
    func expect(_ figures: Figures, sourceLocation: SourceLocation = #_sourceLocation) throws {
      var last: Figures?
      #expect(
        eventually {
          last = try? self.figures()
          return last == figures
        }, "\(last.map { "\($0)" } ?? "no metrics")", sourceLocation: sourceLocation)
    }

    /// So many wrong replies, each of which would have a file if it were the only one.
    func provoke(_ count: Int) throws {
      for id in 0..<Int64(count) {
        let request = Exemplar.request(0x10, reqID: id, partition: 7)
        #expect(try StreamSocket(port: sidecar.port).ask(request)?.isErrorReply(to: request) == true)
      }
    }

    /// The lines of the log that name a file.
    var named: Set<String> { Set(sidecar.log("reply.dropped").compactMap { $0["evidence"] }) }
  }

  private static func age(_ path: String, seconds: Int) {
    var times = [timespec(), timespec()]
    clock_gettime(CLOCK_REALTIME, &times[0])
    times[0].tv_sec -= seconds
    times[1] = times[0]
    #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
  }

  @Test func eachWrongReplyHasAFileOrIsCountedAsSkipped() throws {
    let directory = try TemporaryDirectory("lanekeeper-evidence")
    let stage = try Stage(directory.path)
    // A rate needs the zeros.
    #expect(try stage.figures() == Figures())
    try stage.provoke(3)
    try stage.expect(Figures(written: 3))
    #expect(directory.names.count == 3 && directory.names == stage.named)
    // Eight at once, and two a second: with the first twenty lines, which are not folded, all files are named.
    try stage.provoke(17)
    try stage.sidecar.waitFor("reply.dropped", count: 20)
    let written = stage.named.count
    #expect(written >= 8)
    try stage.expect(Figures(written: written, skipped: 20 - written))
    #expect(directory.names == stage.named)
    try stage.sidecar.stop()
  }

  @Test func whatIsRemovedForTheBoundsIsCounted() throws {
    let directory = try TemporaryDirectory("lanekeeper-evidence")
    for (name, seconds) in [("1", 7_200), ("2", 600), ("3", 300)] {
      try directory.write(String(repeating: "x", count: name == "1" ? 10 : 700_000), to: "\(name).pcapng")
      Self.age("\(directory.path)/\(name).pcapng", seconds: seconds)
    }
    try directory.write("x", to: "notes")
    let stage = try Stage(directory.path, ", maxFiles: 4, maxBytes: 1MiB, maxAge: 1h")
    // One is too old, and two are more than a MiB.
    try stage.expect(Figures(removed: 2))
    #expect(directory.names == ["3.pcapng", "notes"])
    try stage.provoke(5)
    try stage.expect(Figures(written: 5, removed: 4))
    #expect(directory.names.count == 5 && directory.names.contains("notes") && !directory.names.contains("3.pcapng"))
    #expect(directory.names.isSubset(of: stage.named.union(["notes"])))
    try stage.sidecar.stop()
  }

  @Test func filesThatCannotBeWrittenAreCountedUntilTheyCan() throws {
    let above = try TemporaryDirectory("lanekeeper-evidence")
    let path = "\(above.path)/missing/evidence"
    let stage = try Stage(path)
    // The directory is tried at the start.
    try stage.expect(Figures(failing: 1))
    try stage.provoke(2)
    try stage.expect(Figures(failed: 2, failing: 1))
    #expect(mkdir("\(above.path)/missing", 0o700) == 0 && mkdir(path, 0o700) == 0)
    try stage.provoke(1)
    try stage.expect(Figures(written: 1, failed: 2))
    #expect(stage.named.count == 3)
    try stage.sidecar.stop()
  }

  @Test func promtoolHasNothingToSay() throws {
    try #require(access("/usr/bin/promtool", X_OK) == 0, "no promtool: run Deploy/setup/packages test")
    let directory = try TemporaryDirectory("lanekeeper-evidence")
    let stage = try Stage(directory.path)
    try stage.provoke(1)
    try stage.expect(Figures(written: 1))
    let text = try stage.scrape()
    #expect(String(decoding: text, as: UTF8.self).contains("\nlanekeeper_evidence_files_total{result=\"written\"} 1\n"))
    let result = try RunningProgram(["check", "metrics"], executable: "/usr/bin/promtool").finish(stdin: text)
    #expect(result.status == 0 && result.stdout == "" && result.stderr == "", "\(result.stdout) \(result.stderr)")
    try stage.sidecar.stop()
  }

  @Test func withoutARecorderNothingIsSaidOfIt() throws {
    let peer = try StrayReply.peer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
    #expect(try !HTTP.get(try sidecar.metricsPort(), "/metrics").text.contains("lanekeeper_evidence"))
    try sidecar.stop()
  }
}
