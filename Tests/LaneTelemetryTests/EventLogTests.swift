import Glibc
import LaneCore
import LaneTelemetry
import LinuxIO
import NetEndpoint
import Testing

@Suite struct EventLogTests {
  @Test func goldenAlert() throws {
    let bench = try LogBench(.info)
    bench.log.record(try LogBench.fullEvent())
    // The operation's id by hand: process bits 112233445566, version 8, the stamp's top 12 of 63 bits (0x800), variant 10 and 11
    // process bits (0x788) above the stamp's lower 51 (1).
    let golden =
      #"{"ts":"2026-11-23T04:05:06.123456Z","level":"error","event":"reply.dropped","reason":"partition-mismatch","#
      + #""alert":"reply.dropped","severity":"critical","node":"datanode-1","direction":"outbound","peer":"192.0.2.7:17310","#
      + #""caller":"192.0.2.1:41952","origin":"192.0.2.9:50112","class":"repair-stream","opcode":"OpExtentRepairRead","#
      + #""operation":"11223344-5566-8800-bc40-000000000001","stamp":"4611686018427387905","callerReqID":"-17","partition":12,"#
      + #""extent":1025,"offset":131072,"conflictsWith":"11223344-5566-8800-bc40-000000000002","belongsTo":"11223344-5566-8000-bc40-000000000003","expected":"12","observed":"13","action":"error-reply","outcome":"errorReply","#
      + #""durationMicroseconds":5312,"connection":42,"detail":"a \"quoted\" sentence","#
      + #""evidence":"20261123T040506.123456Z_reply.dropped_idle.pcapng"}"#
    #expect(try bench.lines() == [golden])
  }

  /// Another sidecar's operation has the id that it has there.
  @Test func anOperationOfAnotherProcessHasItsID() throws {
    let bench = try LogBench(.info)
    var event = try LogBench.fullEvent()
    event.operation?.process = 0xAABB_CCDD_EEFF_0001
    bench.log.record(event)
    let line = try StrictJSON.parse(try #require(try bench.lines().first))
    #expect(line["operation"] == .string("aabbccdd-eeff-8800-8008-000000000001"))
  }

  @Test func goldenBareEvent() throws {
    let bench = try LogBench(.info)
    bench.log.record(LaneEvent(.started))
    #expect(
      try bench.lines() == [
        #"{"ts":"2026-11-23T04:05:06.123456Z","level":"info","event":"process.started","node":"datanode-1","action":"none"}"#
      ])
  }

  @Test func goldenAccounting() throws {
    let bench = try LogBench(.info)
    var accounting = Accounting()
    for _ in 0..<3 { accounting.begin(.read) }
    accounting.begin(.deletion)
    accounting.end(.read, .delivered)
    accounting.end(.read, .reset)
    accounting.end(.deletion, .abandoned)
    var event = LaneEvent(.accounting)
    event.accounting = accounting
    bench.log.record(event)
    let line = try #require(try bench.lines().first)
    #expect(
      line.hasSuffix(
        #""action":"none","started":4,"delivered":1,"errorReply":0,"reset":1,"abandoned":1,"noneDue":0,"unfinished":1,"#
          + #""classes":{"deletion":{"started":1,"delivered":0,"errorReply":0,"reset":0,"abandoned":1,"noneDue":0},"#
          + #""read":{"started":3,"delivered":1,"errorReply":0,"reset":1,"abandoned":0,"noneDue":0}}}"#))
    // An operation that has no end is a fault of ours.
    #expect(try StrictJSON.parse(line)["severity"] == .string("critical"))
  }

  @Test func everyEventAndReasonIsOneValidLineOfDocumentedKeys() throws {
    let bench = try LogBench(.debug)
    let documented = LogKey.allCases.map(\.rawValue)
    var written: Set<String> = []
    var expectedLines = 0
    for name in LaneEvent.Name.allCases {
      for reason in Reason.allCases.map(Optional.some) + [nil] {
        var event = try LogBench.fullEvent(name)
        event.reason = reason
        event.accounting = Accounting()
        event.inboundAccounting = Accounting()
        event.action = LaneEvent.Action.allCases[expectedLines % LaneEvent.Action.allCases.count]
        event.outcome = Outcome.allCases[expectedLines % Outcome.allCases.count]
        bench.log.record(event)
        expectedLines += 1
      }
      bench.log.finish()
    }
    let lines = try bench.lines()
    // One event of a kind is below the burst, and a window has no more kinds than reasons: each has its line.
    #expect(lines.count == expectedLines)
    for line in lines {
      let value = try StrictJSON.parse(line)
      let positions = value.keys.map { documented.firstIndex(of: $0) ?? -1 }
      #expect(positions == positions.sorted() && positions.first == 0, "\(line)")
      written.formUnion(value.keys)
    }
    #expect(written == Set(documented).subtracting(["dropped", "failed", "folded", "foldedKey"]))
  }

  @Test func everyDocumentedExampleIsJSON() throws {
    for key in LogKey.allCases {
      let documentation = key.documentation
      #expect(!documentation.meaning.isEmpty && !documentation.format.isEmpty)
      let value = try StrictJSON.parse(documentation.example)
      switch value {
      case .string: #expect(documentation.format.hasPrefix("string"), "\(key)")
      case .number: #expect(documentation.format.hasPrefix("number"), "\(key)")
      default: #expect(documentation.format.hasPrefix("object"), "\(key)")
      }
    }
    #expect(Set(LogKey.allCases.map(\.rawValue)).count == LogKey.allCases.count)
  }

  @Test func levelsLetThroughWhatTheySay() throws {
    var retiredOrdinarily = LaneEvent(.upstreamRetired, reason: .idleTimeout)
    retiredOrdinarily.peer = Endpoint(address: 1, port: 1)
    let events: [(LaneEvent, LogLevel)] = [
      (LaneEvent(.operationFinished), .debug), (retiredOrdinarily, .debug), (LaneEvent(.upstreamRetired, reason: .shutdown), .debug),
      (LaneEvent(.upstreamRetired, reason: .stampUnknown), .info), (LaneEvent(.started), .info), (LaneEvent(.peerUp), .info),
      (LaneEvent(.operationFailed, reason: .deadline), .info), (LaneEvent(.operationFailed, reason: .queueFull), .warning),
      (LaneEvent(.peerDown, reason: .dialFailed), .warning), (LaneEvent(.replyUnsolicited), .error), (LaneEvent(.callerDirtyReuse), .error),
    ]
    for level in LogLevel.allCases {
      let bench = try LogBench(level)
      #expect(bench.log.wantsDetail == (level == .debug))
      for (event, _) in events { bench.log.record(event) }
      let wanted = events.filter { $0.1 >= level }
      let lines = try bench.lines().map { try StrictJSON.parse($0) }
      #expect(lines.map { $0["event"]?.text } == wanted.map { $0.0.name.rawValue })
      #expect(lines.map { $0["level"]?.text } == wanted.map { $0.1.rawValue })
      // What has no line is counted all the same.
      #expect(bench.log.count(.operationFinished) == 1)
      #expect(bench.log.count(.upstreamRetired) == 3)
      #expect(bench.log.count(.upstreamRetired, .shutdown) == 1)
    }
    #expect(LogLevel.allCases == LogLevel.allCases.sorted())
  }

  /// sd-daemon(3): <7> debug, <6> informational, <4> warning, <2> critical.
  @Test func linesForTheJournalBeginWithTheirPriority() throws {
    let bench = try LogBench(.debug, priorities: true)
    for name in [LaneEvent.Name.operationFinished, .started, .peerDown, .replyDropped] { bench.log.record(LaneEvent(name)) }
    let lines = try bench.lines()
    #expect(lines.map { $0.prefix(4) } == ["<7>{", "<6>{", "<4>{", "<2>{"])
    for line in lines { _ = try StrictJSON.parse(String(line.dropFirst(3))) }
  }

  @Test func hostileTextIsBoundedAndEscaped() throws {
    let bench = try LogBench(.info, node: "evil\"\u{1B}]0;node")
    let bytes = (0...255).map { UInt8($0) }
    let hostile = [
      String(decoding: bytes, as: UTF8.self), String(repeating: "\u{0}", count: 10_000), "\"},\n{\"event\":\"forged\"}",
      String(repeating: "é", count: 200), String(repeating: "a", count: 255) + "🛑🛑", "\u{9B}31m\u{202E}gnp.exe\u{2028}",
      String(repeating: "e\u{301}\u{301}\u{301}", count: 1000),
    ]
    for text in hostile {
      var event = LaneEvent(.callerProtocol)
      event.detail = text
      event.observed = .text(text)
      bench.log.record(event)
    }
    let lines = try bench.lines()
    try #require(lines.count == hostile.count)
    for (line, text) in zip(lines, hostile) {
      // Escapes are at most six bytes for one.
      #expect(line.utf8.count < 2 * 6 * 260 + 400)
      let value = try StrictJSON.parse(line)
      #expect(value["detail"] == value["observed"])
      let detail = try #require(value["detail"]?.text)
      #expect(value["event"] == .string("caller.protocol"))
      let isCut = detail.hasSuffix("…")
      #expect(isCut == (text.utf8.count > 256), "\(text.utf8.count)")
      #expect(detail.utf8.count <= 256 + "…".utf8.count)
      for scalar in line.unicodeScalars {
        #expect(scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value) && scalar != "\u{202E}" && scalar != "\u{2028}")
      }
    }
    #expect(try StrictJSON.parse(lines[3])["detail"] == .string(String(repeating: "é", count: 128) + "…"))
    #expect(try StrictJSON.parse(lines[4])["detail"] == .string(String(repeating: "a", count: 255) + "…"))
  }

  @Test func numbersOfTheirFullRange() throws {
    let bench = try LogBench(.info)
    var event = LaneEvent(.replyDropped)
    event.operation = try LogBench.operation(0xEA, stamp: .max, reqID: .min, partition: .max, extent: .max, offset: .min)
    event.duration = .max
    event.connection = .max
    event.expected = .range(.max, .max)
    bench.log.record(event)
    let value = try StrictJSON.parse(try #require(try bench.lines().first))
    #expect(value["opcode"] == .string("Op0xEA"))
    #expect(value["stamp"] == .string("9223372036854775807"))
    #expect(value["callerReqID"] == .string("-9223372036854775808"))
    #expect(value["partition"] == .number("18446744073709551615"))
    #expect(value["offset"] == .number("-9223372036854775808"))
    #expect(value["durationMicroseconds"] == .number("18446744073709551"))
    #expect(value["expected"] == .string("18446744073709551615"))
  }
}
