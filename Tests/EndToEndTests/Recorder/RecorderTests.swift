import CertificateTestSupport
import CubeFSWire
import Foundation
import Glibc
import TestBytes
import Testing

/// The flight recorder of the real program.
@Suite struct RecorderTests {
  private static let secret = Array("SECRET-PAYLOAD!!".utf8)

  /// The section of a configuration.
  private static func section(_ directory: TemporaryDirectory, payload: String = "headers", more: String = "") -> [String] {
    ["recorder: {directory: \(directory.path)/evidence, payload: \(payload)\(more)}"]
  }

  private static func files(_ directory: TemporaryDirectory) -> [String] {
    guard let listing = opendir("\(directory.path)/evidence") else { return [] }
    defer { closedir(listing) }
    var names: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// The path of the evidence that a line names, once it is there.
  private static func evidence(_ line: LogLine?, _ directory: TemporaryDirectory) throws -> String {
    let name = try #require(line?["evidence"], "\(line?.text ?? "no line")")
    #expect(eventually { files(directory).contains(name) })
    return "\(directory.path)/evidence/\(name)"
  }

  /// A peer whose third reply on a connection bears the ReqID of the second.
  private static func forgetfulPeer() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      var last: WirePacket?
      var count = 0
      while let request = socket.receiveRequest() {
        count += 1
        var answer = request.mutated(Self.secret)
        if count == 3, let last { answer = last.mutated(Self.secret) }
        socket.send(answer)
        last = request
      }
    }
  }

  /// A caller's three operations, the last of which fails.
  private static func askThrice(_ port: UInt16) throws {
    let caller = try StreamSocket(port: port)
    for id in 1...3 as ClosedRange<Int64> {
      let request = WirePacket.request(0x16, reqID: id, partition: UInt64(10 + id))
      let reply = caller.ask(request)
      if id < 3 { #expect(reply == request.mutated(secret)) } else { #expect(reply?.isErrorReply(to: request) == true) }
    }
  }

  /// What tshark says of a field in each frame.
  private static func tshark(_ path: String, _ fields: [String]) throws -> [[String]] {
    let result = try RunningProgram(
      ["WIRESHARK_CONFIG_DIR=/nonexistent", "/usr/bin/tshark", "-r", path, "-X", "lua_script:\(Tshark.script)", "-T", "fields"]
        + fields.flatMap { ["-e", $0] },
      executable: "/usr/bin/env"
    ).finish(deadline: .seconds(120))
    let complaints = result.stderr.split(separator: "\n").filter { !$0.hasPrefix("Running as user") }
    #expect(result.status == 0 && complaints.isEmpty, "\(complaints.prefix(5))")
    return result.stdout.split(separator: "\n").map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
  }

  /// The whole dissection, and that nothing in it is wrong but what the dissector says of the stray reply.
  private static func expectCleanDissection(_ path: String, warnings allowed: [String]) throws {
    let result = try RunningProgram(
      [
        "WIRESHARK_CONFIG_DIR=/nonexistent", "/usr/bin/tshark", "-r", path, "-V", "-X", "lua_script:\(Tshark.script)", "-o",
        "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
      ], executable: "/usr/bin/env"
    ).finish(deadline: .seconds(120))
    let lines = result.stdout.split(separator: "\n").map { $0.drop { $0 == " " } }
    #expect(!lines.contains { $0.contains("Malformed") || $0.contains("Lua Error") || $0.contains("bytes of no packet") })
    let experts = lines.filter { $0.hasPrefix("[Expert Info (Warning") || $0.hasPrefix("[Expert Info (Error") }
    #expect(experts.allSatisfy { line in allowed.contains { line.contains($0) } }, "\(experts)")
  }

  @Test func aStrayReplyLeavesAFileThatSaysWhatTheAlertSays() throws {
    let directory = try TemporaryDirectory("lanekeeper-recorder")
    let peer = try Self.forgetfulPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: Self.section(directory)))
    try Self.askThrice(sidecar.port)
    let line = try #require(try sidecar.waitFor("reply.dropped").first)
    let path = try Self.evidence(line, directory)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
    #expect(stat("\(directory.path)/evidence", &status) == 0 && status.st_mode & 0o7777 == 0o700)

    let frames = try Self.tshark(
      path, ["ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "cubefs.req_id", "cubefs.partition_id", "cubefs.opcode", "frame.comment"])
    // Three requests and two replies on the caller's side, three of each on the peer's.
    #expect(frames.count == 11)
    let stray = try #require(frames.last)
    let (reason, operation, belongsTo) = (
      try #require(line["reason"]), try #require(line["operation"]), try #require(line["belongsTo"])
    )
    #expect("\(stray[0]):\(stray[1])" == line["peer"])
    #expect(stray[4] == line["observed"] && stray[5] == "12" && stray[6] == "0x16")
    #expect(stray[7].hasSuffix("dropped: \(reason); belongs to operation \(belongsTo)"))
    let request = try #require(frames.last { $0[4] == line["expected"] })
    #expect(request[5] == line["partition"] && request[7].hasSuffix("sent; operation \(operation)"))
    let asked = try #require(frames.last { $0[4] == line["callerReqID"] })
    #expect("\(asked[0]):\(asked[1])" == line["caller"] && "\(asked[2]):\(asked[3])" == "127.0.0.1:\(sidecar.port)")
    // The operation that the reply belongs to was asked before with that ReqID.
    let owner = try #require(frames.first { $0[4] == line["observed"] })
    #expect(owner[5] == "12" && owner[7].hasSuffix("sent; operation \(belongsTo)"))
    try Self.expectCleanDissection(path, warnings: ["belongs to GetMaxExtentIDAndPartitionSize", "had all its replies before this"])
    try sidecar.stop()

    for (arguments, place) in [
      ([path], path), ([operation, "--directory", "\(directory.path)/evidence"], path),
      ([try #require(line["evidence"]), "--directory", "\(directory.path)/evidence"], path),
    ] {
      let explained = try Program.run(["explain"] + arguments)
      #expect(explained.status == 0 && explained.stderr == "")
      #expect(explained.stdout.hasPrefix("\(place)\nreply.dropped (\(reason)) critical\n"))
      for key in ["operation", "partition", "extent", "offset", "caller", "peer", "expected", "observed", "belongsTo", "action"] {
        #expect(explained.stdout.contains(try #require(line[key])), "\(key)")
      }
    }
  }

  @Test(arguments: ["none", "headers", "full"]) func payloadIsKeptWhereItIsWantedOnly(payload: String) throws {
    let directory = try TemporaryDirectory("lanekeeper-recorder")
    let peer = try Self.forgetfulPeer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: Self.section(directory, payload: payload)))
    try Self.askThrice(sidecar.port)
    let path = try Self.evidence(try sidecar.waitFor("reply.dropped").first, directory)
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(holds(bytes, Self.secret) == (payload == "full"))
    // Partition 13's request as it stood in a header, behind the 4 bytes of ArgLen.
    let partition = [0, 0, 0, 0] + bigEndian(13) + bigEndian(1_025)
    #expect(holds(bytes, partition) == (payload != "none"))
    try Self.expectCleanDissection(path, warnings: ["belongs to GetMaxExtentIDAndPartitionSize", "had all its replies before this"])
    #expect(try Program.run(["explain", path]).stdout.contains("partition 13"))
    try sidecar.stop()
  }

  @Test func inboundLeavesEvidenceToo() throws {
    let directory = try TemporaryDirectory("lanekeeper-recorder")
    let datanode = try Self.forgetfulPeer()
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port, sections: Self.section(directory)))
    try Self.askThrice(sidecar.inboundPort)
    let line = try #require(try sidecar.waitFor("reply.dropped").first)
    let path = try Self.evidence(line, directory)
    let frames = try Self.tshark(path, ["ip.src", "tcp.srcport", "cubefs.req_id", "frame.comment", "frame.interface_name"])
    #expect(frames.map { $0[4] } == ["caller", "peer", "peer", "caller", "caller", "peer", "peer", "caller", "caller", "peer", "peer"])
    #expect(frames.last?[2] == "2" && frames.last?[1] == "\(datanode.port)")
    let belongsTo = try #require(line["belongsTo"])
    #expect(frames.last?[3].hasSuffix("belongs to operation \(belongsTo)") == true)
    #expect(frames.first { $0[2] == "2" }?[3].hasSuffix("accepted; operation \(belongsTo)") == true)
    #expect("\(frames[0][0]):\(frames[0][1])" == line["caller"])
    try sidecar.stop()
  }

  /// A caller that leaves a repair in the middle and asks for something else on the same connection.
  @Test(arguments: [false, true]) func dirtyReuseLeavesEvidence(inbound: Bool) throws {
    let directory = try TemporaryDirectory("lanekeeper-recorder")
    let server = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      socket.send(request.block(at: request.header.extentOffset, pattern(300)))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(
      peers: inbound ? [] : [server.port], .init(datanode: inbound ? server.port : nil, sections: Self.section(directory)))
    let caller = try StreamSocket(port: inbound ? sidecar.inboundPort : sidecar.port)
    caller.send(WirePacket.request(0x09, reqID: 1, partition: 7, size: 600))
    // Something of the reply is there, and stays unread.
    #expect(caller.isReadable(within: 10_000))
    caller.send(WirePacket.request(0x16, reqID: 2, partition: 8))
    #expect(caller.receiveToEnd().ending == .reset)
    let path = try Self.evidence(try sidecar.waitFor("caller.dirty-reuse").first, directory)
    let comments = try Self.tshark(path, ["cubefs.opcode", "frame.comment"])
    #expect(comments.last?[0] == "0x16" && comments.last?[1].hasSuffix("refused: caller-dirty-reuse") == true)
    #expect(comments.contains { $0[0] == "0x09" && $0[1].contains("passed on to the caller") })
    try sidecar.stop()
  }

  @Test func aStormOfStrayRepliesIsNoStormOfFiles() throws {
    let directory = try TemporaryDirectory("lanekeeper-recorder")
    let peer = try StrayReply.peer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: Self.section(directory, more: ", maxFiles: 5")))
    let began = ContinuousClock.now
    for id in 0..<300 as Range<Int64> {
      let caller = try StreamSocket(port: sidecar.port)
      let request = Exemplar.request(0x10, reqID: id, partition: 7)
      #expect(caller.ask(request)?.isErrorReply(to: request) == true)
    }
    let seconds = Double((ContinuousClock.now - began).components.seconds + 1)
    try sidecar.stop()
    let named = sidecar.output.split(separator: "\n").filter { $0.contains("\"evidence\":") }
    #expect(!named.isEmpty && Double(named.count) <= 8 + 2 * seconds, "\(named.count) in \(seconds) s")
    #expect(Self.files(directory).count == min(5, named.count))
  }

  /// Killed again and again while files are written: what is there can be read, and nothing else is left after the next start.
  @Test func aCrashLeavesNoBrokenFile() throws {
    let directory = try TemporaryDirectory("lanekeeper-recorder")
    var random = SeededGenerator(seed: testSeed())
    let peer = try StrayReply.peer()
    for _ in 0..<3 {
      let sidecar = try Sidecar(peers: [peer.port], .init(sections: Self.section(directory, payload: "full")))
      for id in 0..<Int64.random(in: 1...8, using: &random) {
        let caller = try StreamSocket(port: sidecar.port)
        _ = caller.ask(Exemplar.request(0x10, reqID: id, partition: 7))
      }
      sidecar.send(SIGKILL)
    }
    // As a crash would have left it in the middle of a file.
    try directory.write("half of a", to: "evidence/.unfinished-20260101T000000.000000Z_reply.dropped_idle.pcapng")
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: Self.section(directory)))
    #expect(eventually { Self.files(directory).allSatisfy { !$0.hasPrefix(".") } })
    let files = Self.files(directory)
    #expect(!files.isEmpty)
    for name in files {
      let path = "\(directory.path)/evidence/\(name)"
      #expect(try Program.run(["explain", path]).status == 0, "\(name)")
      #expect(try !Self.tshark(path, ["frame.number"]).isEmpty)
    }
    try sidecar.stop()
  }

  @Test(.enabled(if: geteuid() == 0, "needs root: mounts a small file system"))
  func aFullDiskIsToldAndCostsEvidenceOnly() throws {
    let directory = try TemporaryDirectory("lanekeeper-recorder")
    let place = "\(directory.path)/evidence"
    try #require(mkdir(place, 0o700) == 0 && mount("none", place, "tmpfs", 0, "size=16k") == 0)
    defer { umount2(place, 2) }
    try directory.write(String(repeating: "x", count: 16_384), to: "evidence/filler")
    let peer = try StrayReply.peer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: Self.section(directory)))
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    for _ in 0..<4 { #expect(try StreamSocket(port: sidecar.port).ask(request)?.isErrorReply(to: request) == true) }
    let told = try sidecar.waitFor("recorder.failed")
    #expect(told.first?["detail"]?.contains("ENOSPC") == true && told.first?["severity"] == "warning")
    #expect(Self.files(directory) == ["filler"])
    unlink("\(place)/filler")
    #expect(try StreamSocket(port: sidecar.port).ask(request)?.isErrorReply(to: request) == true)
    try sidecar.waitFor("recorder.recovered")
    #expect(sidecar.log("recorder.failed").count == 1)
    #expect(try sidecar.stop().errorReply == 5)
    #expect(Self.files(directory).filter { $0.hasSuffix(".pcapng") }.count == 1)
  }
}
