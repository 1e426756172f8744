import CubeFSWire
import TestBytes
import Testing

/// Which reply belongs to which request, and what is said where one does not.
@Suite(.timeLimit(.minutes(10)))
struct WiresharkReplyMatchingTests {
  private static let block = 131_072

  /// A read of that many blocks.
  private static func read(_ opcode: UInt8 = 0x09, reqID: Int64, blocks: Int) -> WirePacket {
    .request(opcode, reqID: reqID, size: UInt32(blocks * block)) { $0.header.extentOffset = 0 }
  }

  private static func block(_ number: Int, of request: WirePacket) -> [UInt8] {
    request.block(at: Int64(number * block), pattern(block, seed: number)).bytes
  }

  private static func write(reqID: Int64) -> WirePacket {
    .request(0x03, reqID: reqID) {
      $0.payload = pattern(300, seed: Int(reqID))
      $0.header.crc = crc32($0.payload)
    }
  }

  private static func ask(_ opcode: UInt8, reqID: Int64) -> WirePacket { Exemplar.request(opcode, reqID: reqID, partition: 7) }

  /// Both readings of a capture. What is said of a packet may not differ; only the first is without what the future tells.
  private static func layers(_ capture: Capture) throws -> [Dissected] {
    let later: Set<String> = ["reply_in", "last_reply_in", "replies", "abandoned_in"]
    let first = try Tshark.layers(capture)
    let second = try Tshark.layers(capture, ["-2"])
    #expect(first.map(\.experts) == second.map(\.experts))
    #expect(first.map { $0.fields.filter { !later.contains($0.key) } } == second.map { $0.fields.filter { !later.contains($0.key) } })
    #expect(first.allSatisfy { $0["last_reply_in"] == nil && $0["abandoned_in"] == nil })
    return second
  }

  /// CubeFS issue 3337: a repair gives up after one of four blocks, its connection goes back into the pool, and the watermarks'
  /// caller reads the blocks that are still to come.
  @Test func staleRepliesAreSeenWhereTheNextOperationReadsThem() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    let repair = Self.read(reqID: 5, blocks: 4)
    let watermarks = Self.ask(0x07, reqID: 6)
    let asked = connection.ask(repair.bytes)
    connection.answer(Self.block(0, of: repair))
    let next = connection.ask(watermarks.bytes)
    let stale = [connection.answer(Self.block(1, of: repair)), connection.answer(Self.block(2, of: repair) + Self.block(3, of: repair))]
    let right = connection.answer(Exemplar.reply(to: watermarks).bytes)

    let layers = try Self.layers(capture)
    #expect(layers.map { $0["operation"] } == ["1", "1", "2", "1", "1", "1", "2"])
    #expect(layers.map { $0["request_in"] } == [nil, "\(asked)", nil, "\(asked)", "\(asked)", "\(asked)", "\(next)"])
    #expect(layers.map { $0["reply.number"] } == [nil, "1", nil, "2", "3", "4", "1"])
    #expect(layers[0]["abandoned_in"] == "\(next)")
    #expect(layers[0]["replies"] == "4" && layers[0]["last_reply_in"] == "\(stale[1])")
    #expect(layers[2]["reply_in"] == "\(right)")
    let abandoned = "the older operation was abandoned, its replies are still due: ExtentRepairRead, ReqID 5 (frame \(asked))"
    let reader = "the caller has gone on to GetAllWatermarks, ReqID 6 (frame \(next)) and reads this as its reply"
    for (index, layer) in layers.enumerated() {
      switch index {
      case 2: #expect(layer.experts == ["request.abandons": abandoned])
      case 3...5: #expect(layer.experts == ["reply.stale": "belongs to ExtentRepairRead, ReqID 5 (frame \(asked)); \(reader)"])
      default: #expect(layer.experts.isEmpty)
      }
    }
    let information = try Tshark.information(capture)
    #expect(information[asked] == "ExtentRepairRead request partition 7 extent 1025 offset 0 size 512 KiB ReqID 5")
    #expect(information[next]?.hasSuffix("ReqID 6 [abandons an older operation]") == true)
    #expect(information[stale[0]] == "ExtentRepairRead reply Ok partition 7 extent 1025 offset 131072 size 128 KiB ReqID 5 [stale]")
    // The third block ends two segments before the fourth.
    let frames = [stale[0], stale[1] - 2, stale[1]].map(String.init)
    for filter in ["_ws.expert.severity == Error", "cubefs.reply.stale", "cubefs.operation == 1 && cubefs.reply.number > 1"] {
      #expect(try Tshark.lines(capture, ["-Y", filter, "-T", "fields", "-e", "frame.number"]) == frames)
    }
  }

  @Test func aReplyThatNobodyAskedForIsAnError() throws {
    let capture = Capture()
    // Another connection's requests do not count.
    capture.connect(from: 40_001).ask(Self.ask(0x08, reqID: 77).bytes)
    let connection = capture.connect(from: 40_000)
    let notify = Self.ask(0x08, reqID: 7)
    let asked = connection.ask(notify.bytes)
    connection.answer(notify.with(reqID: 77).mutated().bytes)
    connection.answer(notify.mutated().bytes)
    connection.answer(notify.with(reqID: -1).mutated().bytes)

    let layers = Array(try Self.layers(capture).dropFirst())
    #expect(
      layers[1].experts["reply.unasked"]
        == "no request on this connection had ReqID 77; the caller reads this as the reply to NotifyReplicasToRepair, ReqID 7 (frame \(asked))"
    )
    #expect(layers[1]["request_in"] == nil && layers[1]["operation"] == nil)
    #expect(layers[2].experts.isEmpty && layers[2]["request_in"] == "\(asked)")
    #expect(
      layers[3].experts["reply.unasked"]
        == "no request on this connection had ReqID -1; the caller reads this as the reply to its next request")
  }

  /// A follower's leader and a writing client do not wait.
  @Test func aPipelineIsNoFault() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    let requests = (1...9).map { Self.write(reqID: Int64($0)) } + [Self.ask(0x75, reqID: 10), Self.ask(0x01, reqID: 11)]
    connection.ask(requests.flatMap(\.bytes), pieces: [700])
    connection.answer(requests.prefix(3).flatMap { $0.mutated().bytes })
    connection.ask(Self.write(reqID: 12).bytes)
    connection.answer((requests.dropFirst(3) + [Self.write(reqID: 12)]).flatMap { $0.mutated().bytes }, pieces: [50])

    let layers = try Self.layers(capture)
    #expect(layers.count == 24)
    #expect(layers.allSatisfy { $0.experts.isEmpty })
    let requested = layers.filter { $0["request"] == "1" }
    let replied = layers.filter { $0["reply"] == "1" }
    #expect(requested.map { $0["req_id"] } == (1...12).map(String.init) && replied.map { $0["req_id"] } == (1...12).map(String.init))
    #expect(requested.map { $0["operation"] } == replied.map { $0["operation"] })
    #expect(zip(requested, replied).allSatisfy { $0["reply_in"] == "\($1.frame)" && $1["request_in"] == "\($0.frame)" })
  }

  @Test func aRequestThatMayNotBePipelinedAbandonsWritesToo() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    let writes = (1...7).map { Self.write(reqID: Int64($0)) }
    let frame = connection.ask(writes.flatMap(\.bytes))
    let applied = Self.ask(0x10, reqID: 8)
    connection.ask(applied.bytes)
    connection.answer(writes[0].mutated().bytes + Exemplar.reply(to: applied).bytes)

    let layers = try Self.layers(capture)
    #expect(
      layers[7].experts["request.abandons"]
        == "the older operation was abandoned, its replies are still due: "
        + (1...5).map { "Write, ReqID \($0) (frame \(frame)); " }.joined() + "2 more")
    #expect(layers[8].experts["reply.stale"] != nil)
    #expect(layers[9].experts.isEmpty)
  }

  /// A reader of tiny-delete records stops at a size that it was told, and the sender goes on: not abandoned, but stale.
  @Test func chunksThatNobodyCountsAreStaleAfterTheNextRequest() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    let records = Self.ask(0x14, reqID: 1)
    let notify = Self.ask(0x08, reqID: 2)
    connection.ask(records.bytes)
    connection.answer(Exemplar.reply(to: records).bytes + Exemplar.reply(to: records).bytes)
    connection.ask(notify.bytes)
    connection.answer(Exemplar.reply(to: records).bytes)
    connection.answer(notify.mutated().bytes)

    let layers = try Self.layers(capture)
    #expect(layers.map { Set($0.experts.keys) } == [[], [], [], [], ["reply.stale"], []])
    #expect(layers.map { $0["reply.number"] } == [nil, "1", "2", nil, "3", "1"])
    #expect(try Tshark.information(capture).values.contains { $0.hasPrefix("ReadTinyDeleteRecord reply Ok") })
  }

  /// OpSnapshotExtentRepairRead ends with a packet that its caller does not read.
  @Test func theFinalPacketOfASnapshotReadIsStaleIfLeftUnread() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    let read = Self.ask(0x17, reqID: 1)
    let applied = Self.ask(0x10, reqID: 2)
    connection.ask(read.bytes)
    connection.answer(Exemplar.reply(to: read).bytes)
    connection.ask(applied.bytes)
    connection.answer(read.mutated().bytes + Exemplar.reply(to: applied).bytes)

    let layers = try Self.layers(capture)
    #expect(layers.map { Set($0.experts.keys) } == [[], [], ["request.abandons"], ["reply.stale"], []])
    #expect(layers[1].number("opcode") == 0x18 && layers[1]["hole"] == "0" && layers[1]["available"] == "300")
  }

  /// Data and holes count as far as there is anything; where nothing is, nothing is due.
  @Test func readsOfTinyExtentsEndWithWhatThereIs() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    func read(_ reqID: Int64) -> WirePacket {
      .request(0x15, reqID: reqID, size: 32_768) {
        $0.header.extentType = 0
        $0.header.extentOffset = 0
      }
    }
    func piece(_ request: WirePacket, at offset: Int64, hole: UInt64?) -> [UInt8] {
      request.block(at: offset, hole == nil ? pattern(8_192) : []) {
        $0.header.extentType = 0
        $0.argument = [hole == nil ? 0 : 0x45] + bigEndian(hole ?? 0) + bigEndian(24_576)
      }.bytes
    }
    connection.ask(read(1).bytes)
    connection.answer(piece(read(1), at: 0, hole: nil) + piece(read(1), at: 8_192, hole: 16_384))
    connection.ask(read(2).bytes)
    connection.ask(read(3).bytes)
    connection.answer(piece(read(3), at: 0, hole: nil))
    connection.ask(read(4).bytes)

    let layers = try Self.layers(capture)
    #expect(layers.map { Set($0.experts.keys) } == [[], [], [], [], [], [], ["request.abandons"]])
    #expect(layers[2]["hole"] == "1" && layers[2]["hole.length"] == "16384" && layers[2]["crc.status"] == nil)
    #expect(layers[1]["crc.status"] == "1" && layers[1]["hole.length"] == nil)
  }

  @Test func readsOfNothingAreDueNothing() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    for reqID in Int64(1)...3 { connection.ask(Self.read(reqID: reqID, blocks: 0).bytes) }
    #expect(try Self.layers(capture).allSatisfy { $0.experts.isEmpty && $0["replies"] == nil })
  }

  @Test func errorRepliesEndAnOperationAndItsConnection() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    let repair = Self.read(reqID: 1, blocks: 3)
    connection.ask(repair.bytes)
    connection.answer(Self.block(0, of: repair))
    let failed = connection.answer(repair.mutated(Array("ActionStreamRead_EOF".utf8), result: 0xF3).bytes)
    connection.ask(Self.ask(0x10, reqID: 2).bytes)

    let layers = try Self.layers(capture)
    #expect(layers[2].experts == ["reply.error": "IntraGroupNetErr: ActionStreamRead_EOF"])
    #expect(layers[2]["text"] == "ActionStreamRead_EOF" && layers[2]["reply.number"] == "2" && layers[2]["crc.status"] == nil)
    #expect(layers[3].experts == ["request.doomed": "after an error reply (frame \(failed)) a datanode swallows one packet and closes"])
    let warnings = ["-Y", "_ws.expert.severity == Warning", "-T", "fields", "-e", "frame.number"]
    #expect(try Tshark.lines(capture, warnings) == ["\(failed)"])
    #expect(try Tshark.information(capture)[failed]?.hasPrefix("ExtentRepairRead reply IntraGroupNetErr partition 7") == true)
  }

  @Test func repliesThatAreSurplusOrUnlikeTheirRequestAreWarnings() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    let applied = Self.ask(0x10, reqID: 1)
    let asked = connection.ask(applied.bytes)
    connection.answer(applied.mutated(bigEndian(99)).bytes + applied.mutated(bigEndian(99)).bytes)
    connection.ask(applied.with(reqID: 2).bytes)
    connection.answer(applied.with(reqID: 2).mutated(bigEndian(99)) { $0.opcode = Opcode(0x11) }.bytes)
    connection.ask(applied.with(reqID: 3).bytes)
    connection.answer(applied.with(reqID: 3).mutated(bigEndian(99)) { $0.partitionID = 8 }.bytes)
    let repair = Self.read(reqID: 4, blocks: 1)
    connection.ask(repair.bytes)
    connection.answer(repair.block(at: 0, pattern(Self.block)) { $0.header.extentID = 9 }.bytes)
    // The same ReqID anew, as processes of v3.3.0 that restart have it.
    connection.ask(applied.bytes)
    connection.answer(applied.mutated(bigEndian(99)).bytes)

    let layers = try Self.layers(capture)
    #expect(layers[1].experts.isEmpty && layers[1]["applied_id"] == "99")
    #expect(layers[2].experts == ["reply.surplus": "GetAppliedId, ReqID 1 (frame \(asked)) had all its replies before this"])
    #expect(layers[4].experts == ["reply.mismatch": "the request is GetAppliedId"])
    #expect(layers[6].experts == ["reply.mismatch": "the request is of partition 7"])
    #expect(layers[8].experts == ["reply.mismatch": "the request is of extent 1025"])
    #expect(layers[10].experts.isEmpty && layers[10]["reply.number"] == "1")
  }

  /// Each opcode's correct exchange, one after the other on one connection.
  @Test func correctExchangesAreNoFaultWhateverTheOpcode() throws {
    let capture = Capture()
    let connection = capture.connect(from: 40_000)
    for (index, opcode) in ProtocolTable.answered.enumerated() {
      var request = Exemplar.request(opcode, reqID: Int64(index + 1), partition: 7)
      if !request.payload.isEmpty { request.header.crc = crc32(request.payload) }
      connection.ask(request.bytes)
      connection.answer(Exemplar.reply(to: request).bytes)
      if opcode == 0x17 { connection.answer(request.mutated().bytes) }
    }
    for layer in try Self.layers(capture) { #expect(layer.experts.isEmpty, "\(layer["opcode"] ?? "")") }
  }

  @Test func aConnectionOlderThanTheCaptureIsNotWrongAtItsBeginning() throws {
    let capture = Capture()
    let connection = capture.resume(from: 40_000)
    let repair = Self.read(reqID: 1, blocks: 3)
    connection.answer(Array(Self.block(0, of: repair).dropFirst(100_000)) + Self.block(1, of: repair), pieces: [1_448])
    connection.answer(Self.block(2, of: repair))
    let applied = Self.ask(0x10, reqID: 2)
    connection.ask(applied.bytes)
    connection.answer(Exemplar.reply(to: applied).bytes)

    let layers = try Self.layers(capture)
    #expect(layers.map { Set($0.experts.keys) } == [["before_capture"], ["before_capture"], ["before_capture"], [], []])
    #expect(try Tshark.lines(capture, ["-Y", "_ws.expert.severity >= Warning"]) == [])
  }
}
