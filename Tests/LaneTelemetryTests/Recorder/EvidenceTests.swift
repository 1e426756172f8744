import CertificateTestSupport
import CubeFSWire
import Glibc
import LaneCore
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

@testable import LaneTelemetry

/// Files of the flight recorder, read by the tests' own reader.
@Suite struct EvidenceTests {
  private static let secret = Array("SECRETSECRETSECRET".utf8)
  private static let (client, server) = (Endpoint(address: 0x0A00_0001, port: 50_000), Endpoint(address: 0x0A00_0002, port: 17_310))
  private static let (near, peer) = (Endpoint(address: 0x0A00_0001, port: 60_000), Endpoint(address: 0x0A00_0003, port: 17_310))

  private static func packet(_ opcode: UInt8, result: UInt8, reqID: Int64, payload: [UInt8]) -> (bytes: [UInt8], length: Int) {
    var header = PacketHeader()
    header.extentType = 1
    header.opcode = Opcode(opcode)
    header.resultCode = ResultCode(result)
    header.reqID = reqID
    header.partitionID = 12
    header.extentID = 1025
    header.size = UInt32(payload.count)
    return (header.encoded() + payload, 57 + payload.count)
  }

  /// A request and a long reply on the caller's connection, the same and a stray reply on the peer's.
  private static func evidence(payload: Int) -> Evidence {
    let data = Array(repeatElement(secret, count: 8000).joined())
    var first = PacketRing(payload: payload)
    var second = PacketRing(payload: payload)
    func add(_ packet: (bytes: [UInt8], length: Int), _ ring: inout PacketRing, isReply: Bool, number: UInt64) {
      packet.bytes.withUnsafeBytes {
        ring.add($0, headLength: 57, packetLength: packet.length, isReply: isReply, at: number * 1_000)
      }
    }
    add(Self.packet(0x09, result: 0, reqID: 5, payload: []), &first, isReply: false, number: 1)
    add(Self.packet(0x09, result: 0, reqID: 900, payload: []), &second, isReply: false, number: 2)
    add(Self.packet(0x09, result: 0xF0, reqID: 900, payload: data), &second, isReply: true, number: 3)
    add(Self.packet(0x09, result: 0xF0, reqID: 5, payload: data), &first, isReply: true, number: 4)
    add(Self.packet(0x09, result: 0xF0, reqID: 901, payload: Array(secret)), &second, isReply: true, number: 5)
    second.correctLastReply(.dropped, .stampUnknown)
    return Evidence([
      Evidence.Flow(.caller, client: client, server: server, packets: first.packets, lost: 3),
      Evidence.Flow(.peer, client: near, server: peer, packets: second.packets),
    ])
  }

  private static func event() throws -> LaneEvent {
    var event = try LogBench.fullEvent()
    event.detail = "one\nreason: another line"
    return event
  }

  private static func file(_ payload: EvidencePayload, _ evidence: Evidence) throws -> [UInt8] {
    try EvidenceFile(node: "datanode-1", process: LogBench.process, payload: payload).bytes(
      evidence, of: event(), time: LogBench.instant, wall: { LogBench.instant - 10_000 + $0 })
  }

  @Test(arguments: EvidencePayload.allCases) func everyFrameIsWhole(payload: EvidencePayload) throws {
    let room = payload == .full ? 256 : 0
    let file = try Self.file(payload, Self.evidence(payload: room))
    let found = try PcapngOracle(file)
    #expect(found.interfaces.map(\.name) == ["caller", "peer"])
    #expect(
      found.interfaces.map(\.description) == [
        "client 10.0.0.1:50000, server 10.0.0.2:17310", "client 10.0.0.1:60000, server 10.0.0.3:17310",
      ])
    #expect(found.frames.map(\.interface) == [0, 1, 1, 0, 1])
    #expect(found.frames.map(\.isInbound) == [true, false, true, false, true])
    #expect(found.frames.map(\.payloadLength) == [57, 57, 57 + 144_000, 57 + 144_000, 75])
    #expect(found.frames.map(\.time) == (1...5).map { LogBench.instant - 10_000 + UInt64($0) * 1_000 })
    let whole = payload == .none ? [0, 0, 0, 0, 0] : payload == .headers ? [57, 57, 57, 57, 57] : [57, 57, 313, 313, 75]
    #expect(found.frames.map(\.payload.count) == whole)
    #expect(holds(file, Self.secret) == (payload == .full))
    let ends = ["10.0.0.1:50000", "10.0.0.1:60000", "10.0.0.3:17310", "10.0.0.2:17310", "10.0.0.3:17310"]
    #expect(found.frames.map(\.source) == ends)
    // Within a direction each segment begins where the last one ended, and acknowledges all that came the other way.
    var next: [String: UInt32] = [:]
    for frame in found.frames {
      let (there, back) = ("\(frame.source)>\(frame.destination)", "\(frame.destination)>\(frame.source)")
      #expect(frame.sequence == next[there] ?? 1 && frame.acknowledged == next[back] ?? 1)
      next[there] = frame.sequence &+ UInt32(frame.payloadLength)
      #expect(sumsUp(Array(frame.bytes[..<20])))
      let total = Int(big(frame.bytes, 2, 2))
      #expect(total == (frame.length <= 65_535 ? frame.length : 0))
      if frame.bytes.count == frame.length {
        #expect(sumsUp(Array(frame.bytes[12..<20]) + [0, 6] + UInt16(frame.length - 20).bigEndianBytes + Array(frame.bytes[20...])))
      }
    }
  }

  @Test func commentsSayWhatTheLogSays() throws {
    let found = try PcapngOracle(Self.file(.headers, Self.evidence(payload: 0)))
    let lines = found.comment.split(separator: "\n")
    #expect(lines.first == "Lanekeeper evidence, version 1")
    let event = try Self.event()
    let operation = try #require(event.operation)
    for line in [
      "ts: 2026-11-23T04:05:06.123456Z", "event: reply.dropped", "reason: partition-mismatch", "severity: critical", "node: datanode-1",
      "peer: 192.0.2.7:17310", "caller: 192.0.2.1:41952", "operation: \(OperationID(process: LogBench.process, stamp: operation.stamp))",
      "belongsTo: \(OperationID(process: LogBench.process, stamp: 3))", "expected: 12", "observed: 13", "action: error-reply",
      "detail: one reason: another line",
    ] {
      #expect(lines.contains { $0 == line }, "\(line) in \(lines)")
    }
    let head = ", partition 12, extent 1025, offset 0, "
    #expect(
      found.frames.map(\.comment) == [
        "OpExtentRepairRead request, ReqID 5\(head)size 0, 57 bytes; accepted; 3 earlier packets of this connection are not kept",
        "OpExtentRepairRead request, ReqID 900\(head)size 0, 57 bytes; sent",
        "OpExtentRepairRead reply OpOk, ReqID 900\(head)size 144000, 144057 bytes; accepted",
        "OpExtentRepairRead reply OpOk, ReqID 5\(head)size 144000, 144057 bytes; passed on to the caller",
        "OpExtentRepairRead reply OpOk, ReqID 901\(head)size 18, 75 bytes; dropped: stamp-unknown",
      ])
  }

  @Test func theProgramReadsItsOwnFiles() throws {
    let found = try StoredEvidence(Self.file(.headers, Self.evidence(payload: 0)))
    #expect(found["reason"] == "partition-mismatch" && found["detail"] == "one reason: another line")
    #expect(found.packets.map(\.side) == ["caller", "peer", "peer", "caller", "peer"])
    let story = found.story
    #expect(story.hasPrefix("reply.dropped (partition-mismatch) critical\n"))
    #expect(story.contains("dropped: stamp-unknown"))
    #expect(story.contains("the stray reply belongs to operation \(OperationID(process: LogBench.process, stamp: 3))"))
  }

  /// Whatever is done to a file, it is read or refused.
  @Test func brokenFilesAreRefused() throws {
    var random = SeededGenerator(seed: testSeed())
    let file = try Self.file(.full, Self.evidence(payload: 256))
    var whole = 0
    for length in 0..<file.count {
      do throws(EvidenceFailure) {
        _ = try StoredEvidence(Array(file[..<length]))
        whole += 1
      } catch {
        #expect(error.description.hasPrefix("byte "))
      }
    }
    // It may end behind any block: two interfaces and five packets, without the last.
    #expect(whole == 7)
    for _ in 0..<4_000 {
      var broken = file
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        broken[Int.random(in: 0..<broken.count, using: &random)] =
          [0, 1, 0x7F, 0xFF, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random) ?? 0
      }
      do throws(EvidenceFailure) {
        let story = try StoredEvidence(broken).story
        #expect(story.utf8.allSatisfy { $0 == 10 || (0x20..<0x7F).contains($0) })
      } catch {
        #expect(error.description.hasPrefix("byte "))
      }
    }
    #expect(throws: EvidenceFailure.self) { try StoredEvidence(random.bytes(500)) }
  }

  @Test func aStormMakesFewFiles() throws {
    let directory = try TemporaryDirectory("lanekeeper-evidence")
    let writer = try EvidenceWriter(
      directory: directory.path, suffix: FlightRecorder.suffix, bounds: .init(files: 1000, bytes: 1 << 30, age: 3_600_000_000_000))
    let recorder = FlightRecorder(writer: writer, node: "n", process: 1, payload: .headers, wallClock: { LogBench.instant })
    let evidence = Self.evidence(payload: 0)
    var names: [String] = []
    // A thousand events in each of ten seconds.
    for step in 0..<10_000 as Range<UInt64> {
      let now = 5_000_000_000 + step * 1_000_000
      if recorder.takesMore(now: now) { names.append(try #require(recorder.keep(evidence, of: Self.event(), now: now))) }
      if step % 100 == 0 { writer.flush(timeout: 10_000_000_000) }
    }
    #expect(names.count == 8 + 19 && recorder.skipped == UInt64(10_000 - names.count))
    #expect(writer.flush(timeout: 10_000_000_000))
    #expect(names == names.sorted() && directory.names == Set(names))
    let id = OperationID(process: 1, stamp: try #require(try Self.event().operation).stamp)
    #expect(names.first == "20261123T040506.123456Z_reply.dropped_\(id).pcapng")
    // After a while of quiet there is a burst again.
    let again = try (0..<20).compactMap { _ in
      recorder.takesMore(now: 60_000_000_000) ? recorder.keep(evidence, of: try Self.event(), now: 60_000_000_000) : nil
    }
    #expect(again.count == 8)
    #expect(writer.close(timeout: 10_000_000_000))
  }

  @Test func failureIsToldOnceAndItsEndToo() throws {
    let above = try TemporaryDirectory("lanekeeper-evidence")
    let path = "\(above.path)/missing/evidence"
    let writer = try EvidenceWriter(
      directory: path, suffix: FlightRecorder.suffix, bounds: .init(files: 10, bytes: 1 << 20, age: 3_600_000_000_000))
    let recorder = FlightRecorder(writer: writer, node: "n", process: 1, payload: .headers)
    let sink = RecordingSink()
    for step in 0..<3 as Range<UInt64> {
      #expect(recorder.keep(Self.evidence(payload: 0), of: try Self.event(), now: step * 10_000_000_000) != nil)
      #expect(writer.flush(timeout: 10_000_000_000))
      recorder.tick(sink)
    }
    #expect(sink.events.map(\.name) == [.recorderFailed])
    #expect(sink.events.first?.detail?.contains("ENOENT") == true)
    #expect(writer.status.counters.failed == 3)
    try #require(mkdir("\(above.path)/missing", 0o700) == 0 && mkdir(path, 0o700) == 0)
    #expect(recorder.keep(Self.evidence(payload: 0), of: try Self.event(), now: 60_000_000_000) != nil)
    #expect(writer.flush(timeout: 10_000_000_000))
    recorder.tick(sink)
    recorder.tick(sink)
    #expect(sink.events.map(\.name) == [.recorderFailed, .recorderRecovered])
    #expect(writer.status.counters.written == 1)
  }
}
