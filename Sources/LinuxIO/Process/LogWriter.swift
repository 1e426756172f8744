internal import CLinux
internal import Glibc

/// A sink for log lines that never blocks the one who writes: a bounded queue, and a thread of its own that empties it into a descriptor.
///
/// A full queue drops the line and counts it. A failed write (disk full, closed pipe) drops what was being written, counts its lines and goes on.
/// Call `ProcessControls.ignoreSIGPIPE()` first where the destination can be a pipe.
public final class LogWriter: Sendable {
  /// Where the lines go.
  public enum Destination: Sendable {
    /// An open descriptor, which stays the caller's.
    case descriptor(Int32)
    /// A file, opened for appending with mode 0640, and made where it does not exist.
    case file(String)
  }

  /// Lines and bytes since the start. lines written = taken - failed - still queued.
  public struct Counters: Sendable, Equatable {
    /// Lines accepted into the queue.
    public var taken: UInt64 = 0
    /// Lines refused because the queue was full or closed.
    public var dropped: UInt64 = 0
    /// Lines accepted and then lost to a failed write.
    public var failed: UInt64 = 0

    /// Given counts, zeros by default.
    public init(taken: UInt64 = 0, dropped: UInt64 = 0, failed: UInt64 = 0) {
      self.taken = taken
      self.dropped = dropped
      self.failed = failed
    }
  }

  private let queue: LogQueue

  /// Opens the destination and starts the thread. `capacity` is the bytes that may wait; the last `reserve` of them are for
  /// lines that matter most.
  public init(_ destination: Destination, capacity: Int = 1024 * 1024, reserve: Int = 0) throws(SystemFailure) {
    var descriptor: Int32
    var path: String?
    switch destination {
    case .descriptor(let open): descriptor = open
    case .file(let name):
      descriptor = try LogWriter.open(name)
      path = name
    }
    queue = LogQueue(descriptor: descriptor, path: path, capacity: max(1, capacity), reserve: min(max(0, reserve), max(1, capacity)))
    try DetachedThread.start { [queue] in queue.work() }
  }

  deinit { queue.close() }

  static func open(_ path: String) throws(SystemFailure) -> Int32 {
    try check(.open, path.withCString { clinux_open_append($0, 0o640) })
  }

  /// Queues one whole line, its newline included. Never waits for the destination. False where it was dropped.
  /// - Parameter mayUseReserve: the line may take the room that is kept from others.
  @discardableResult
  public func write(_ line: UnsafeRawBufferPointer, mayUseReserve: Bool = false) -> Bool {
    queue.append(line, mayUseReserve: mayUseReserve)
  }

  /// What has happened so far.
  public var counters: Counters { queue.snapshot }
  /// Lines refused because the queue was full.
  public var dropped: UInt64 { counters.dropped }
  /// Lines lost to failed writes.
  public var failed: UInt64 { counters.failed }
  /// The newest failure of a write or a reopening, nil where there was none.
  public var lastFailure: SystemFailure? { queue.newestFailure }

  /// Opens the file again under its name, after it was moved away. The thread does it before its next line; where it fails, the old file stays in use.
  public func reopen() { queue.reopen() }

  /// Waits until everything queued before the call was written or failed. False where the time ran out.
  @discardableResult
  public func flush(timeout: Nanoseconds) -> Bool { queue.flush(timeout) }

  /// Takes no more lines and waits, at most this long, for the queued ones to go out. False where some may be lost.
  @discardableResult
  public func close(timeout: Nanoseconds = 2_000_000_000) -> Bool {
    queue.close()
    return queue.flush(timeout)
  }
}
