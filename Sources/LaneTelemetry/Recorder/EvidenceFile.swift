internal import LaneCore
internal import NetEndpoint

/// An event and its evidence as a pcapng file: the section's comment holds what the log's line says, one `key: value` a line, each
/// packet's comment what it is and what became of it.
struct EvidenceFile {
  /// The first line of the section's comment: by this a reader knows our own files.
  static let mark = "Lanekeeper evidence, version 1"
  /// Said of a connection's first packet where there were others before the last one. `Deploy/wireshark/cubefs.lua` looks for it.
  static let gap = "earlier packets of this connection are not kept"
  /// How names of files end.
  static let suffix = ".pcapng"

  let node: String
  let process: UInt64
  let payload: EvidencePayload

  /// The file.
  /// - Parameters:
  ///   - time: when the event happened, nanoseconds since 1970.
  ///   - wall: nanoseconds since 1970 of a packet's time.
  func bytes(_ evidence: Evidence, of event: LaneEvent, time: UInt64, wall: (UInt64) -> UInt64) -> [UInt8] {
    var writer = PcapngWriter()
    let facts = facts(of: event, time: time).map { "\($0.key.rawValue): \(Self.oneLine($0.value))" }
    writer.section(application: "lanekeeper", comment: ([Self.mark] + facts).joined(separator: "\n"))
    for flow in evidence.flows {
      writer.interface(name: flow.side.rawValue, description: "client \(flow.client), server \(flow.server)")
    }
    var connections = evidence.flows.map { SyntheticConnection(client: $0.client, server: $0.server) }
    var packets = evidence.flows.indices.flatMap { index in evidence.flows[index].packets.map { (flow: index, packet: $0) } }
    packets.sort { first, second in
      guard first.packet.time == second.packet.time else { return first.packet.time < second.packet.time }
      // The same packet on both connections.
      return first.packet.isReply ? first.flow > second.flow : first.flow < second.flow
    }
    var isFirst = evidence.flows.map { _ in true }
    for (flow, packet) in packets {
      let kept = payload == .none ? [] : packet.bytes
      let frame = connections[flow].segment(fromServer: packet.isReply, length: packet.length, payload: kept)
      let side = evidence.flows[flow].side
      var comment = comment(packet, side, evidence, event)
      if isFirst[flow], evidence.flows[flow].lost > 0 { comment += "; \(evidence.flows[flow].lost) \(Self.gap)" }
      isFirst[flow] = false
      writer.packet(
        interface: UInt32(flow), time: wall(packet.time), length: SyntheticConnection.headerLength + packet.length, captured: frame,
        isInbound: packet.isReply == (side == .peer), comment: comment)
    }
    return writer.bytes
  }

  /// What an operator is told of the event, in the order of a log's line.
  private func facts(of event: LaneEvent, time: UInt64) -> [(key: LogKey, value: String)] {
    var facts: [(key: LogKey, value: String)] = [(.ts, Timestamp.text(nanoseconds: time)), (.event, event.name.rawValue)]
    func add(_ key: LogKey, _ value: String?) {
      if let value { facts.append((key, LogText.bounded(value))) }
    }
    add(.reason, event.reason?.rawValue)
    add(.severity, event.severity?.rawValue)
    add(.node, node)
    add(.direction, event.direction.rawValue)
    add(.peer, event.peer?.description)
    add(.caller, event.caller?.description)
    add(.origin, event.origin?.description)
    add(.operationClass, (event.operation?.operationClass ?? event.operationClass)?.name)
    if let operation = event.operation {
      add(.opcode, FieldValue.opcode(operation.opcode).description)
      add(.operation, id(operation).description)
      add(.stamp, "\(operation.stamp)")
      add(.callerReqID, "\(operation.callerReqID)")
      add(.partition, "\(operation.partitionID)")
      add(.extent, "\(operation.extentID)")
      add(.offset, "\(operation.extentOffset)")
    }
    add(.belongsTo, event.owner.map { id($0).description })
    add(.expected, event.expected?.description)
    add(.observed, event.observed?.description)
    add(.action, event.action.rawValue)
    add(.connection, event.connection.map { "\($0)" })
    add(.detail, event.detail)
    return facts
  }

  func id(_ operation: LaneEvent.Operation) -> OperationID { operation.id(in: process) }

  private func comment(_ packet: RecordedPacket, _ side: Evidence.Flow.Side, _ evidence: Evidence, _ event: LaneEvent) -> String {
    var text = "\(packet.summary); \(Self.fate(packet, side))"
    if let reason = packet.reason { text += ": \(reason.rawValue)" }
    if let stamp = packet.stamp {
      let isStray = packet.isReply && stamp == event.owner?.stamp && (packet.verdict == .dropped || packet.verdict == .observed)
      text += "; \(isStray ? "belongs to " : "")operation \(OperationID(process: evidence.process ?? process, stamp: stamp))"
    }
    return text
  }

  private static func fate(_ packet: RecordedPacket, _ side: Evidence.Flow.Side) -> String {
    switch packet.verdict {
    case .forwarded:
      switch (packet.isReply, side) {
      case (false, .caller): "accepted"
      case (false, .peer): "sent"
      case (true, .peer): "accepted"
      case (true, .caller): "passed on to the caller"
      }
    case .dropped: packet.isReply ? "dropped" : "refused"
    case .observed: "wrong, and passed on (observe mode)"
    case .cutOff: "cut off before its end"
    case .ours: "written by Lanekeeper"
    case .withheld: "withheld"
    }
  }

  /// A value must not look like the next line.
  private static func oneLine(_ text: String) -> String {
    String(decoding: text.utf8.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
  }
}
