import CLinux
import CubeFSWire
import Glibc
import LaneCore
import LaneTelemetry
import LinuxIO
import NetEndpoint

func runStorm(_ arguments: inout Arguments) throws {
  guard let log = arguments.text("--log") else { throw BenchError.usage("--log is missing: it takes a file") }
  let evidence = arguments.text("--evidence")
  let seconds = try arguments.number("--seconds", in: 1...3_600) ?? 60
  try arguments.finish()
  do {
    say(try Storm(log: log, evidence: evidence).report(seconds: seconds))
  } catch let failure as SystemFailure {
    throw BenchError.system("storm, \(failure.call)", failure.errno)
  }
}

/// Wrong replies as they come in a storm, through the program's own rings, recorder and log, on a clock of its own: a second of the storm
/// takes as long as its events.
final class Storm {
  /// Wrong replies in a second.
  static let rate = 100_000
  /// What a storm's events differ by, for folding: peer and reason.
  private static let kinds: [(peer: Endpoint, reason: Reason)] = [
    (Endpoint(address: 0x0A00_0002, port: 17_310), .stampUnknown), (Endpoint(address: 0x0A00_0002, port: 17_310), .partitionMismatch),
    (Endpoint(address: 0x0A00_0003, port: 17_310), .stampUnknown),
  ]
  private static let caller = Endpoint(address: 0x0A00_0001, port: 50_000)
  private static let local = Endpoint(address: 0x0A00_0001, port: 60_000)
  private static let listener = Endpoint(address: 0x7F00_0001, port: 15_310)
  private static let second: UInt64 = 1_000_000_000

  private let writer: LogWriter
  private let log: EventLog
  private let files: EvidenceWriter?
  private let recorder: FlightRecorder?
  private var callerRing: PacketRing
  private var peerRing: PacketRing
  private var now: UInt64 = 1_000 * Storm.second
  private var lastPacketTime: UInt64 = 0
  /// The packet of every step, which differs by its ReqID.
  private let packet: UnsafeMutableRawBufferPointer

  /// - Parameter directory: of evidence; nil for a sidecar without a recorder.
  init(log path: String, evidence directory: String?) throws {
    var header = PacketHeader()
    header.extentType = 1
    header.opcode = Opcode(0x09)
    header.partitionID = 1_610_612_781
    header.extentID = 8_130
    header.extentOffset = 2_433_024
    packet = .allocate(byteCount: HeaderView.fixedLength, alignment: 8)
    packet.copyBytes(from: header.encoded())
    writer = try LogWriter(.file(path))
    log = EventLog(writer: writer, node: "bench", process: 1, level: .info)
    files = try directory.map {
      try EvidenceWriter(
        directory: $0, suffix: FlightRecorder.suffix, bounds: .init(files: 1_000, bytes: 64 << 20, age: 86_400 * Storm.second))
    }
    recorder = files.map { FlightRecorder(writer: $0, node: "bench", process: 1, payload: .headers) }
    callerRing = PacketRing(payload: recorder?.payload)
    peerRing = PacketRing(payload: recorder?.payload)
  }

  deinit { packet.deallocate() }

  /// The storm, and all that is told after its end, written. One line of JSON: what was counted, and what it took.
  func report(seconds: Int) throws -> String {
    let began = try Self.processorTime()
    var events = 0
    for _ in 0..<seconds {
      for _ in 0..<Self.rate {
        strike(events)
        events += 1
        now += Self.second / UInt64(Self.rate)
      }
      log.tick(now: now)
      recorder?.tick(log)
    }
    log.finish()
    let isWhole = writer.close(timeout: 60 * Self.second) && files?.close(timeout: 60 * Self.second) ?? true
    let taken = try Self.processorTime() - began
    guard isWhole else { throw BenchError.peer("the log or the evidence was not written within a minute") }
    let counted = log.counts.counts.values.reduce(0, &+)
    let status = files?.status.counters ?? EvidenceWriter.Counters()
    return """
      {"events":\(events),"counted":\(counted),"folded":\(log.folded),"lost":\(writer.counters.dropped + writer.counters.failed),\
      "files":\(status.written),"failed":\(status.failed),"skipped":\(recorder?.skipped ?? 0),\
      "processorNanoseconds":\(taken / UInt64(events))}
      """
  }

  /// Of all threads of this process, nanoseconds.
  private static func processorTime() throws -> UInt64 {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { throw BenchError.system("clock_gettime", errno) }
    return UInt64(time.tv_sec) * second + UInt64(time.tv_nsec)
  }

  /// A request on both connections, and the reply to the one before it: what a session does with it (`CallerSession.report`).
  private func strike(_ number: Int) {
    let stamp = Int64(number) + 1 << 40
    let callerReqID = Int64(number)
    let kind = Self.kinds[number % Self.kinds.count]
    guard let base = packet.baseAddress else { return }
    let header = HeaderView(at: base)
    if recorder != nil {
      header.restamp(callerReqID)
      add(&callerRing, isReply: false, counterpart: stamp)
      header.restamp(stamp)
      add(&peerRing, isReply: false, counterpart: callerReqID)
      header.restamp(stamp - 1)
      add(&peerRing, isReply: true)
      peerRing.correctLastReply(.dropped, kind.reason)
    }
    var event = LaneEvent(.replyDropped, reason: kind.reason, action: .errorReply)
    event.operation = LaneEvent.Operation(
      .repairStream, opcode: 0x09, stamp: stamp, callerReqID: callerReqID, partitionID: header.partitionID, extentID: header.extentID,
      extentOffset: header.extentOffset)
    event.expected = .signed(stamp)
    event.observed = .signed(stamp - 1)
    event.peer = kind.peer
    event.caller = Self.caller
    event.connection = 7
    if let recorder {
      event.owner = peerRing.lastReplyID.flatMap { peerRing.operation(reqID: $0, .standard) }
      if recorder.takesMore(now: now) {
        let flows = [
          Evidence.Flow(.caller, client: Self.caller, server: Self.listener, packets: callerRing.packets, lost: callerRing.lost),
          Evidence.Flow(.peer, client: Self.local, server: kind.peer, packets: peerRing.packets, lost: peerRing.lost),
        ]
        event.evidence = recorder.keep(Evidence(flows), of: event, now: now)
      }
    }
    log.record(event)
  }

  private func add(_ ring: inout PacketRing, isReply: Bool, counterpart: Int64 = 0) {
    lastPacketTime = max(lastPacketTime &+ 1, now)
    ring.add(
      UnsafeRawBufferPointer(packet), headLength: packet.count, packetLength: packet.count, isReply: isReply, counterpart: counterpart,
      at: lastPacketTime)
  }
}
