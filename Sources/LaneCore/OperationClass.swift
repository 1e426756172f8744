/// Operations that may share an upstream connection, one after the other. Different classes never do (G2).
public enum OperationClass: UInt8, Sendable, CaseIterable {
  /// Reads that rebuild an extent: many replies to one request.
  case repairStream
  /// The conversation around a repair: watermarks, notifications, applied ids, sizes.
  case repairControl
  /// Marking and deleting extents.
  case deletion
  /// Leader to follower: create, write.
  case replication
  /// Reads by clients and flashnodes.
  case read
  /// The master's tasks.
  case admin
  /// What the catalogue does not know.
  case other

  /// The name in configuration, logs and metrics: `repair-stream` and so on.
  public var name: String {
    switch self {
    case .repairStream: "repair-stream"
    case .repairControl: "repair-control"
    case .deletion: "deletion"
    case .replication: "replication"
    case .read: "read"
    case .admin: "admin"
    case .other: "other"
    }
  }

  /// The class of that name; nil for any other text.
  public init?(name: some StringProtocol) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }
}
