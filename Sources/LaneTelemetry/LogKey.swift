/// Every key of a log line, in the order in which they are written. A key whose value is not known is absent.
///
/// The raw values are stable: alerts and dashboards are built on them. `stamp` and `callerReqID` are strings of decimal digits
/// because they use all 63 bits, and readers that hold numbers as doubles (jq, JavaScript) would round them above 2^53.
/// Partition, extent and offset are numbers: CubeFS counts them from small values.
public enum LogKey: String, Sendable, CaseIterable {
  case ts, level, event, reason, alert, severity, node, direction, peer, caller, origin
  case operationClass = "class"
  case opcode, operation, stamp, callerReqID, partition, extent, offset, conflictsWith, belongsTo, expected, observed, action, outcome,
    durationMicroseconds
  case connection, detail, evidence
  case started, delivered, errorReply, reset, abandoned, noneDue, unfinished, classes, inbound
  case dropped, failed, folded, foldedKey

  /// What a key's row of the table says.
  public struct Documentation: Sendable {
    /// What the value is.
    public var meaning: String
    /// Its JSON type, and its unit or form.
    public var format: String
    /// A value as it stands in a line.
    public var example: String
  }

  /// The key's row of the table.
  public var documentation: Documentation {
    func row(_ meaning: String, _ format: String, _ example: String) -> Documentation {
      Documentation(meaning: meaning, format: format, example: example)
    }
    switch self {
    case .ts: return row("When the line was made", "string, RFC 3339, UTC, microseconds", "\"2026-11-23T04:05:06.123456Z\"")
    case .level: return row("How urgent the line is", "string: debug, info, warning, error", "\"error\"")
    case .event: return row("What happened", "string, closed set", "\"reply.dropped\"")
    case .reason: return row("Why", "string, closed set", "\"partition-mismatch\"")
    case .alert: return row("The alert's code, which is the event's; only where the event is an alert", "string", "\"reply.dropped\"")
    case .severity: return row("The alert's severity", "string: warning, critical", "\"critical\"")
    case .node: return row("The configured name of this node", "string", "\"datanode-1\"")
    case .direction:
      return row(
        "From the local datanode to its peers, the other way, or through a tunnel", "string: outbound, inbound, tunnel", "\"outbound\"")
    case .peer: return row("The remote datanode; inbound: the local one", "string, address:port", "\"192.0.2.7:17310\"")
    case .caller: return row("The other end of the caller's connection", "string, address:port", "\"192.0.2.1:41952\"")
    case .origin:
      return row(
        "The caller on its own host, as the sidecar there says over TLS: the one for which it made this connection, which may serve others later",
        "string, address:port", "\"192.0.2.9:50112\"")
    case .operationClass: return row("The operation's class", "string, closed set", "\"repair-stream\"")
    case .opcode: return row("The request's opcode, by its CubeFS name", "string", "\"OpExtentRepairRead\"")
    case .operation:
      return row(
        "The operation's id, unique in the cluster, and the same in both logs between two sidecars with TLS", "string, UUIDv8",
        "\"6b1f0a52-9c3d-8e01-8f55-000000000007\"")
    case .stamp: return row("What stood in ReqID between Lanekeeper and the peer", "string of decimal digits", "\"4611686018427387905\"")
    case .callerReqID: return row("What the caller had put into ReqID", "string of decimal digits, may be negative", "\"17\"")
    case .partition: return row("PartitionID of the request", "number", "12")
    case .extent: return row("ExtentID of the request", "number", "1025")
    case .offset: return row("ExtentOffset of the request", "number, bytes", "131072")
    case .conflictsWith:
      return row(
        "The id of the earlier operation that this one conflicts with", "string, UUIDv8", "\"6b1f0a52-9c3d-8e01-8f55-000000000008\"")
    case .belongsTo:
      return row(
        "The operation to which the stray reply belongs, where that is known and another one", "string, UUIDv8",
        "\"6b1f0a52-9c3d-8e01-8f55-000000000003\"")
    case .expected: return row("What a correct reply has there", "string, bounded", "\"12\"")
    case .observed: return row("What was found there", "string, bounded", "\"13\"")
    case .action: return row("What Lanekeeper did about it", "string, closed set", "\"error-reply\"")
    case .outcome: return row("How the operation ended", "string, closed set", "\"errorReply\"")
    case .durationMicroseconds: return row("From the request's header to the operation's end", "number, microseconds", "5312")
    case .connection: return row("The number of the caller's connection in this process", "number", "42")
    case .detail: return row("A sentence for the operator", "string, bounded", "\"connect: Connection refused\"")
    case .evidence:
      return row(
        "The file in recorder.directory with the packets that led to it; lanekeeper explain tells its story", "string, a file's name",
        "\"20261123T040506.123456Z_reply.dropped_6b1f0a52-9c3d-8e01-8f55-000000000007.pcapng\"")
    case .started: return row("accounting: operations begun", "number", "1000")
    case .delivered: return row("accounting: operations whose replies all reached the caller", "number", "990")
    case .errorReply: return row("accounting: operations that ended in an error reply", "number", "5")
    case .reset: return row("accounting: operations that ended in a reset of the caller's connection", "number", "2")
    case .abandoned: return row("accounting: operations that the caller gave up", "number", "2")
    case .noneDue: return row("accounting: operations that no reply was due to", "number", "1")
    case .unfinished: return row("accounting: operations begun and not ended; 0 unless something is wrong", "number", "0")
    case .classes:
      return row(
        "accounting: the same counts for each class that had operations", "object of class name to object of counts",
        "{\"read\":{\"started\":1,\"delivered\":1,\"errorReply\":0,\"reset\":0,\"abandoned\":0,\"noneDue\":0}}")
    case .inbound:
      return row(
        "accounting: the counts of the inbound direction alone; the others are of both together", "object of counts",
        "{\"started\":1,\"delivered\":1,\"errorReply\":0,\"reset\":0,\"abandoned\":0,\"noneDue\":0,\"unfinished\":0}")
    case .dropped: return row("log.lost: lines that found the log's queue full, since the start", "number", "3")
    case .failed: return row("log.lost: lines lost to failed writes, since the start", "number", "7")
    case .folded: return row("How many more such events there were that got no line; the line shows the last one", "number", "1980")
    case .foldedKey: return row("Present where the folded events differ in event, reason, peer or class", "string: other", "\"other\"")
    }
  }
}
