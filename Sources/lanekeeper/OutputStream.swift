import Glibc

/// Why standard output could not be written.
enum OutputError: Error, CustomStringConvertible {
  /// The reading end of the pipe is closed: nobody wants more.
  case readerGone
  /// Anything else, such as a full disk.
  case failed(errno: Int32)

  var description: String {
    switch self {
    case .readerGone: "the reader of standard output is gone"
    case .failed(let number): "cannot write standard output: \(errorText(number))"
    }
  }
}

/// Standard output, written in large pieces. Not flushed by itself: a command flushes before it returns.
struct OutputStream: ~Copyable {
  private static let pieceLength = 64 << 10
  private var buffer: [UInt8] = []

  /// Nothing held back.
  init() { buffer.reserveCapacity(Self.pieceLength * 2) }

  /// Adds text. Throws `OutputError` where what was held back could not be written.
  mutating func write(_ text: String) throws { try write(text.utf8) }

  /// Adds bytes. Throws `OutputError` where what was held back could not be written.
  mutating func write(_ bytes: some Collection<UInt8>) throws {
    buffer.append(contentsOf: bytes)
    if buffer.count >= Self.pieceLength { try flush() }
  }

  /// Writes what was held back. Throws `OutputError`.
  mutating func flush() throws {
    let failure = writeWhole(buffer, to: STDOUT_FILENO)
    buffer.removeAll(keepingCapacity: true)
    if failure == EPIPE { throw OutputError.readerGone }
    if failure != 0 { throw OutputError.failed(errno: failure) }
  }
}

/// Standard error: each write goes out whole and at once; failures are nobody's to hear.
enum StandardError {
  /// Writes the text as it is.
  static func write(_ text: String) { _ = writeWhole(Array(text.utf8), to: STDERR_FILENO) }
}

/// The system's text for an errno.
func errorText(_ number: Int32) -> String {
  guard let text = strerror(number) else { return "errno \(number)" }
  return String(cString: text)
}

/// Writes all the bytes; 0, or the errno of the write that failed.
private func writeWhole(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
  bytes.withUnsafeBytes { raw in
    var offset = 0
    while offset < raw.count {
      let count = write(descriptor, raw.baseAddress?.advanced(by: offset), raw.count - offset)
      if count > 0 {
        offset += count
      } else if errno == EAGAIN {
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&wait, 1, -1)
      } else if errno != EINTR {
        return errno
      }
    }
    return 0
  }
}
