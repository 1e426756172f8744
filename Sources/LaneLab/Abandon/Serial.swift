internal import CubeFSWire
internal import Glibc

/// The number that tells every operation of a run from every other one, however alike they look. It travels in the request's
/// KernelOffset, which no CubeFS caller or server looks at in these operations; the datanode puts it into each reply: in the
/// KernelOffset of those that echo the request, and into every payload.
struct Serial: Hashable, Sendable {
  let value: UInt64

  init(_ value: UInt64) { self.value = value }

  /// - Parameters:
  ///   - thread: which of the callers' threads, below 4,096.
  ///   - number: counts that thread's operations, below 2^40.
  ///   - kind: what the datanode is to answer.
  init(thread: Int, number: UInt64, kind: Kind = .small) {
    value = UInt64(kind.rawValue) << 60 | UInt64(thread) << 40 | number
  }

  /// What the datanode is to answer.
  enum Kind: UInt8 {
    /// A few short replies.
    case small = 1
    /// Tiny-delete records in chunks as long as the real ones: the second is shorter.
    case fullChunk = 2
    /// An error.
    case failing = 3
  }

  var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: value >> 60)) ?? .small }

  /// A word that depends on this number and on `salt`.
  func hash(_ salt: UInt64) -> UInt64 { LabRandom.mix(LabRandom.mix(value) &+ salt) }
}

/// Payloads that every reader believes: a JSON text with at least eight bytes and a right CRC, mostly of a length that tiny
/// delete records can have. The serial stands in it, in plain text.
enum SerialPayload {
  /// `["0123456789abcdef",100]`: the serial, and 100 more than the reply's place in its stream.
  static let shortest = 24

  /// Bytes after which the white space repeats.
  private static let period = 31
  private static let digits = Array("0123456789abcdef".utf8)
  private static let spaces: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]

  /// The payload of a reply.
  /// - Parameters:
  ///   - index: the reply's place in its stream, below 900.
  ///   - count: bytes, at least `shortest`.
  static func bytes(_ serial: Serial, index: Int, count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: max(count, shortest)) { buffer, initialized in
      var head: [UInt8] = [UInt8(ascii: "["), UInt8(ascii: "\"")]
      for shift in stride(from: 60, through: 0, by: -4) { head.append(digits[Int(serial.value >> UInt64(shift) & 15)]) }
      head += Array("\",\(100 + index % 900)]".utf8)
      for (position, byte) in head.enumerated() { buffer[position] = byte }
      // JSON lets white space follow: which one tells bytes in the wrong place from those in the right one.
      let pattern = serial.hash(UInt64(index))
      let filled = min(buffer.count, head.count + period)
      for position in head.count..<filled { buffer[position] = spaces[Int(pattern >> UInt64((position - head.count) * 2) & 3)] }
      guard let base = buffer.baseAddress else { return }
      var done = filled - head.count
      while head.count + done < buffer.count {
        let piece = min(done, buffer.count - head.count - done)
        memcpy(base + head.count + done, base + head.count, piece)
        done += piece
      }
      initialized = buffer.count
    }
  }

  /// The serial in a payload that `bytes` made; nil for any other.
  static func serial(in payload: some Collection<UInt8>) -> Serial? {
    guard payload.count >= shortest else { return nil }
    var value: UInt64 = 0
    for byte in payload.dropFirst(2).prefix(16) {
      guard let digit = digits.firstIndex(of: byte) else { return nil }
      value = value << 4 | UInt64(digit)
    }
    return Serial(value)
  }
}
