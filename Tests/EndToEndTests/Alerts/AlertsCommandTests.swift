import Testing

/// `lanekeeper alerts`, and its schema in the hands of a real validator.
@Suite struct AlertsCommandTests {
  @Test func theListHasEveryCodeOnce() throws {
    let list = try Program.run(["alerts", "list"])
    #expect(list.status == 0 && list.stderr.isEmpty)
    let first = list.stdout.split(separator: "\n").map { String($0.prefix { $0 != " " }) }
    let json = try Program.run(["alerts", "list", "--json"])
    let codes = json.stdout.split(separator: "\n").compactMap { LogLine(text: String($0))["code"] }
    #expect(codes.count > 90 && Set(codes).count == codes.count)
    for code in codes { #expect(first.filter { $0 == code }.count == 1, "\(code)") }
    let words = list.stdout.split(separator: "\n").map { $0.split(separator: " ") }.first { $0.first == "reply.dropped" }
    #expect(words?.prefix(4).joined(separator: " ") == "reply.dropped critical A reply")
  }

  @Test func everyCodeIsExplained() throws {
    for code in try Self.codes() {
      let text = try Program.run(["alerts", "explain", code])
      #expect(text.status == 0 && text.stdout.hasPrefix("\(code)  ("), "\(code)")
      for title in ["What happened", "What Lanekeeper did"] { #expect(text.stdout.contains("\n\(title)\n  ")) }
    }
    let alert = try Program.run(["alerts", "explain", "reply.dropped"]).stdout
    for title in ["What to look at", "What is safe to do", "When to wake a developer", "Its reasons", "A line of it"] {
      #expect(alert.contains("\n\(title)\n  "), "\(title)")
    }
    let json = try Program.run(["alerts", "explain", "--json", "payload-crc"]).stdout
    #expect(json.hasPrefix(#"{"code":"payload-crc","kind":"reason","severities":["critical","warning"],"#) && json.hasSuffix("}\n"))
  }

  @Test(arguments: [
    (["alerts", "explain", "repl.droped"], "'repl.droped' is no alert and no reason, did you mean 'reply.dropped'?"),
    (["alerts", "explain", "crc"], "did you mean 'crc-echo-mismatch' or 'payload-crc'?"),
    (["alerts", "explain", "process.started"], "'process.started' is no alert and no reason; lanekeeper alerts list prints them all"),
    (["alerts", "explain"], "CODE is missing"), (["alerts"], "list or explain or schema or rules is missing"),
    (["alerts", "lst"], "'lst' is unknown, did you mean 'list'?"), (["alerts", "schema", "x"], "unexpected argument 'x'"),
    (["alerts", "explain", "a\u{1B}[2J"], "'a\\u{1b}[2J' is no alert"),
  ])
  func wrongWordsAreNamed(words: [String], reason: String) throws {
    let result = try Program.run(words)
    #expect(result.status == 64 && result.stdout.isEmpty && result.stderr.contains(reason), "\(result.stderr)")
  }

  @Test func everyExampleIsALineOfTheSchema() throws {
    let examples = try Self.examples()
    #expect(examples.count > 90)
    let result = try LogValidator().validate(examples)
    #expect(result.status == 0, "\(result.stdout) \(result.stderr)")
    #expect(result.stdout.hasPrefix("\(examples.count) lines in 1 files, "))
  }

  /// Each of these is wrong in one way, which the validator must find.
  @Test func theSchemaRefusesWhatIsNoLine() throws {
    let line = try #require(try Self.examples().first { $0.contains(#""event":"reply.dropped","reason":"stamp-unknown""#) })
    let wrong = [
      "{}", "[]", "no JSON", line.replacing("}", with: ",\"other\":1}"), line.replacing("critical", with: "warning"),
      line.replacing(#""level":"error""#, with: #""level":"warning""#), line.replacing(#""alert":"reply.dropped","#, with: ""),
      line.replacing(#""severity":"critical","#, with: ""), line.replacing("stamp-unknown", with: "dial-failed"),
      line.replacing("stamp-unknown", with: "stamp-unheard"), line.replacing(#""alert":"reply.dropped""#, with: #""alert":"peer.down""#),
      line.replacing(#""event":"reply.dropped""#, with: #""event":"reply.dropt""#), line.replacing("-818d-", with: "-418d-"),
      line.replacing(#""partition":12"#, with: #""partition":"12""#), line.replacing(#""partition":12"#, with: #""partition":-1"#),
      line.replacing(#""callerReqID":"47""#, with: #""callerReqID":47"#), line.replacing("repair-stream", with: "repair"),
      line.replacing(#""stamp":"895625437131051772","#, with: ""), line.replacing("06.123456Z", with: "06Z"),
      line.replacing(#""observed":"1""#, with: "\"observed\":\"\(String(repeating: "x", count: 258))\""),
      line.replacing("192.0.2.7:17310", with: "datanode-7:17310"), line.replacing("\"action\":\"error-reply\",", with: ""),
      line.replacing("error-reply", with: "replied"),
      line.replacing(#""event":"reply.dropped","#, with: #""event":"peer.up","#),
    ]
    for text in wrong {
      #expect(text != line)
      let result = try LogValidator().validate([line, text])
      #expect(result.status == 1 && result.stdout.contains("log:2: ") && result.stdout.contains(" 1 wrong"), "\(text): \(result.stdout)")
    }
    #expect(try LogValidator().validate([]).status == 1)
  }

  /// Metrics, configuration keys and files.
  @Test func whatTheAdviceNamesIsThere() throws {
    let text = try Self.codes().map { try Program.run(["alerts", "explain", $0]).stdout }.joined()
    let metrics = try RepositoryFile.text("Sources/LaneControl/Metrics/MetricsText.swift")
    var named: Set<Substring> = []
    for word in text.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "*") }) where word.hasPrefix("lanekeeper_")
    {
      named.insert(word)
      if word == "lanekeeper_operations_*_total" { continue }
      #expect(metrics.contains("\"\(word)\""), "\(word)")
    }
    #expect(named.count > 15)
    let keys = try Program.run(["check", "--print-default"]).stdout
    for section in ["outbound", "inbound", "judge", "gate", "limits", "timeouts", "log", "metrics", "tls", "lanes"] {
      for word in text.split(whereSeparator: { !($0.isLetter || $0 == "." || $0 == "-") })
      where word.hasPrefix("\(section).") && word.last != "." {
        let last = word.split(separator: ".").last ?? ""
        // `log.lost` and its kind are events; CLASS, OPCODE and LISTEN stand for a name.
        guard last.uppercased() != last, !text.contains("\n\(word)  (alert;"), !text.contains("\"event\":\"\(word)\"") else { continue }
        #expect(keys.contains("\(last):") || keys.contains("\(word)"), "\(word)")
      }
    }
    for file in text.split(whereSeparator: { " ;,\n".contains($0) }) where file.hasPrefix("Deploy/") {
      #expect(throws: Never.self, "\(file)") { try RepositoryFile.text(String(file.hasSuffix(".") ? file.dropLast() : file)) }
    }
  }

  private static func codes() throws -> [String] {
    try Program.run(["alerts", "list", "--json"]).stdout.split(separator: "\n").compactMap { LogLine(text: String($0))["code"] }
  }

  /// The lines in every entry's `examples`: the only objects within it.
  private static func examples() throws -> [String] {
    var lines: [String] = []
    for code in try codes() {
      lines += try Program.run(["alerts", "explain", code]).stdout.split(separator: "\n").filter { $0.hasPrefix("  {\"ts\"") }
        .map { String($0.dropFirst(2)) }
    }
    return lines
  }
}
