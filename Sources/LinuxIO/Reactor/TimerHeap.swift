/// A 4-ary heap of timers by the time at which they are to be looked at, which is never later than their deadline.
final class TimerHeap {
  private struct Entry {
    var key: Nanoseconds
    var timer: Unmanaged<ReactorTimer>
  }

  @exclusivity(unchecked) private var entries: UnsafeMutablePointer<Entry>
  @exclusivity(unchecked) private var capacity = 16
  @exclusivity(unchecked) private(set) var count = 0

  init() { entries = .allocate(capacity: capacity) }

  deinit { entries.deallocate() }

  @inline(__always)
  func key(at position: Int) -> Nanoseconds { entries[position].key }

  /// Nanoseconds until the first entry wants to be looked at, as epoll takes them: negative is for ever.
  @inline(__always)
  func wait(from now: Nanoseconds, atMost limit: Nanoseconds) -> Int64 {
    let span = count == 0 ? limit : min(limit, entries[0].key > now ? entries[0].key - now : 0)
    return span > Nanoseconds(Int64.max) ? -1 : Int64(span)
  }

  func insert(_ timer: ReactorTimer) {
    if count == capacity { grow() }
    count += 1
    siftUp(Entry(key: timer.due, timer: .passUnretained(timer)), from: count - 1)
  }

  /// Moves an entry to its timer's deadline, which is earlier than its key.
  func advance(_ timer: ReactorTimer) {
    siftUp(Entry(key: timer.due, timer: .passUnretained(timer)), from: timer.position)
  }

  func remove(_ timer: ReactorTimer) {
    let position = timer.position
    guard position != ReactorTimer.notQueued else { return }
    timer.position = ReactorTimer.notQueued
    count -= 1
    guard position < count else { return }
    let last = entries[count]
    if position > 0 && entries[(position - 1) / 4].key > last.key {
      siftUp(last, from: position)
    } else {
      siftDown(last, from: position)
    }
  }

  /// Runs what is due. Entries that a running action adds wait for the next turn at the latest: the pass has a bound.
  /// True where an action was taken.
  @inline(__always)
  func fire(upTo now: Nanoseconds) -> Bool {
    count > 0 && entries[0].key <= now ? fireDue(now) : false
  }

  private func fireDue(_ now: Nanoseconds) -> Bool {
    var budget = count * 2
    var fired = false
    while budget > 0, count > 0, entries[0].key <= now {
      budget -= 1
      let timer = entries[0].timer.takeUnretainedValue()
      if timer.due == ReactorTimer.never {
        remove(timer)
      } else if timer.due > entries[0].key {
        // Armed again since it was queued. It is put back even where it is due by now: others may come before it.
        siftDown(Entry(key: timer.due, timer: .passUnretained(timer)), from: 0)
      } else {
        remove(timer)
        timer.due = ReactorTimer.never
        timer.action()
        fired = true
      }
    }
    return fired
  }

  private func place(_ entry: Entry, at position: Int) {
    entries[position] = entry
    entry.timer._withUnsafeGuaranteedRef { $0.position = position }
  }

  private func siftUp(_ entry: Entry, from start: Int) {
    var position = start
    while position > 0 {
      let parent = (position - 1) / 4
      if entries[parent].key <= entry.key { break }
      place(entries[parent], at: position)
      position = parent
    }
    place(entry, at: position)
  }

  private func siftDown(_ entry: Entry, from start: Int) {
    var position = start
    while true {
      let first = position * 4 + 1
      if first >= count { break }
      var smallest = first
      for child in (first + 1)..<min(first + 4, count) where entries[child].key < entries[smallest].key {
        smallest = child
      }
      if entries[smallest].key >= entry.key { break }
      place(entries[smallest], at: position)
      position = smallest
    }
    place(entry, at: position)
  }

  private func grow() {
    let memory = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
    memory.moveInitialize(from: entries, count: count)
    entries.deallocate()
    entries = memory
    capacity *= 2
  }
}
