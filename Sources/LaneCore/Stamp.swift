/// Hands out stamps: positive as Go's int64, unique for the life of the process.
///
/// A stamp is a prefix of 31 bits and a counter of 32. The prefix begins at random: it tells one start of a reactor from another,
/// so a stray of an earlier process does not match by accident. Before the counter wraps, the next prefix is taken: counted and not
/// drawn again, because a drawn one could be one of before.
public struct StampGenerator {
  private var prefix: UInt64
  private var counter: UInt32

  /// - Parameter random: 64 random bits; the system's generator, or a seeded one in tests.
  public init(random: @Sendable () -> UInt64) {
    counter = 0
    prefix = random() >> 33
  }

  /// For tests of the wrap: the counter starts where told.
  init(random: @Sendable () -> UInt64, counter: UInt32) {
    self.init(random: random)
    self.counter = counter
  }

  /// For tests of the wrap: the counter goes on from there.
  mutating func skip(to counter: UInt32) { self.counter = counter }

  /// The next stamp; 1 to Int64.max.
  public mutating func next() -> Int64 {
    if counter == .max {
      prefix = (prefix &+ 1) & 0x7FFF_FFFF
      counter = 0
    }
    counter += 1
    return Int64(prefix << 32 | UInt64(counter))
  }
}

/// An operation's name in the cluster: a UUIDv8 (RFC 9562 section 5.8) of random process bits and the stamp.
///
/// Layout: bits 0 to 47 process bits, version 8, the stamp's upper 12 of 63 bits, variant 10, 11 process bits, the stamp's
/// lower 51 bits.
public struct OperationID: Equatable, Hashable, Sendable {
  /// The upper 64 bits.
  public let high: UInt64
  /// The lower 64 bits.
  public let low: UInt64

  /// The 59 bits that are used of a process's 64.
  static let processMask: UInt64 = 0xFFFF_FFFF_FFFF_07FF

  /// The id of the operation with that stamp in the process with those random bits (59 of them are used).
  public init(process: UInt64, stamp: Int64) {
    let bits = UInt64(bitPattern: stamp) & 0x7FFF_FFFF_FFFF_FFFF
    high = process & 0xFFFF_FFFF_FFFF_0000 | 0x8000 | bits >> 51
    low = 0x8000_0000_0000_0000 | (process & 0x7FF) << 51 | bits & 0x7_FFFF_FFFF_FFFF
  }

  /// The stamp inside.
  public var stamp: Int64 { Int64((high & 0xFFF) << 51 | low & 0x7_FFFF_FFFF_FFFF) }

  /// Reads the usual text form. Nil for anything that is not a UUIDv8 with variant 10.
  public init?(_ text: some StringProtocol) {
    var digits: [UInt64] = []
    for (index, byte) in text.utf8.enumerated() {
      if [8, 13, 18, 23].contains(index) {
        guard byte == UInt8(ascii: "-") else { return nil }
      } else {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digits.append(UInt64(byte - UInt8(ascii: "0")))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digits.append(UInt64(byte - UInt8(ascii: "a") + 10))
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digits.append(UInt64(byte - UInt8(ascii: "A") + 10))
        default: return nil
        }
      }
      if digits.count > 32 { return nil }
    }
    guard digits.count == 32 else { return nil }
    high = digits[..<16].reduce(0) { $0 << 4 | $1 }
    low = digits[16...].reduce(0) { $0 << 4 | $1 }
    guard high >> 12 & 0xF == 8, low >> 62 == 2 else { return nil }
  }
}

extension OperationID: CustomStringConvertible {
  /// `xxxxxxxx-xxxx-8xxx-yxxx-xxxxxxxxxxxx`, lower case.
  public var description: String {
    func hexadecimal(_ value: UInt64, _ width: Int) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
    return "\(hexadecimal(high >> 32, 8))-\(hexadecimal(high >> 16 & 0xFFFF, 4))-\(hexadecimal(high & 0xFFFF, 4))"
      + "-\(hexadecimal(low >> 48, 4))-\(hexadecimal(low & 0xFFFF_FFFF_FFFF, 12))"
  }
}
