internal import Glibc

/// Writes small files into a bounded directory without ever holding up the one who hands them over: a bounded queue, and a thread of
/// its own. Each file appears under its name whole, synchronised and with mode 0600, or not at all.
public final class EvidenceWriter: Sendable {
  /// Bounds of the directory. The oldest files go first; files of other names are never touched.
  public struct Bounds: Sendable, Equatable {
    /// Most files.
    public var files: Int
    /// Most bytes of all files together.
    public var bytes: Int
    /// How old a file may become, nanoseconds.
    public var age: Nanoseconds

    /// Those bounds.
    public init(files: Int, bytes: Int, age: Nanoseconds) {
      self.files = files
      self.bytes = bytes
      self.age = age
    }
  }

  /// Files since the start.
  public struct Counters: Sendable, Equatable {
    /// Files that are, or were, there under their names.
    public var written: UInt64 = 0
    /// Files that could not be written.
    public var failed: UInt64 = 0
    /// Files that found the queue full.
    public var refused: UInt64 = 0
    /// Files that were removed to keep the bounds.
    public var removed: UInt64 = 0

    /// Zeros.
    public init() {}
  }

  /// How things stand.
  public struct Status: Sendable, Equatable {
    /// Counts since the start.
    public var counters = Counters()
    /// Why the last attempt failed; nil where it did not.
    public var failure: SystemFailure?

    /// Nothing has happened.
    public init() {}
  }

  /// Most files that may wait.
  public static let queueLimit = 32

  private let queue: EvidenceQueue

  /// Starts the thread, which makes the directory where it is missing (mode 0700; the one above it must be there), removes what a crash
  /// has left half-written, and removes what is too old once a minute. A directory that cannot be used is no error here: see `status`.
  /// - Parameters:
  ///   - directory: its path.
  ///   - suffix: how the names of all files end that belong to this writer.
  public init(directory: String, suffix: String, bounds: Bounds) throws(SystemFailure) {
    queue = EvidenceQueue(EvidenceDirectory(path: directory, suffix: suffix, bounds: bounds))
    try DetachedThread.start { [queue] in queue.work() }
  }

  deinit { queue.close() }

  /// Queues a file. Never waits. False where the queue is full or closed.
  /// - Parameter name: without a slash, ends with the suffix; a file of that name is replaced.
  @discardableResult
  public func write(_ bytes: [UInt8], as name: String) -> Bool { queue.append(name, bytes) }

  /// How things stand.
  public var status: Status { queue.status }

  /// Waits until all that was queued before was written or has failed. False where the time ran out.
  @discardableResult
  public func flush(timeout: Nanoseconds) -> Bool { queue.flush(timeout) }

  /// Takes no more files and waits, at most this long, for the queued ones. False where some may be lost.
  @discardableResult
  public func close(timeout: Nanoseconds = 2_000_000_000) -> Bool {
    queue.close()
    return queue.flush(timeout)
  }
}
