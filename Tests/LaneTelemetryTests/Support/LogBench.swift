import CubeFSWire
import Glibc
import LaneCore
import LaneTelemetry
import LinuxIO
import NetEndpoint
import Testing

/// An EventLog over a file of its own, and a wall clock that stands still.
final class LogBench {
  static let process: UInt64 = 0x1122_3344_5566_7788
  /// 2026-11-23T04:05:06.123456Z.
  static let instant: UInt64 = 1_795_406_706_123_456_789

  let log: EventLog
  private let writer: LogWriter
  private let path: String

  init(_ level: LogLevel, node: String = "datanode-1", priorities: Bool = false) throws {
    var template = Array("/tmp/lanekeeper-eventlog-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    try #require(descriptor >= 0)
    close(descriptor)
    path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    writer = try LogWriter(.file(path), capacity: 64 << 20)
    log = EventLog(writer: writer, node: node, process: Self.process, level: level, priorities: priorities, wallClock: { Self.instant })
  }

  deinit {
    writer.close()
    unlink(path)
  }

  /// All lines so far.
  func lines() throws -> [String] {
    try #require(writer.flush(timeout: 10_000_000_000))
    let text = try Self.contents(path)
    try #require(text.isEmpty || text.last == "\n")
    return text.split(separator: "\n").map(String.init)
  }

  static func contents(_ path: String) throws -> String {
    let descriptor = open(path, O_RDONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count <= 0 { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// An operation of these numbers.
  static func operation(
    _ opcode: UInt8 = 0x09, stamp: Int64 = 0x4000_0000_0000_0001, reqID: Int64 = -17, partition: UInt64 = 12, extent: UInt64 = 1025,
    offset: Int64 = 131_072
  ) throws -> LaneEvent.Operation {
    var header = PacketHeader()
    header.opcode = Opcode(opcode)
    header.reqID = reqID
    header.partitionID = partition
    header.extentID = extent
    header.extentOffset = offset
    var bytes = header.encoded()
    return try bytes.withUnsafeMutableBytes { raw in
      var rest = raw
      var framer = Framer(.request, limits: FrameLimits())
      guard case .head(let head) = framer.next(&rest) else { throw StrictJSON.Invalid(at: 0) }
      return LaneEvent.Operation(Exchange(head, stamp: stamp, catalogue: .standard, now: 0))
    }
  }

  /// An event with every member set.
  static func fullEvent(_ name: LaneEvent.Name = .replyDropped) throws -> LaneEvent {
    var event = LaneEvent(name, reason: .partitionMismatch, action: .errorReply)
    event.peer = Endpoint(address: 0xC000_0207, port: 17310)
    event.caller = Endpoint(address: 0xC000_0201, port: 41952)
    event.origin = Endpoint(address: 0xC000_0209, port: 50112)
    event.operation = try operation()
    event.conflictsWith = try operation(stamp: 0x4000_0000_0000_0002)
    event.owner = event.operation
    event.owner?.stamp = 3
    event.evidence = "20261123T040506.123456Z_reply.dropped_idle.pcapng"
    event.expected = .unsigned(12)
    event.observed = .unsigned(13)
    event.connection = 42
    event.outcome = .errorReply
    event.duration = 5_312_999
    event.detail = "a \"quoted\" sentence"
    return event
  }
}
