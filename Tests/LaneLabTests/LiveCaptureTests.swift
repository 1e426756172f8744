import Testing

@testable import LaneLab

/// What the lab's datanodes answer, held against what real servers answered to the same bytes (`live-*` under Fixtures).
@Suite struct LiveCaptureTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let directory: String
    let name: String
    /// The capture's extent was 263,168 bytes long: the lab has one of that size under another id.
    var isShortExtent = false
    /// Asked beyond the end of an extent whose length is another one in the lab.
    var isBeyondEnd = false
    /// Bodies and CRCs depend on contents that the lab does not have; texts and empty bodies do not.
    var comparesBody = true
    var testDescription: String { "\(directory)/\(name)" }
  }

  static let cases: [Case] =
    ["live-v3.3.0", "live-v3.5.3"].flatMap { directory in
      [
        Case(directory: directory, name: "getappliedid", comparesBody: false),
        Case(directory: directory, name: "getappliedid_no_partition"),
        Case(directory: directory, name: "getpartitionsize", comparesBody: false),
        Case(directory: directory, name: "getmaxextentid", comparesBody: false),
        Case(directory: directory, name: "broadcastminappliedid"),
        Case(directory: directory, name: "broadcastminappliedid_no_partition"),
        Case(directory: directory, name: "notifyreplicastorepair_empty"),
        Case(directory: directory, name: "notifyreplicastorepair_badjson"),
        Case(directory: directory, name: "extentrepairread_260k", comparesBody: false),
        Case(directory: directory, name: "extentrepairread_past_eof", isShortExtent: true, comparesBody: false),
        Case(directory: directory, name: "extentrepairread_size0"),
        Case(directory: directory, name: "readtinydeleterecord_at_end"),
        Case(directory: directory, name: "tinyextentrepairread_past_end", isBeyondEnd: true),
        Case(directory: directory, name: "tinyextentrepairread_normal_extent"),
        Case(directory: directory, name: "create_no_partition"),
        Case(directory: directory, name: "write_bad_crc_follower"),
        Case(directory: directory, name: "write_1k_leader"),
        Case(directory: directory, name: "markdelete_tiny_follower"),
        Case(directory: directory, name: "markdelete_normal_leader"),
        Case(directory: directory, name: "batchdelete_leader"),
        Case(directory: directory, name: "heartbeat"),
        Case(directory: directory, name: "streamfollowerread", comparesBody: false),
        Case(directory: directory, name: "unknown_opcode"),
      ]
    } + [
      Case(directory: "live-v3.5.3", name: "snapshotextentrepairread", isShortExtent: true, comparesBody: false),
      Case(directory: "live-v3.5.3", name: "snapshotextentrepairread_no_extent"),
      Case(directory: "live-v3.5.3", name: "streamfollowerread_protover", comparesBody: false),
      Case(directory: "live-v3.5.3", name: "write_protover_leader"),
    ]

  @Test(arguments: cases) func answersAsTheRealServer(_ sample: Case) throws {
    guard var asked = Fixture.bytes("\(sample.directory)/\(sample.name).req.bin"),
      let answered = Fixture.bytes("\(sample.directory)/\(sample.name).rsp.bin")
    else { return }
    let release: String = String(sample.directory.dropFirst("live-v".count))
    if sample.isShortExtent { asked.replaceSubrange(25..<33, with: bigEndianBytes(LabExtent.short)) }
    if sample.isBeyondEnd { asked.replaceSubrange(33..<41, with: bigEndianBytes(1 << 30)) }
    let index = try #require(["3.3.0": 0, "3.5.3": 2][release])
    let rules = DatanodeRules(release: LabWorld.releases[index], contents: Contents(seed: 1))
    let request = try #require(try Fixture.packet(asked, rules))
    #expect(request.bytes == asked, "the lab reads other packets than it was sent")

    let expected = Fixture.split(answered)
    let given = rules.replies(to: request).map(\.bytes)
    try #require(given.count == expected.count)
    for (mine, real) in zip(given, expected) {
      let header = Fixture.headerLength(real)
      #expect(mine[0..<5] == real[0..<5], "magic, ExtentType, Opcode, ResultCode, RemainingFollowers")
      #expect(mine[9..<25] == real[9..<25], "Size, ArgLen, PartitionID")
      if !sample.isShortExtent { #expect(mine[25..<33] == real[25..<33], "ExtentID") }
      #expect(mine[33..<header] == real[33..<header], "ExtentOffset, ReqID, KernelOffset, what the flags announce")
      let argument = header + Fixture.number(real[13..<17])
      #expect(mine[header..<argument] == real[header..<argument], "Arg")
      let isError = real[3] != 0xF0
      if sample.comparesBody || isError { #expect(mine[argument...] == real[argument...], "payload") }
      if sample.comparesBody { #expect(mine[5..<9] == real[5..<9], "CRC") }
    }
  }

  @Test func theCapturesAreThere() {
    let present = Self.cases.filter { Fixture.bytes("\($0.directory)/\($0.name).rsp.bin") != nil }
    #expect(present.count >= 40, "\(Self.cases.filter { Fixture.bytes("\($0.directory)/\($0.name).rsp.bin") == nil })")
  }
}
