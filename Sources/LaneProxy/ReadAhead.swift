internal import CubeFSWire
internal import LinuxIO

/// The buffers into which replies are read while the tail of the one before is kept back.
final class ReadAheadPool {
  /// The most buffers that are lent: 8 MiB for all streams of a proxy. A stream that gets none is read when its tail is set free.
  static let lentMax = 32
  /// The most that are kept for the next stream.
  private static let keptMax = 4
  /// As much as is read at a time anywhere.
  fileprivate static let size = Reactor.readBufferSize

  private var lent = 0
  private var kept: [UnsafeMutableRawPointer] = []

  init() { kept.reserveCapacity(Self.keptMax) }

  deinit {
    for memory in kept { memory.deallocate() }
  }

  /// Nil where as many are lent as may be.
  func take() -> ReadAhead? {
    guard lent < Self.lentMax else { return nil }
    lent += 1
    return ReadAhead(kept.popLast() ?? .allocate(byteCount: OwedTail.capacity + Self.size, alignment: 16), self)
  }

  fileprivate func give(_ memory: UnsafeMutableRawPointer) {
    lent -= 1
    if kept.count < Self.keptMax { kept.append(memory) } else { memory.deallocate() }
  }
}

/// What was read of a reply while the one before it was withheld: not judged yet. In front of the bytes is room for an owed tail.
struct ReadAhead: ~Copyable {
  private let memory: UnsafeMutableRawPointer
  private let pool: ReadAheadPool
  /// How many bytes were read.
  var count = 0
  /// The checksum of the payload among them.
  private(set) var sum = PayloadSum()

  fileprivate init(_ memory: UnsafeMutableRawPointer, _ pool: ReadAheadPool) {
    self.memory = memory
    self.pool = pool
  }

  deinit { pool.give(memory) }

  /// Where to read to.
  var room: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: memory + OwedTail.capacity, count: ReadAheadPool.size)
  }

  /// What was read.
  var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: room[..<count]) }

  /// Takes the payload's checksum while the caller is not there yet: between the release of one reply and the next nobody then waits
  /// for it.
  /// - Parameter framer: a copy of the stream's, at the first of the bytes.
  mutating func takeSum(_ framer: consuming Framer) {
    var rest = bytes
    guard case .head = framer.next(&rest) else { return }
    while case .body(let piece, let part, let last) = framer.next(&rest) {
      if part == .payload { sum = PayloadSum(piece) }
      if last { return }
    }
  }
}

/// The checksum of a piece of a payload that stays where it is.
struct PayloadSum {
  private let piece: UnsafeMutableRawBufferPointer
  private var crc = PayloadCRC()

  /// Of nothing.
  init() { piece = UnsafeMutableRawBufferPointer(start: nil, count: 0) }

  init(_ piece: UnsafeMutableRawBufferPointer) {
    self.piece = piece
    crc.update(UnsafeRawBufferPointer(piece))
  }

  /// Nil where it is another piece.
  func of(_ other: UnsafeMutableRawBufferPointer) -> PayloadCRC? {
    other.count == piece.count && other.baseAddress == piece.baseAddress ? crc : nil
  }
}
