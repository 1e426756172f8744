/// How an operation ended. Each has exactly one: operations in = the sum of these (G8).
public enum Outcome: UInt8, Sendable, CaseIterable {
  /// Every reply due reached the caller's socket.
  case delivered
  /// The caller got an error reply: the peer's, or ours.
  case errorReply
  /// The caller's connection was reset.
  case reset
  /// The caller left first.
  case abandoned
  /// Nothing was due.
  case noneDue

  /// The name in logs and metrics.
  public var name: String {
    switch self {
    case .delivered: "delivered"
    case .errorReply: "errorReply"
    case .reset: "reset"
    case .abandoned: "abandoned"
    case .noneDue: "noneDue"
    }
  }
}

/// Counts operations by class and outcome.
public struct Accounting: Sendable, Equatable {
  private var starts = [UInt64](repeating: 0, count: OperationClass.allCases.count)
  private var ends = [UInt64](repeating: 0, count: OperationClass.allCases.count * Outcome.allCases.count)

  /// Nothing counted.
  public init() {}

  /// One more operation of that class has begun.
  public mutating func begin(_ operationClass: OperationClass) { starts[Int(operationClass.rawValue)] += 1 }

  /// An operation of that class that began will begin anew.
  public mutating func takeBack(_ operationClass: OperationClass) { starts[Int(operationClass.rawValue)] -= 1 }

  /// One of that class has ended so.
  public mutating func end(_ operationClass: OperationClass, _ outcome: Outcome) {
    ends[Int(operationClass.rawValue) * Outcome.allCases.count + Int(outcome.rawValue)] += 1
  }

  /// Operations of that class begun.
  public func started(_ operationClass: OperationClass) -> UInt64 { starts[Int(operationClass.rawValue)] }

  /// Operations of that class ended so.
  public func ended(_ operationClass: OperationClass, _ outcome: Outcome) -> UInt64 {
    ends[Int(operationClass.rawValue) * Outcome.allCases.count + Int(outcome.rawValue)]
  }

  /// Both counts together.
  public static func + (left: Accounting, right: Accounting) -> Accounting {
    var sum = left
    for index in sum.starts.indices { sum.starts[index] &+= right.starts[index] }
    for index in sum.ends.indices { sum.ends[index] &+= right.ends[index] }
    return sum
  }

  /// Operations begun, all classes.
  public var started: UInt64 { starts.reduce(0, +) }

  /// Operations ended so, all classes.
  public func ended(_ outcome: Outcome) -> UInt64 { OperationClass.allCases.reduce(0) { $0 + ended($1, outcome) } }

  /// Operations begun and not ended.
  public var unfinished: UInt64 { started &- ends.reduce(0, +) }
}
