public import LaneCore

/// How much the log tells: every level includes those after it.
public enum LogLevel: String, Sendable, CaseIterable, Comparable {
  /// Each operation and each ordinary retirement.
  case debug
  /// What changes state, and each operation that failed.
  case info
  /// Alerts to look at by day.
  case warning
  /// Alerts to wake somebody for.
  case error

  private var rank: Int {
    switch self {
    case .debug: 0
    case .info: 1
    case .warning: 2
    case .error: 3
    }
  }

  /// The digit of the level's syslog priority: debug, informational, warning, critical.
  var priority: UInt8 {
    switch self {
    case .debug: UInt8(ascii: "7")
    case .info: UInt8(ascii: "6")
    case .warning: UInt8(ascii: "4")
    case .error: UInt8(ascii: "2")
    }
  }

  /// Debug first.
  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }
}

extension LaneEvent {
  /// The level of the event's line.
  public var level: LogLevel {
    switch severity {
    case .critical: .error
    case .warning: .warning
    case nil: name == .operationFinished || isOrdinaryRetirement ? .debug : .info
    }
  }

  /// The end that every upstream connection comes to on a good day.
  private var isOrdinaryRetirement: Bool {
    guard name == .upstreamRetired else { return false }
    switch reason {
    case .singleUse, .idleTimeout, .maxLifetime, .reconfigured, .errorReply, .peerClosed, .shutdown: return true
    default: return false
    }
  }
}
