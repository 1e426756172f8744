internal import CLinux
internal import Glibc

/// The state shared by writers of lines and the log thread: two buffers that change places, so that the thread writes without the lock.
/// The thread holds its own reference: a descriptor that blocks for ever costs the thread and not the process.
final class LogQueue: @unchecked Sendable {
  private let lock = Lock()
  private let wake = Condition()
  private let idle = Condition()
  private let capacity: Int
  private let reserve: Int
  private let path: String?

  // Under the lock.
  private var filling: UnsafeMutableRawBufferPointer
  private var filled = 0
  private var filledLines: UInt64 = 0
  private var counters = LogWriter.Counters()
  private var settled: UInt64 = 0
  private var waiting = false
  private var closed = false
  private var reopenWanted = false
  private var failure: SystemFailure?

  // The thread's own.
  private var descriptor: Int32
  private var emptying: UnsafeMutableRawBufferPointer
  private var torn = false

  init(descriptor: Int32, path: String?, capacity: Int, reserve: Int) {
    self.descriptor = descriptor
    self.path = path
    self.capacity = capacity
    self.reserve = reserve
    filling = .allocate(byteCount: capacity, alignment: 16)
    emptying = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit {
    if path != nil { _ = clinux_close(descriptor) }
    filling.deallocate()
    emptying.deallocate()
  }

  // MARK: Any thread

  func append(_ line: UnsafeRawBufferPointer, mayUseReserve: Bool) -> Bool {
    guard let base = line.baseAddress, line.count > 0 else { return true }
    return lock.withLock {
      guard !closed, line.count <= (mayUseReserve ? capacity : capacity - reserve) - filled, let target = filling.baseAddress else {
        counters.dropped &+= 1
        return false
      }
      (target + filled).copyMemory(from: base, byteCount: line.count)
      filled += line.count
      filledLines &+= 1
      counters.taken &+= 1
      if waiting { wake.signal() }
      return true
    }
  }

  var snapshot: LogWriter.Counters { lock.withLock { counters } }
  var newestFailure: SystemFailure? { lock.withLock { failure } }

  func reopen() {
    lock.withLock {
      reopenWanted = path != nil
      wake.signal()
    }
  }

  func close() {
    lock.withLock {
      closed = true
      wake.signal()
    }
  }

  func flush(_ timeout: Nanoseconds) -> Bool {
    let deadline = Condition.Deadline(in: timeout)
    return lock.withLock {
      let wanted = counters.taken
      while settled < wanted {
        if !idle.wait(lock, until: deadline) { return settled >= wanted }
      }
      return true
    }
  }

  // MARK: The log thread

  func work() {
    while true {
      pthread_mutex_lock(lock.mutex)
      waiting = true
      while filled == 0 && !closed && !reopenWanted { wake.wait(lock) }
      waiting = false
      let reopening = reopenWanted
      reopenWanted = false
      let bytes = filled
      let lines = filledLines
      filled = 0
      filledLines = 0
      swap(&filling, &emptying)
      let ended = closed
      pthread_mutex_unlock(lock.mutex)

      // The lines taken in this round were written before the file was moved, or at the same time: either file may have them.
      let reopenFailure = reopening ? openAgain() : nil
      let outcome = writeOut(UnsafeRawBufferPointer(rebasing: emptying[..<bytes]))
      lock.withLock {
        settled &+= lines
        counters.failed &+= outcome.lostLines
        if let newest = outcome.failure ?? reopenFailure { failure = newest }
        idle.broadcast()
      }
      if ended && bytes == 0 { return }
    }
  }

  private func openAgain() -> SystemFailure? {
    guard let path else { return nil }
    do {
      let fresh = try LogWriter.open(path)
      _ = clinux_close(descriptor)
      descriptor = fresh
      torn = false
      return nil
    } catch {
      return error
    }
  }

  /// Writes all of it, or counts the lines that did not go out whole.
  private func writeOut(_ bytes: UnsafeRawBufferPointer) -> (lostLines: UInt64, failure: SystemFailure?) {
    guard bytes.count > 0, let base = bytes.baseAddress else { return (0, nil) }
    if torn {
      // The piece of a line that an earlier failure left behind must not run into the next line.
      var newline = UInt8(ascii: "\n")
      torn = clinux_write(descriptor, &newline, 1) != 1
    }
    var done = 0
    while done < bytes.count {
      let count = clinux_write(descriptor, base + done, bytes.count - done)
      if count > 0 {
        done += count
      } else if count == -Int(EAGAIN) {
        _ = clinux_wait_writable(descriptor, 1000)
      } else {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        if done > 0 && bytes[done - 1] != UInt8(ascii: "\n") { torn = true }
        let lost = rest.reduce(into: UInt64(0)) { lines, byte in lines &+= byte == UInt8(ascii: "\n") ? 1 : 0 }
        return (lost, SystemFailure(.write, count == 0 ? EIO : Int32(-count)))
      }
    }
    return (0, nil)
  }
}
