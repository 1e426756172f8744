internal import LaneCore
internal import LaneJSON

/// The JSON Schema of a log line (https://json-schema.org/draft/2020-12), of this version of the program: made of the same sets as
/// the lines are, so that it knows every key, event, reason and alert, and nothing else.
public enum LogSchema {
  /// The schema, one JSON text.
  public static var text: String {
    var writer = JSONWriter()
    writer.object {
      $0.member("$schema", "https://json-schema.org/draft/2020-12/schema")
      $0.member("title", "A line of Lanekeeper's log")
      $0.member("description", "One JSON object. Lines with `alert` are for an operator: `lanekeeper alerts explain CODE`.")
      $0.member("type", "object")
      $0.key("properties")
      $0.object { properties in
        for key in LogKey.allCases {
          properties.key(key.rawValue)
          properties.object {
            let documentation = key.documentation
            $0.member("description", "\(documentation.meaning) (\(documentation.format))")
            Shape.of(key).write(&$0)
          }
        }
      }
      array("required", [.ts, .level, .event, .node, .action], &$0)
      $0.member("additionalProperties", false)
      $0.key("dependentRequired")
      $0.object {
        array(LogKey.alert.rawValue, [.severity], &$0)
        array(LogKey.severity.rawValue, [.alert], &$0)
        let operation: [LogKey] = [.operationClass, .opcode, .operation, .stamp, .callerReqID, .partition, .extent, .offset]
        for key in operation where key != .operationClass { array(key.rawValue, operation.filter { $0 != key }, &$0) }
        array(LogKey.foldedKey.rawValue, [.folded], &$0)
        array(LogKey.dropped.rawValue, [.failed], &$0)
      }
      $0.key("allOf")
      $0.array { rules in
        rules.object {
          condition(.severity, LaneEvent.Severity.critical.rawValue, &$0)
          $0.key("then")
          $0.object { constant(.level, LogLevel.error.rawValue, &$0) }
          $0.key("else")
          $0.object {
            $0.key("not")
            $0.object {
              constant(.level, LogLevel.error.rawValue, &$0)
            }
          }
        }
        for name in LaneEvent.Name.allCases { rules.object { rule(name, &$0) } }
      }
    }
    return writer.text
  }

  /// What else holds for lines of that event.
  private static func rule(_ name: LaneEvent.Name, _ rule: inout JSONWriter) {
    condition(.event, name.rawValue, &rule)
    let reasons = Reason.allCases.filter { name.bears($0) }.map(\.rawValue)
    let severities = name.severities.map(\.rawValue)
    rule.key("then")
    rule.object {
      if name.isAlwaysAnAlert { array("required", [.alert], &$0) }
      $0.key("properties")
      $0.object {
        // `false` allows no value: the key must be absent.
        $0.key(LogKey.reason.rawValue)
        closed(reasons, &$0)
        $0.key(LogKey.alert.rawValue)
        closed(severities.isEmpty ? [] : [name.rawValue], &$0)
        $0.key(LogKey.severity.rawValue)
        closed(severities, &$0)
      }
    }
  }

  private static func closed(_ values: [String], _ schema: inout JSONWriter) {
    if values.isEmpty { return schema.bool(false) }
    schema.object { Shape.oneOf(values).write(&$0) }
  }

  private static func condition(_ key: LogKey, _ value: String, _ object: inout JSONWriter) {
    object.key("if")
    object.object {
      constant(key, value, &$0)
      array("required", [key], &$0)
    }
  }

  private static func constant(_ key: LogKey, _ value: String, _ object: inout JSONWriter) {
    object.key("properties")
    object.object {
      $0.key(key.rawValue)
      $0.object { $0.member("const", value) }
    }
  }

  private static func array(_ name: String, _ keys: [LogKey], _ object: inout JSONWriter) {
    object.key(name)
    object.array { for key in keys { $0.string(key.rawValue) } }
  }
}

/// What a key's value can be.
private enum Shape {
  case matching(String)
  /// A text of at most so many characters.
  case text(Int)
  case oneOf([String])
  case count
  case integer
  case counts([LogKey])
  case countsOfClasses([LogKey])

  static func of(_ key: LogKey) -> Shape {
    let address = #"^[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]{1,5}$"#
    // `LogText` bounds them, and leaves an ellipsis behind what it cuts.
    let text = Shape.text(LogText.limit + 1)
    let outcomes: [LogKey] = [.started, .delivered, .errorReply, .reset, .abandoned, .noneDue]
    switch key {
    case .ts: return .matching(#"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"#)
    case .level: return .oneOf(LogLevel.allCases.map(\.rawValue))
    case .event: return .oneOf(LaneEvent.Name.allCases.map(\.rawValue))
    case .reason: return .oneOf(Reason.allCases.map(\.rawValue))
    case .alert: return .oneOf(LaneEvent.Name.allCases.filter { !$0.severities.isEmpty }.map(\.rawValue))
    case .severity: return .oneOf(LaneEvent.Severity.allCases.map(\.rawValue))
    case .direction: return .oneOf(LaneEvent.Direction.allCases.map(\.rawValue))
    case .node: return text
    case .peer, .caller, .origin: return .matching(address)
    case .operationClass: return .oneOf(OperationClass.allCases.map(\.name))
    case .opcode: return .matching("^Op[0-9A-Za-z]+$")
    case .operation, .conflictsWith, .belongsTo: return .matching("^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
    case .stamp: return .matching("^[0-9]{1,19}$")
    case .callerReqID: return .matching("^-?[0-9]{1,19}$")
    case .partition, .extent, .connection, .durationMicroseconds, .dropped, .failed, .folded: return .count
    case .offset: return .integer
    case .expected, .observed, .detail: return text
    case .evidence: return .matching(#"^[0-9]{8}T[0-9]{6}\.[0-9]{6}Z_[a-z.-]+_[0-9a-z-]+\.pcapng$"#)
    case .action: return .oneOf(LaneEvent.Action.allCases.map(\.rawValue))
    case .outcome: return .oneOf(Outcome.allCases.map(\.name))
    case .started, .delivered, .errorReply, .reset, .abandoned, .noneDue, .unfinished: return .count
    case .classes: return .countsOfClasses(outcomes)
    case .inbound: return .counts(outcomes + [.unfinished])
    case .foldedKey: return .oneOf(["other"])
    }
  }

  func write(_ schema: inout JSONWriter) {
    switch self {
    case .matching(let pattern):
      schema.member("type", "string")
      schema.member("pattern", pattern)
    case .text(let limit):
      schema.member("type", "string")
      schema.member("maxLength", limit)
    case .oneOf(let values):
      schema.key("enum")
      schema.array { for value in values { $0.string(value) } }
    case .count:
      schema.member("type", "integer")
      schema.member("minimum", 0)
    case .integer: schema.member("type", "integer")
    case .counts(let keys):
      schema.member("type", "object")
      schema.key("properties")
      schema.object { for key in keys { Self.count.member(key.rawValue, &$0) } }
      schema.key("required")
      schema.array { for key in keys { $0.string(key.rawValue) } }
      schema.member("additionalProperties", false)
    case .countsOfClasses(let keys):
      schema.member("type", "object")
      schema.key("properties")
      schema.object { for operationClass in OperationClass.allCases { Self.counts(keys).member(operationClass.name, &$0) } }
      schema.member("additionalProperties", false)
    }
  }

  private func member(_ name: String, _ object: inout JSONWriter) {
    object.key(name)
    object.object { write(&$0) }
  }
}
