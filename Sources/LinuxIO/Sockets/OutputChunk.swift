internal import CLinux

/// Output that a socket would not take, in a chain of fixed chunks. A connection without pending output holds none.
struct OutputChain {
  typealias Chunk = UnsafeMutablePointer<OutputChunk>
  private(set) var count = 0
  private var first: Chunk?
  private var last: Chunk?

  mutating func append(_ bytes: UnsafeRawBufferPointer, _ pool: OutputChunkPool) {
    guard var source = bytes.baseAddress else { return }
    var left = bytes.count
    count += left
    while left > 0 {
      let chunk: Chunk
      if let last, last.pointee.end < OutputChunk.capacity {
        chunk = last
      } else {
        chunk = pool.take()
        if let last { last.pointee.next = chunk } else { first = chunk }
        last = chunk
      }
      let room = min(left, OutputChunk.capacity - chunk.pointee.end)
      (OutputChunk.bytes(of: chunk) + chunk.pointee.end).copyMemory(from: source, byteCount: room)
      chunk.pointee.end += room
      source += room
      left -= room
    }
  }

  /// One system call for as much as it will take: the bytes written, or a negative errno.
  func write(to fd: Int32) -> Int {
    withUnsafeTemporaryAllocation(of: clinux_span.self, capacity: Int(CLINUX_SPANS_MAX)) { spans in
      var used = 0
      var next = first
      while let chunk = next, used < spans.count {
        let start = chunk.pointee.start
        spans.initializeElement(
          at: used, to: clinux_span(base: OutputChunk.bytes(of: chunk) + start, count: chunk.pointee.end - start))
        used += 1
        next = chunk.pointee.next
      }
      return clinux_send_spans(fd, spans.baseAddress, Int32(used))
    }
  }

  /// Forgets the first bytes, which the kernel has taken.
  mutating func consume(_ bytes: Int, _ pool: OutputChunkPool) {
    var left = bytes
    count -= bytes
    while let chunk = first {
      let held = chunk.pointee.end - chunk.pointee.start
      if left < held {
        chunk.pointee.start += left
        return
      }
      left -= held
      first = chunk.pointee.next
      pool.give(chunk)
    }
    last = nil
  }

  mutating func discard(_ pool: OutputChunkPool) { consume(count, pool) }
}

/// The head of a chunk; its bytes follow it in memory.
struct OutputChunk {
  static let size = 64 * 1024
  static let capacity = size - MemoryLayout<OutputChunk>.stride

  var next: UnsafeMutablePointer<OutputChunk>?
  var start = 0
  var end = 0

  @inline(__always)
  static func bytes(of chunk: UnsafeMutablePointer<OutputChunk>) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(chunk + 1)
  }
}

/// The chunks that a reactor keeps for the next connection that needs one; what is over the bound goes back to the heap.
final class OutputChunkPool {
  /// 2 MiB at most.
  static let kept = 32
  private var free: UnsafeMutablePointer<OutputChunk>?
  private(set) var freeCount = 0
  /// Chunks in the hands of connections.
  private(set) var lent = 0

  deinit {
    while let chunk = free {
      free = chunk.pointee.next
      UnsafeMutableRawPointer(chunk).deallocate()
    }
  }

  func take() -> UnsafeMutablePointer<OutputChunk> {
    lent += 1
    let chunk: UnsafeMutablePointer<OutputChunk>
    if let kept = free {
      free = kept.pointee.next
      freeCount -= 1
      chunk = kept
    } else {
      let memory = UnsafeMutableRawPointer.allocate(byteCount: OutputChunk.size, alignment: 16)
      chunk = memory.bindMemory(to: OutputChunk.self, capacity: 1)
    }
    chunk.initialize(to: OutputChunk(next: nil))
    return chunk
  }

  func give(_ chunk: UnsafeMutablePointer<OutputChunk>) {
    lent -= 1
    if freeCount < OutputChunkPool.kept {
      chunk.pointee.next = free
      free = chunk
      freeCount += 1
    } else {
      UnsafeMutableRawPointer(chunk).deallocate()
    }
  }
}
