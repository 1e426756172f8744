/// Memory into which upstreams read the next reply while the delivery gate keeps back the tail of the last one.
///
/// A bounded number: a caller that does not read must cost no more than its own reply. Where none is left, the next reply waits in
/// the kernel.
final class AheadBuffers {
  /// Room in front of what is read, bytes: for the tail that goes out with it.
  static let headroom = 128
  /// A block of 128 KiB with the longest header, bytes.
  static let capacity = 128 * 1024 + 1024
  private static let most = 64
  private static let mostIdle = 4

  private var idle: [UnsafeMutableRawPointer] = []
  private var made = 0

  deinit { for buffer in idle { buffer.deallocate() } }

  /// A buffer of headroom and capacity; nil where the most are in use.
  func take() -> UnsafeMutableRawPointer? {
    if let buffer = idle.popLast() { return buffer }
    guard made < Self.most else { return nil }
    made += 1
    return .allocate(byteCount: Self.headroom + Self.capacity, alignment: 64)
  }

  /// Takes a buffer back.
  func give(_ buffer: UnsafeMutableRawPointer) {
    if idle.count < Self.mostIdle { return idle.append(buffer) }
    made -= 1
    buffer.deallocate()
  }
}
