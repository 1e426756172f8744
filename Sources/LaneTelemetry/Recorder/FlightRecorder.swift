public import LaneCore
public import LinuxIO

/// How much of the packets themselves goes into evidence, at rest on a disk.
public enum EvidencePayload: String, Sendable, CaseIterable {
  /// No byte of any packet: comments say what the header said.
  case none
  /// The CubeFS header and its extensions, and the Arg that describes a hole: nothing that anybody has stored.
  case headers
  /// Those, and the first 256 bytes of Arg and payload: of files' contents, too.
  case full
}

/// Makes a file of the evidence of an event, and hands it to a writer. A storm of events does not become one of files. It belongs to one
/// reactor's thread.
public final class FlightRecorder: EvidenceKeeper {
  /// Files that may be made at once.
  public static let burst: UInt64 = 8
  /// After that, one in so many nanoseconds.
  public static let interval: UInt64 = 500_000_000

  private let writer: EvidenceWriter
  private let file: EvidenceFile
  private let wallClock: () -> UInt64
  /// When all of the burst may be made again; the reactor's clock.
  private var fullAt: UInt64 = 0
  private var lastName: UInt64 = 0
  private var isFailing = false
  /// Events that have no file because there were too many.
  public private(set) var skipped: UInt64 = 0

  /// - Parameters:
  ///   - node: this node's name, as configured.
  ///   - process: random bits that make operation ids unique in the cluster, as in the log.
  ///   - wallClock: nanoseconds since 1970.
  public init(
    writer: EvidenceWriter, node: String, process: UInt64, payload: EvidencePayload, wallClock: @escaping () -> UInt64 = Timestamp.now
  ) {
    self.writer = writer
    self.wallClock = wallClock
    file = EvidenceFile(node: node, process: process, payload: payload)
  }

  /// How the names of its files end.
  public static var suffix: String { EvidenceFile.suffix }

  /// The most bytes of Arg and payload of each packet.
  public var payload: Int { file.payload == .full ? PacketRing.payloadRoom : 0 }

  /// False where there were too many just now.
  public func takesMore(now: UInt64) -> Bool {
    if max(fullAt, now) &- now <= (Self.burst - 1) * Self.interval { return true }
    skipped &+= 1
    return false
  }

  /// Makes the file; nil where too many wait to be written. Whether it could be written shows in `tick`.
  public func keep(_ evidence: Evidence, of event: LaneEvent, now: UInt64) -> String? {
    let wall = wallClock()
    // Names sort by time, and none is used twice.
    let time = max(wall, lastName &+ 1_000)
    let name = Self.name(event, time: time, file)
    let bytes = file.bytes(evidence, of: event, time: wall) { wall &- (now &- $0) }
    guard writer.write(bytes, as: name) else {
      skipped &+= 1
      return nil
    }
    fullAt = max(fullAt, now) &+ Self.interval
    lastName = time
    return name
  }

  /// Tells when files can no longer be written, and when they can again. To be called about once a second.
  public func tick(_ sink: any EventSink) {
    let status = writer.status
    guard (status.failure != nil) != isFailing else { return }
    isFailing = status.failure != nil
    var event = LaneEvent(isFailing ? .recorderFailed : .recorderRecovered)
    event.detail = status.failure?.description
    sink.record(event)
  }

  /// `20261128T203012.123456Z_reply.dropped_ID.pcapng`: ID is the operation's, or that of the connection where there is none.
  private static func name(_ event: LaneEvent, time: UInt64, _ file: EvidenceFile) -> String {
    let stamp = Timestamp.text(nanoseconds: time).filter { $0 != "-" && $0 != ":" }
    let subject = (event.operation ?? event.owner).map { file.id($0).description } ?? event.connection.map { "connection-\($0)" } ?? "idle"
    return "\(stamp)_\(event.name.rawValue)_\(subject)\(EvidenceFile.suffix)"
  }
}
