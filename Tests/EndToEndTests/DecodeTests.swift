import CubeFSWire
import Foundation
import Testing

/// `lanekeeper decode`, as a user runs it.
@Suite struct DecodeTests {
  private static let fixtures: String = {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<2 { url.deleteLastPathComponent() }
    return url.path + "/Fixtures"
  }()

  /// A write request of 1,000 bytes of `byte`, with an Arg of 3 bytes.
  private func write(reqID: Int64, byte: UInt8 = 7, extentType: UInt8 = 1) -> [UInt8] {
    var header = PacketHeader()
    header.extentType = extentType
    header.opcode = Opcode(0x03)
    header.size = 1_000
    header.argLength = 3
    header.reqID = reqID
    if extentType & 0x10 != 0 {
      header.verSeq = 0
      header.protoVersion = 1
    }
    return header.encoded() + [1, 2, 3] + [UInt8](repeating: byte, count: 1_000)
  }

  private func objects(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map { try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
  }

  @Test func everyFieldOfAPacketIsInItsObject() throws {
    var header = PacketHeader()
    header.extentType = 0xD1
    header.opcode = Opcode(0x03)
    header.resultCode = .ok
    header.remainingFollowers = 127
    header.crc = 4_000_000_000
    header.size = 2
    header.argLength = 1
    header.partitionID = .max
    header.extentID = 1_027
    header.extentOffset = -5
    header.reqID = .min
    header.kernelOffset = 9
    header.verSeq = 1_700_000_000_000_000
    header.protoVersion = 1
    header.versions = [.init(sequence: 3, deletionTime: 4, status: 5)]
    let result = try Program.run(["decode", "-", "--json"], stdin: header.encoded() + [0x41] + Array("ab".utf8))
    #expect(result.status == 0 && result.stderr.isEmpty)
    #expect(
      result.stdout == """
        {"Magic":255,"ExtentType":209,"Opcode":3,"OpcodeName":"OpWrite","ResultCode":240,"RemainingFollowers":127,\
        "CRC":4000000000,"Size":2,"ArgLen":1,"PartitionID":18446744073709551615,"ExtentID":1027,"ExtentOffset":-5,\
        "ReqID":-9223372036854775808,"KernelOffset":9,"VerSeq":1700000000000000,"ProtoVersion":1,\
        "Versions":[{"Ver":3,"DelTime":4,"Status":5}],"HeaderLength":88,"PayloadLength":2,"PayloadCRC":2659403885}

        """)
  }

  /// All streams of a folder of fixtures one after the other through standard input, against the manifest.
  @Test(arguments: ["v3.3.0", "v3.4.0", "v3.5.3", "live-v3.3.0", "live-v3.5.3"])
  func fixturesDecodeToTheirManifests(folder: String) throws {
    let base = "\(Self.fixtures)/\(folder)"
    let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: base + "/manifest.json")))
    var stream: [UInt8] = []
    var expected: [[String: Any]] = []
    for entry in try #require(json as? [[String: Any]] ?? (json as? [String: Any])?["entries"] as? [[String: Any]]) {
      let name = try #require(entry["name"] as? String)
      // Streams that break by themselves: written with eight bytes that no reader takes.
      if name.hasPrefix("ver_randomwritever_plain") || name.hasPrefix("randomwritever_plain") { continue }
      if let file = entry["file"] as? String {
        stream += try Data(contentsOf: URL(fileURLWithPath: "\(base)/\(file)"))
        expected += try #require(entry["packets"] as? [[String: Any]])
      } else {
        for (part, packets) in [("req", [entry["request"]]), ("rsp", entry["replies"] as? [Any?] ?? [])] {
          stream += try Data(contentsOf: URL(fileURLWithPath: "\(base)/\(name).\(part).bin"))
          expected += packets.compactMap { $0 as? [String: Any] }
        }
      }
    }
    let result = try Program.run(["decode", "--json", "-"], stdin: stream)
    #expect(result.status == 0 && result.stderr.isEmpty)
    let packets = try objects(result.stdout)
    #expect(packets.count == expected.count && packets.count > 60)
    for (packet, manifest) in zip(packets, expected) {
      for field in [
        "ExtentType", "Opcode", "ResultCode", "RemainingFollowers", "CRC", "Size", "ArgLen", "PartitionID", "ExtentID", "ExtentOffset",
        "ReqID", "KernelOffset",
      ] {
        #expect(try number(packet[field]) == number(manifest[field]), "\(folder) \(field) \(manifest)")
      }
    }
  }

  private func number(_ value: Any?) throws -> String {
    if let text = value as? String { return "\(try #require(UInt64(text.dropFirst(2), radix: 16)))" }
    return try #require(value as? NSNumber).stringValue
  }

  @Test func aTableHasAHeadingAndAlignedColumns() throws {
    let result = try Program.run(["decode", "-"], stdin: write(reqID: 5) + write(reqID: -1_234_567, extentType: 0x11))
    #expect(result.status == 0 && result.stderr.isEmpty)
    let lines = result.stdout.split(separator: "\n").map(String.init)
    #expect(lines.count == 3)
    let end = try #require(lines.first?.range(of: "ReqID")?.upperBound)
    let column = try #require(lines.first?.distance(from: lines[0].startIndex, to: end))
    #expect(lines[1].prefix(column).hasSuffix(" 5"))
    #expect(lines[2].prefix(column).hasSuffix(" -1234567"))
    #expect(lines[1].contains("OpWrite") && lines[1].contains("0x01"))
  }

  @Test func anEmptyStreamHasNoPackets() throws {
    for words in [["decode", "-"], ["decode", "-", "--json"], ["decode", "/dev/null"]] {
      let result = try Program.run(words)
      #expect(result.status == 0 && result.output.isEmpty && result.errors.isEmpty)
    }
  }

  @Test func aBrokenStreamNamesReasonAndOffsetAfterThePacketsBefore() throws {
    let good = write(reqID: 1)
    let result = try Program.run(["decode", "-", "--json"], stdin: good + [0x12] + good)
    #expect(result.status == 1)
    #expect(try objects(result.stdout).count == 1)
    #expect(result.stderr == "lanekeeper decode: standard input: the stream breaks at byte 1060: bad magic 0x12, expected 0xFF\n")
  }

  @Test func theDesynchronisedFixtureBreaksWhereItsReaderDoes() throws {
    let result = try Program.run(["decode", "\(Self.fixtures)/v3.5.3/ver_randomwritever_plain.bin"])
    #expect(result.status == 1)
    #expect(result.stderr.contains("ver_randomwritever_plain.bin: the stream breaks at byte 1081: bad magic 0x"))
  }

  @Test(arguments: [
    (1, "the stream ends at byte 1061, within the header that begins at byte 1060"),
    (56, "the stream ends at byte 1116, within the header that begins at byte 1060"),
    (57, "the stream ends at byte 1117, within the OpWrite packet that begins at byte 1060, 1003 bytes short"),
    (1_059, "the stream ends at byte 2119, within the OpWrite packet that begins at byte 1060, 1 bytes short"),
  ])
  func aTruncatedStreamNamesItsEnd(kept: Int, reason: String) throws {
    let packet = write(reqID: 1)
    let result = try Program.run(["decode", "--json", "-"], stdin: packet + packet[..<kept])
    #expect(result.status == 1)
    #expect(try objects(result.stdout).count == 1)
    #expect(result.stderr == "lanekeeper decode: standard input: \(reason)\n")
  }

  @Test func theDirectionChoosesTheLimits() throws {
    var header = PacketHeader()
    header.opcode = Opcode(0x08)
    header.size = 2 << 20
    let packet = header.encoded() + [UInt8](repeating: 0, count: 2 << 20)
    for words in [["--requests"], []] { #expect(try Program.run(["decode", "-", "--json"] + words, stdin: packet).status == 0) }
    let result = try Program.run(["decode", "-", "--replies"], stdin: packet)
    #expect(result.status == 1)
    #expect(
      result.stderr.contains(
        "breaks at byte 0: Size 2097152 of OpNotifyReplicasToRepair is over the limit of 1048576 bytes"))
  }

  @Test func theReleaseDecidesWhatFlagsMean() throws {
    let packet = write(reqID: 1, extentType: 0x11)
    for (release, status) in [("auto", Int32(0)), ("3.5.3", 0), ("3.4.0", 1), ("3.3.0", 1)] {
      #expect(try Program.run(["decode", "-", "--release", release], stdin: packet).status == status)
      #expect(try Program.run(["decode", "--release=\(release)", "-"], stdin: packet).status == status)
    }
  }

  @Test func whatCannotBeReadIsNamed() throws {
    for (path, reason) in [
      ("/nonexistent/x", "cannot open /nonexistent/x: No such file or directory"), ("/tmp", "cannot read /tmp: Is a directory"),
      ("/proc/self/mem", "cannot read /proc/self/mem: Input/output error"), ("", "cannot open : No such file or directory"),
    ] {
      let result = try Program.run(["decode", path])
      #expect(result.status == 66)
      #expect(result.output.isEmpty)
      #expect(result.stderr == "lanekeeper decode: \(reason)\n")
    }
  }

  @Test func aReaderThatLeavesEndsItQuietly() throws {
    let program = try RunningProgram(["decode", "-", "--json"])
    program.closeOutput()
    let result = try program.finish(stdin: (0..<500).flatMap { write(reqID: $0) })
    #expect(result.status == 0)
    #expect(result.errors.isEmpty)
  }

  @Test func aFullDiskIsAnError() throws {
    let result = try Program.run(["decode", "-", "--json"], stdin: write(reqID: 1), redirections: [1: "/dev/full"])
    #expect(result.status == 74)
    #expect(result.stderr == "lanekeeper decode: cannot write standard output: No space left on device\n")
  }

  @Test func packetsAreShownBeforeTheStreamEnds() throws {
    let program = try RunningProgram(["decode", "-", "--json"])
    try program.feed(write(reqID: 4_711))
    try program.wait { output, _ in output.contains("\"ReqID\":4711,") && output.hasSuffix("}\n") }
    let result = try program.finish(stdin: write(reqID: 4_712))
    #expect(result.status == 0)
    #expect(try objects(result.stdout).count == 2)
  }

  @Test(arguments: [
    (["--json"], "FILE (or - for standard input) is missing"),
    (["a", "b"], "unexpected argument 'b'"),
    (["a", "--jsn"], "unknown option '--jsn', did you mean '--json'?; allowed: --requests, --replies, --json, --release, --help"),
    (["a", "--json", "--json"], "--json is given 2 times, allowed is once"),
    (["a", "--release", "3.3.0", "--release=3.4.0"], "--release is given 2 times, allowed is once"),
    (["a", "--json=yes"], "--json takes no value, found '--json=yes'"),
    (["a", "--release"], "--release needs a value"),
    (["--release", "--json", "a"], "--release needs a value"),
    (["a", "--release", "3.5.2"], "--release '3.5.2' is unknown, did you mean '3.5.3'?; allowed: auto, 3.3.0, 3.4.0, 3.5.3"),
    (["a", "--release="], "--release '' is unknown; allowed: auto, 3.3.0, 3.4.0, 3.5.3"),
    (["a", "--requests", "--replies"], "--requests and --replies exclude each other"),
    (["--", "a", "--json"], "unexpected argument '--json'"),
  ])
  func wrongCommandLinesAreRefused(words: [String], reason: String) throws {
    let result = try Program.run(["decode"] + words)
    #expect(result.status == 64)
    #expect(result.output.isEmpty)
    #expect(result.stderr.hasPrefix("lanekeeper decode: \(reason)\nusage: lanekeeper decode FILE|-"), "\(result.stderr)")
  }
}
