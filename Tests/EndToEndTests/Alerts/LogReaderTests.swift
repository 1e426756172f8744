import CertificateTestSupport
import Glibc
import Testing

/// The programs that read and rotate the log: mtail and logrotate.
@Suite struct LogReaderTests {
  /// Of every example, folded and not, and of what is no line of ours.
  @Test func mtailCountsWhatTheLinesSay() throws {
    let examples = try Program.run(["alerts", "list", "--json"]).stdout.split(separator: "\n").flatMap { entry in
      // The examples are strings within the entry, and its last member.
      let text = LogLine(text: String(entry))["code"].map { _ in String(entry) } ?? ""
      return text.components(after: #""examples":["#).map { $0.replacing("\\\"", with: "\"").replacing("\\\\", with: "\\") }
    }
    try #require(examples.count > 90 && examples.allSatisfy { $0.hasPrefix("{\"ts\"") && $0.hasSuffix("}") })
    // A text that looks like a key is none.
    let forged = try #require(examples.first { $0.contains("\"detail\":\"") }).replacing(
      "\"detail\":\"", with: #""detail":"\"folded\":999 "#)
    let folded = examples.enumerated().map { "\($1.dropLast()),\"folded\":\($0 * 7 + 1)}" }
    let foreign = ["", "panic: out of memory", "{\"ts\":1}", " " + examples[0]]
    let directory = try TemporaryDirectory("lanekeeper-alerts")
    try directory.write((examples + [forged] + folded + foreign).map { $0 + "\n" }.joined(), to: "log")
    let result = try RunningProgram(
      [
        "--one_shot", "--one_shot_format=prometheus", "--progs", RepositoryFile.path("Deploy/alerting/lanekeeper.mtail"), "--logs",
        directory.file("log"), "--address", "127.0.0.1", "--port", "0", "--logtostderr",
      ], executable: "/usr/bin/mtail"
    ).finish()
    #expect(result.status == 0 && !result.stderr.contains("unused"), "\(result.stderr)")
    let scrape = Scrape(result.stdout)
    var alerts: [[String]: Double] = [:]
    var events: [[String]: Double] = [:]
    var levels: [String: Double] = [:]
    for line in (examples + [forged] + folded).map({ LogLine(text: $0) }) {
      let count = line.text == forged ? 1 : line["folded"].flatMap { Double($0) } ?? 1
      events[[line["event"] ?? "", line["reason"] ?? ""], default: 0] += count
      levels[line["level"] ?? "", default: 0] += 1
      if let code = line["alert"], let severity = line["severity"] { alerts[[code, severity], default: 0] += count }
    }
    #expect(alerts.count >= 23 && events.count > 80)
    for (kind, count) in alerts {
      let labels = ["code": kind[0], "severity": kind[1], "node": "datanode-1"]
      #expect(scrape.sum("lanekeeper_log_alerts_total", labels) == count, "\(kind)")
      // The time of the line, to the second.
      #expect(scrape.sum("lanekeeper_log_alert_last_seconds", labels) == 1_795_406_706, "\(kind)")
    }
    #expect(scrape.sum("lanekeeper_log_alerts_total") == alerts.values.reduce(0, +))
    for (kind, count) in events {
      #expect(scrape.sum("lanekeeper_log_events_total", ["event": kind[0], "reason": kind[1], "node": "datanode-1"]) == count, "\(kind)")
    }
    #expect(scrape.sum("lanekeeper_log_events_total") == events.values.reduce(0, +))
    for (level, count) in levels { #expect(scrape.sum("lanekeeper_log_lines_total", ["level": level]) == count, "\(level)") }
    #expect(scrape.sum("lanekeeper_log_foreign_lines_total") == Double(foreign.count))
  }

  /// The shipped configuration, with this log's path and this process in place of the unit.
  @Test func logrotateLosesNoLineOfARunningSidecar() throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() { socket.send(Exemplar.reply(to: request)) }
    }
    // At this level each operation has a line of its own.
    let sidecar = try Sidecar(peers: [peer.port], .init(level: "debug"))
    let directory = try TemporaryDirectory("lanekeeper-alerts")
    let shipped = try RepositoryFile.text("Deploy/alerting/logrotate.conf")
    let unit = "systemctl kill --kill-whom=main --signal=USR1 lanekeeper.service"
    try #require(shipped.contains("\n/var/log/lanekeeper.json {\n") && shipped.contains("        \(unit)\n"))
    try directory.write(
      shipped.replacing("/var/log/lanekeeper.json", with: sidecar.logPath).replacing(unit, with: "kill -USR1 \(sidecar.pid)"), to: "conf")

    let isOver = Shared(false)
    let port = sidecar.port
    let asked = Shared(0)
    let caller = BlockingThread {
      guard let socket = try? StreamSocket(port: port) else { return }
      while !isOver.now {
        let request = Exemplar.request(0x10, reqID: Int64(asked.now), partition: 7)
        guard socket.ask(request) == Exemplar.reply(to: request) else { return }
        asked.withLock { $0 += 1 }
      }
    }
    for round in 1...4 {
      // Lines must be written between one rotation and the next.
      let before = asked.now
      #expect(eventually { asked.now > before + 50 })
      let rotated = try RunningProgram(
        ["--force", "--state", directory.file("state"), directory.file("conf")], executable: "/usr/sbin/logrotate"
      ).finish()
      #expect(rotated.status == 0 && rotated.stderr.isEmpty, "round \(round): \(rotated.stderr)")
      #expect(access("\(sidecar.logPath).1", F_OK) == 0)
      // The next one finds the file that the sidecar has opened since.
      try #require(eventually { access(sidecar.logPath, F_OK) == 0 }, "round \(round)")
    }
    isOver.withLock { $0 = true }
    caller.join()
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == asked.now && asked.now > 200)
    let files = ["", ".1", ".2.gz", ".3.gz", ".4.gz"].map { sidecar.logPath + $0 }
    for file in files { #expect(access(file, R_OK) == 0, "\(file)") }
    let text = try RunningProgram(["-f"] + files, executable: "/usr/bin/zcat").finish()
    for file in files.dropFirst() { unlink(file) }
    let lines = text.stdout.split(separator: "\n").map { LogLine(text: String($0)) }
    #expect(text.status == 0 && lines.allSatisfy { $0.text.hasPrefix("{\"ts\"") && $0.text.hasSuffix("}") })
    let operations = lines.filter { $0["event"] == "operation.finished" }.compactMap { $0["callerReqID"].flatMap { Int($0) } }
    #expect(operations.sorted() == Array(0..<asked.now))
    #expect(!lines.contains { $0["event"] == "log.lost" })
    #expect(lines.filter { $0["event"] == "process.started" }.count == 1 && lines.filter { $0["event"] == "process.stopped" }.count == 1)
  }
}

/// Standard output as a service has it whose reader is the journal: `$JOURNAL_STREAM` names it.
@Suite struct JournalTests {
  @Test(arguments: [("$(stat -c %d:%i \"$2\")", true), ("$(stat -c %d:%i /)", false), ("", false)])
  func onlyTheJournalGetsPriorities(variable: String, isJournal: Bool) throws {
    let directory = try TemporaryDirectory("lanekeeper-alerts")
    try directory.write(
      "{outbound: {listeners: [{listen: \"127.0.0.1:0\", peer: \"127.0.0.1:1\"}]}, gate: {mode: off}}", to: "configuration")
    try directory.write("", to: "journal")
    let program = try RunningProgram(
      [
        "-c", "JOURNAL_STREAM=\(variable); export JOURNAL_STREAM; exec \"$0\" run --config \"$1\" >>\"$2\"", try Program.path(),
        directory.file("configuration"), directory.file("journal"),
      ], executable: "/bin/sh")
    func lines() throws -> [Substring] {
      try RunningProgram([directory.file("journal")], executable: "/bin/cat").finish().stdout.split(separator: "\n")
    }
    #expect(eventually { (try? lines().contains { $0.contains("listener.opened") }) ?? false })
    program.send(SIGTERM)
    #expect(try program.finish().status == 0)
    let found = try lines()
    #expect(found.count >= 5)
    for line in found {
      // The gate that is off is a warning.
      let priority = line.contains("\"level\":\"warning\"") ? "<4>" : "<6>"
      #expect(line.hasPrefix(isJournal ? priority + "{\"ts\"" : "{\"ts\""), "\(line)")
    }
    #expect(found.filter { $0.contains("gate.disabled") }.count == 1)
  }
}

extension String {
  /// The strings of the JSON array that begins behind that text, still escaped.
  fileprivate func components(after start: String) -> [String] {
    guard let range = firstRange(of: start) else { return [] }
    var found: [String] = []
    var current: String?
    var isEscaped = false
    for character in self[range.upperBound...] {
      if let text = current {
        if character == "\"" && !isEscaped {
          found.append(text)
          current = nil
        } else {
          current = text + String(character)
          isEscaped = character == "\\" && !isEscaped
        }
      } else if character == "\"" {
        current = ""
        isEscaped = false
      } else if character == "]" {
        return found
      }
    }
    return found
  }
}
