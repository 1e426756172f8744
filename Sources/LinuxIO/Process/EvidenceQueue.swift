internal import CLinux
internal import Glibc

/// The state shared by an `EvidenceWriter` and its thread. The thread holds its own reference: a disk that hangs costs the thread and
/// not the process.
final class EvidenceQueue: @unchecked Sendable {
  private let lock = Lock()
  private let wake = Condition()
  private let idle = Condition()
  /// The thread's own.
  private let directory: EvidenceDirectory

  // Under the lock.
  private var waiting: [(name: String, bytes: [UInt8])] = []
  private var taken: UInt64 = 0
  private var settled: UInt64 = 0
  private var current = EvidenceWriter.Status()
  /// What failed last was a file, and not the directory's upkeep.
  private var failedToWrite = false
  private var closed = false

  /// How often files are looked at for their age.
  private static let interval: Nanoseconds = 60_000_000_000

  init(_ directory: EvidenceDirectory) { self.directory = directory }

  // MARK: Any thread

  func append(_ name: String, _ bytes: [UInt8]) -> Bool {
    lock.withLock {
      guard !closed, waiting.count < EvidenceWriter.queueLimit else {
        current.counters.refused &+= 1
        return false
      }
      waiting.append((name, bytes))
      taken &+= 1
      wake.signal()
      return true
    }
  }

  var status: EvidenceWriter.Status { lock.withLock { current } }

  func close() {
    lock.withLock {
      closed = true
      wake.signal()
    }
  }

  func flush(_ timeout: Nanoseconds) -> Bool {
    let deadline = Condition.Deadline(in: timeout)
    return lock.withLock {
      let wanted = taken
      while settled < wanted {
        if !idle.wait(lock, until: deadline) { return settled >= wanted }
      }
      return true
    }
  }

  // MARK: The thread

  func work() {
    settle(0) { () throws(SystemFailure) in try directory.begin() }
    while true {
      let deadline = Condition.Deadline(in: Self.interval)
      pthread_mutex_lock(lock.mutex)
      while waiting.isEmpty && !closed {
        if !wake.wait(lock, until: deadline) { break }
      }
      let file = waiting.isEmpty ? nil : waiting.removeFirst()
      let isOver = closed && file == nil
      pthread_mutex_unlock(lock.mutex)
      if isOver { return }
      settle(file == nil ? 0 : 1) { () throws(SystemFailure) in
        if let file { return try directory.write(file.bytes, as: file.name) }
        return try directory.keepBounds(room: 0, forOneMore: false)
      }
    }
  }

  /// Runs one step, and takes note of what became of it.
  private func settle(_ files: UInt64, _ step: () throws(SystemFailure) -> Int) {
    var failure: SystemFailure?
    var removed = 0
    do throws(SystemFailure) { removed = try step() } catch { failure = error }
    lock.withLock {
      if let failure {
        current.failure = failure
        failedToWrite = files > 0
      } else if files > 0 || !failedToWrite {
        // That old files can be removed says nothing of new ones.
        current.failure = nil
      }
      current.counters.removed &+= UInt64(removed)
      if failure == nil { current.counters.written &+= files } else { current.counters.failed &+= files }
      settled &+= files
      idle.broadcast()
    }
  }
}
