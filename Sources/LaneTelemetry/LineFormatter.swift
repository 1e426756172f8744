internal import LaneCore
internal import LaneJSON
internal import LinuxIO
internal import NetEndpoint

/// Makes one line of JSON of an event. Its buffers keep their capacity from one line to the next.
struct LineFormatter {
  /// What stands in a line beside the event.
  struct Extra {
    var folded: UInt64?
    var foldedKey: String?
    var lost: LogWriter.Counters?
  }

  let node: String
  let process: UInt64
  /// Each line begins with its priority, for the journal (sd-daemon(3)): the journal takes it off again.
  private let hasPriority: Bool
  private var json = JSONWriter()
  private(set) var line: [UInt8] = []

  init(node: String, process: UInt64, hasPriority: Bool = false) {
    self.node = LogText.bounded(node)
    self.process = process
    self.hasPriority = hasPriority
  }

  /// Leaves the event's line, newline included, in `line`.
  mutating func format(_ event: LaneEvent, at nanoseconds: UInt64, extra: Extra) {
    let (node, process) = (self.node, self.process)
    json.removeAll()
    json.object { json in
      json.member(.ts, Timestamp.text(nanoseconds: nanoseconds))
      json.member(.level, event.level.rawValue)
      json.member(.event, event.name.rawValue)
      if let reason = event.reason { json.member(.reason, reason.rawValue) }
      if let severity = event.severity {
        json.member(.alert, event.name.rawValue)
        json.member(.severity, severity.rawValue)
      }
      json.member(.node, node)
      if Self.hasDirection(event.name) { json.member(.direction, event.direction.rawValue) }
      if let peer = event.peer { json.member(.peer, peer.description) }
      if let caller = event.caller { json.member(.caller, caller.description) }
      if let origin = event.origin { json.member(.origin, origin.description) }
      Self.writeOperation(event, process, &json)
      if let other = event.conflictsWith { json.member(.conflictsWith, other.id(in: process).description) }
      if let owner = event.owner { json.member(.belongsTo, owner.id(in: process).description) }
      if let expected = event.expected { json.member(.expected, LogText.bounded(expected.description)) }
      if let observed = event.observed { json.member(.observed, LogText.bounded(observed.description)) }
      json.member(.action, event.action.rawValue)
      if let outcome = event.outcome { json.member(.outcome, outcome.name) }
      if let duration = event.duration { json.member(.durationMicroseconds, duration / 1000) }
      if let connection = event.connection { json.member(.connection, connection) }
      if let detail = event.detail { json.member(.detail, LogText.bounded(detail)) }
      if let evidence = event.evidence { json.member(.evidence, LogText.bounded(evidence)) }
      if let accounting = event.accounting { Self.write(accounting, &json) }
      if let inbound = event.inboundAccounting {
        json.key(LogKey.inbound.rawValue)
        json.object { json in Self.writeCounts(inbound, &json) }
      }
      if let lost = extra.lost {
        json.member(.dropped, lost.dropped)
        json.member(.failed, lost.failed)
      }
      if let folded = extra.folded { json.member(.folded, folded) }
      if let foldedKey = extra.foldedKey { json.member(.foldedKey, foldedKey) }
    }
    line.removeAll(keepingCapacity: true)
    if hasPriority { line.append(contentsOf: [UInt8(ascii: "<"), event.level.priority, UInt8(ascii: ">")]) }
    line.append(contentsOf: json.bytes)
    line.append(UInt8(ascii: "\n"))
  }

  private static func hasDirection(_ name: LaneEvent.Name) -> Bool {
    switch name {
    case .started, .draining, .stopped, .accounting, .metricsOpened, .logLost, .recorderFailed, .recorderRecovered: false
    default: true
    }
  }

  private static func writeOperation(_ event: LaneEvent, _ process: UInt64, _ json: inout JSONWriter) {
    if let operationClass = event.operation?.operationClass ?? event.operationClass { json.member(.operationClass, operationClass.name) }
    guard let operation = event.operation else { return }
    json.member(.opcode, FieldValue.opcode(operation.opcode).description)
    json.member(.operation, operation.id(in: process).description)
    json.member(.stamp, String(operation.stamp))
    json.member(.callerReqID, String(operation.callerReqID))
    json.member(.partition, operation.partitionID)
    json.member(.extent, operation.extentID)
    json.member(.offset, operation.extentOffset)
  }

  private static func write(_ accounting: Accounting, _ json: inout JSONWriter) {
    writeCounts(accounting, &json)
    json.key(LogKey.classes.rawValue)
    json.object { json in
      for operationClass in OperationClass.allCases where accounting.started(operationClass) != 0 {
        json.key(operationClass.name)
        json.object { json in
          json.member(.started, accounting.started(operationClass))
          for outcome in Outcome.allCases { json.member(key(outcome), accounting.ended(operationClass, outcome)) }
        }
      }
    }
  }

  private static func writeCounts(_ accounting: Accounting, _ json: inout JSONWriter) {
    json.member(.started, accounting.started)
    for outcome in Outcome.allCases { json.member(key(outcome), accounting.ended(outcome)) }
    json.member(.unfinished, accounting.unfinished)
  }

  private static func key(_ outcome: Outcome) -> LogKey {
    switch outcome {
    case .delivered: .delivered
    case .errorReply: .errorReply
    case .reset: .reset
    case .abandoned: .abandoned
    case .noneDue: .noneDue
    }
  }
}

// A line's keys come from the documented table only.
extension JSONWriter {
  fileprivate mutating func member(_ key: LogKey, _ value: String) { member(key.rawValue, value) }
  fileprivate mutating func member(_ key: LogKey, _ value: some BinaryInteger) { member(key.rawValue, value) }
}
