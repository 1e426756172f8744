import Foundation
import TestBytes
import Testing

/// Packets that the real code of each release wrote, as tshark shows them, beside their manifests.
@Suite(.timeLimit(.minutes(10)))
struct WiresharkGoldenTests {
  /// How a stream is cut into segments.
  enum Cut: CaseIterable {
    case whole
    case atRandom
    /// Byte by byte through the longest header.
    case headerInBytes
  }

  /// Manifests' names, and the dissector's.
  static let names = [
    "Magic": "magic", "ExtentType": "extent_type", "Opcode": "opcode", "ResultCode": "result", "RemainingFollowers": "remaining_followers",
    "CRC": "crc", "Size": "size", "ArgLen": "arg_len", "PartitionID": "partition_id", "ExtentID": "extent_id",
    "ExtentOffset": "extent_offset", "ReqID": "req_id", "KernelOffset": "kernel_offset", "VerSeq": "ver_seq",
    "ProtoVersion": "proto_version",
  ]

  /// OpRandomWriteVer without a flag: CubeFS writes VerSeq and reads none.
  static func isDesynchronised(_ name: String) -> Bool {
    name.contains("/ver_randomwritever_plain") || name.contains("/randomwritever_plain_")
  }

  /// Its object held a VerSeq that CubeFS does not write, or does not read.
  static func isVerSeqUnsent(_ name: String) -> Bool { name.contains("/ver_syncrandomwritever_plain") || isDesynchronised(name) }

  @Test(arguments: GoldenManifest.built + GoldenManifest.live, Cut.allCases)
  func everyFieldIsTheManifests(folder: String, cut: Cut) throws {
    var generator = SeededGenerator(seed: testSeed())
    let streams = try GoldenManifest.streams(folder)
    let capture = Capture()
    for (index, stream) in streams.enumerated() {
      let pieces =
        switch cut {
        case .whole: [60_000]
        case .atRandom:
          (0..<40).map { _ in Int.random(in: 1...([3, 64, 200, 5_000, 60_000].randomElement(using: &generator) ?? 1), using: &generator) }
            + [1_460]
        case .headerInBytes: [Int](repeating: 1, count: 110) + [1_460]
        }
      let connection = capture.connect(from: 20_000 + index)
      if stream.isRequest { connection.ask(stream.bytes, pieces: pieces) } else { connection.answer(stream.bytes, pieces: pieces) }
    }
    // What the flags say, and what that release's own rules say; and the second reading of a capture shows what the first did.
    let release = ["-o", "cubefs.release:\(GoldenManifest.release(folder))"]
    for options in cut == .whole ? [[], ["-2"] + release] : [["-2"]] {
      let byPort = Dictionary(grouping: try Tshark.layers(capture, options), by: \.port)
      for (index, stream) in streams.enumerated() {
        let layers = byPort[20_000 + index] ?? []
        if Self.isDesynchronised(stream.name) {
          #expect(layers.dropFirst().allSatisfy { $0.experts["no_packet"] != nil }, "\(stream.name)")
          #expect(layers.dropFirst().reduce(0) { $0 + $1.bytes("undissected").count } == 8, "\(stream.name)")
          compare(layers.first, stream.packets.first, stream.name)
        } else {
          #expect(layers.count == stream.packets.count, "\(stream.name)")
          for (layer, packet) in zip(layers, stream.packets) { compare(layer, packet, stream.name) }
          let tail = layers.last?.bytes("payload") ?? []
          #expect(tail == stream.bytes.suffix(tail.count), "\(stream.name)")
        }
      }
    }
  }

  private func compare(_ layer: Dissected?, _ packet: GoldenPacket?, _ name: String) {
    guard let layer, let packet else {
      Issue.record("\(name): nothing to compare")
      return
    }
    for (field, value) in packet.fields {
      guard let shown = Self.names[field] else {
        Issue.record("\(name): the manifest's \(field) is not compared")
        continue
      }
      if field == "VerSeq" && Self.isVerSeqUnsent(name) {
        #expect(layer[shown] == nil, "\(name)")
      } else {
        #expect(layer.number(shown) ?? 0 == value, "\(name) \(field)")
      }
    }
    let versions = zip(
      zip(layer.fields["version.ver"] ?? [], layer.fields["version.del_time"] ?? []), layer.fields["version.status"] ?? [])
    #expect(versions.map { [$0.0.0, $0.0.1, $0.1] } == packet.versions.map { $0.map(String.init) }, "\(name)")
    #expect(layer["arg"]?.filter { $0 != ":" } ?? "" == packet.argument, "\(name)")
    let payload = layer.bytes("payload")
    if let text = packet.text, !payload.isEmpty, packet.fields["Size"] == Int128(text.utf8.count) {
      #expect(payload == Array(text.utf8) || text.contains("\u{FFFD}"), "\(name)")
      if text.hasPrefix("{") || text.hasPrefix("[") || text.hasPrefix("Action") { #expect(layer["text"] == text, "\(name)") }
    }
    if let status = layer["crc.status"] {
      let isRight = Int128(crc32(payload)) == packet.fields["CRC"]
      #expect(status == (isRight ? "1" : "0"), "\(name)")
      #expect((layer.experts["crc.bad"] == nil) == isRight, "\(name)")
      #expect(layer.number("crc.computed") == (isRight ? nil : Int128(crc32(payload))), "\(name)")
    } else {
      let isOfAPayload = packet.fields["CRC"] == Int128(crc32(payload))
      // OpMarkDelete's live requests carry the CRC of their JSON, which no datanode looks at.
      #expect(payload.isEmpty || !isOfAPayload || packet.fields["Opcode"] == 0x02, "\(name): a CRC was not checked")
    }
  }

  /// All of a folder's requests, and all of its replies, each back to back on one connection.
  @Test(arguments: GoldenManifest.built)
  func packetsThatShareSegmentsAreToldApart(folder: String) throws {
    let streams = try GoldenManifest.streams(folder).filter { !Self.isDesynchronised($0.name) }
    for options in [[], ["-2"]] {
      for isRequest in [true, false] {
        let chosen = streams.filter { $0.isRequest == isRequest }
        let capture = Capture()
        let connection = capture.connect(from: 20_000)
        let bytes = chosen.flatMap(\.bytes)
        if isRequest { connection.ask(bytes) } else { connection.answer(bytes) }
        let layers = try Tshark.layers(capture, options)
        let expected = chosen.flatMap { stream in stream.packets.map { (stream.name, $0) } }
        #expect(layers.count == expected.count)
        for (layer, (name, packet)) in zip(layers, expected) { compare(layer, packet, name) }
      }
    }
  }

  /// Each exchange with a running datanode on a connection of its own: every reply finds its request, and nothing else is said.
  @Test(arguments: GoldenManifest.live)
  func liveRepliesFindTheirRequests(folder: String) throws {
    let exchanges = try GoldenManifest.exchanges(folder)
    let capture = Capture()
    let frames = exchanges.enumerated().map { index, exchange in
      let connection = capture.connect(from: 20_000 + index)
      let request = connection.ask(exchange.request.bytes)
      return (request: request, lastReply: connection.answer(exchange.replies.bytes, pieces: [9_000]))
    }
    for options in [[], ["-2"]] {
      let byPort = Dictionary(grouping: try Tshark.layers(capture, options), by: \.port)
      for (index, exchange) in exchanges.enumerated() where !Self.isDesynchronised(exchange.request.name) {
        let name = exchange.request.name
        let layers = byPort[20_000 + index] ?? []
        let request = try #require(layers.first, "\(name)")
        let replies = layers.dropFirst()
        let count = exchange.replies.packets.count
        #expect(request["request"] == "1" && request["reply"] == nil && replies.count == count, "\(name)")
        #expect(Set(request.experts.keys) == (name.contains("bad_crc") ? ["crc.bad"] : []), "\(name)")
        // What only the future tells is there at the second reading.
        let isTold = options == ["-2"] && count > 0
        #expect(request["replies"] == (isTold ? String(count) : nil), "\(name)")
        #expect(request["reply_in"] == (isTold ? replies.first.map { String($0.frame) } : nil), "\(name)")
        let isLongStream = isTold && replies.first?.frame != frames[index].lastReply
        #expect(request["last_reply_in"] == (isLongStream ? String(frames[index].lastReply) : nil), "\(name)")
        for (position, (reply, packet)) in zip(replies, exchange.replies.packets).enumerated() {
          #expect(reply["reply"] == "1" && reply["request"] == nil, "\(name)")
          #expect(reply["request_in"] == String(frames[index].request), "\(name)")
          #expect(reply["operation"] == request["operation"], "\(name)")
          #expect(reply["reply.number"] == String(position + 1), "\(name)")
          // The capture's frames are a millisecond apart.
          #expect(reply["time"].flatMap { Double($0) } == Double(reply.frame - frames[index].request) / 1_000, "\(name)")
          var experts: Set<String> = packet.fields["ResultCode"] == 0xF0 ? [] : ["reply.error"]
          // OpSnapshotExtentRepairRead sends its error twice.
          if name.contains("snapshotextentrepairread_no_extent") && position == 1 { experts.insert("reply.surplus") }
          #expect(Set(reply.experts.keys) == experts, "\(name)")
        }
      }
    }
  }

  /// The capture itself is one that a kernel could have sent.
  @Test func checksumsOfTheCaptureAreRight() throws {
    let capture = Capture()
    for (index, exchange) in try GoldenManifest.exchanges("live-v3.5.3").enumerated() {
      let connection = capture.connect(from: 20_000 + index)
      connection.ask(exchange.request.bytes, pieces: [1, 501])
      connection.answer(exchange.replies.bytes, pieces: [1_448])
    }
    let checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    let wrong = "tcp.checksum.status != 1 || ip.checksum.status != 1 || tcp.analysis.flags"
    #expect(try Tshark.lines(capture, checks + ["-Y", wrong]) == [])
    #expect(try Tshark.lines(capture, checks + ["-Y", "tcp.checksum.status == 1"]).count == capture.frameCount)
  }
}
