/// One thing that is wrong, or doubtful, in a configuration.
public struct ConfigurationIssue: Sendable, Equatable {
  /// Whether the configuration can be used.
  public enum Severity: Sendable {
    /// It cannot.
    case error
    /// It can; a look is advised.
    case warning
  }

  /// Whether the configuration can be used.
  public var severity: Severity = .error
  /// The key, as in `outbound.listeners[1].peer`; empty where the text as a whole is meant.
  public var path: String
  /// Line in the text, from 1.
  public var line: Int
  /// What is wrong.
  public var message: String
  /// The offending value, bounded and escaped; nil where there is none.
  public var got: String?
  /// What would be right; nil where the message says it.
  public var allowed: String?
}

extension ConfigurationIssue: CustomStringConvertible {
  /// `KEYPATH: message (got VALUE; allowed ...)` without the line. A warning says so.
  public var description: String {
    let details = [got.map { "got \($0)" }, allowed.map { "allowed \($0)" }].compactMap { $0 }.joined(separator: "; ")
    return (path.isEmpty ? "" : "\(path): ") + (severity == .warning ? "warning: " : "") + message
      + (details.isEmpty ? "" : " (\(details))")
  }
}

/// Collects issues, each once, up to a bound.
struct ConfigurationIssueList {
  /// Most issues that are kept: more help nobody.
  static let limit = 200

  private(set) var issues: [ConfigurationIssue] = []
  private var dropped = 0

  /// True where further issues are only counted.
  var isFull: Bool { issues.count >= Self.limit }

  /// Takes one more.
  mutating func add(_ issue: ConfigurationIssue) {
    if isFull {
      dropped += 1
    } else if !issues.contains(issue) {
      issues.append(issue)
    }
  }

  /// True where one of them forbids the use.
  var hasErrors: Bool { dropped > 0 || issues.contains { $0.severity == .error } }

  /// All in the order of the text; a last one tells how many were left out.
  var sorted: [ConfigurationIssue] {
    let ordered = issues.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(\.element)
    guard dropped > 0, let last = ordered.last else { return ordered }
    return ordered + [ConfigurationIssue(path: "", line: last.line, message: "\(dropped) more issues are not shown")]
  }
}
