internal import CubeFSWire
internal import LinuxIO

/// The start of a packet's head that one read ended with, kept until the next read, in front of whose bytes it is put.
struct CarriedBytes: ~Copyable {
  // Longer than any incomplete head; the reactor's headroom takes it.
  static let capacity = 96
  private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
  private(set) var count = 0

  init() {
    precondition(Framer.longestHead <= Self.capacity && Self.capacity <= Reactor.readHeadroom, "a head must fit the headroom")
  }

  deinit { storage.deallocate() }

  /// Keeps the bytes that are left of a read.
  mutating func keep(_ bytes: UnsafeMutableRawBufferPointer) {
    count = min(bytes.count, Self.capacity)
    if count > 0 { storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count])) }
  }

  /// The carried bytes and the `read` that followed them, as one piece of memory.
  mutating func prepend(to read: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer {
    guard count > 0, let base = read.baseAddress, let carried = storage.baseAddress else { return read }
    let start = base - count
    start.copyMemory(from: carried, byteCount: count)
    let whole = UnsafeMutableRawBufferPointer(start: start, count: count + read.count)
    count = 0
    return whole
  }
}

/// Requests that were read and cannot go on yet: a copy, of exactly their size, for as long as they wait.
struct HeldBytes: ~Copyable {
  // One more than the headroom in front: a resumed piece may end in an incomplete head like any other.
  let bytes: UnsafeMutableRawBufferPointer

  init(copying source: UnsafeMutableRawBufferPointer) {
    bytes = .allocate(byteCount: source.count, alignment: 8)
    bytes.copyMemory(from: UnsafeRawBufferPointer(source))
  }

  deinit { bytes.deallocate() }
}
