/// What one client of the admin port may cost.
public struct AdminLimits: Sendable {
  /// Most connections; one more closes the oldest, so that those who hold connections and ask nothing keep nobody out.
  public var connections = 64
  /// Most bytes of a request's head.
  public var head = 8 * 1024
  /// How long a connection may take to send its request's head, and again to take the answer, seconds.
  public var patience = 5
  /// How long a page waits for its snapshot, milliseconds.
  public var snapshot = 1_000
  /// The least time between two snapshots, milliseconds; requests that come closer share one.
  public var snapshotInterval = 20

  /// The defaults.
  public init() {}
}
