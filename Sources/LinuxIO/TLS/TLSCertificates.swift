/// The generation of certificates in force, for all reactors. A connection keeps the one that it began with.
public final class TLSCertificates: Sendable {
  private let lock = Lock()
  nonisolated(unsafe) private var context: TLSContext

  /// These are in force.
  public init(_ context: TLSContext) { self.context = context }

  /// Those in force.
  public var current: TLSContext { lock.withLock { context } }

  /// These are in force from now on.
  public func replace(with context: TLSContext) { lock.withLock { self.context = context } }
}
