import NetEndpoint
import TestBytes
import Testing

@testable import LaneCore

/// Headers by hand against the codec: the tests build their bytes and checksums for themselves.
@Suite struct ProxyHeaderTests {
  private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10] + Array("QUIT\n".utf8)
  private static let addresses: [UInt8] = [192, 0, 2, 1, 10, 0, 12, 1, 0xA3, 0xE0, 0x43, 0x9E]
  private static let told = ProxyHeader.Addresses(
    source: Endpoint("192.0.2.1:41952")!, destination: Endpoint("10.0.12.1:17310")!)
  private static let processField: [UInt8] = [0xE0, 0, 8, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x07, 0x88]

  private static func header(command: UInt8 = 0x21, family: UInt8 = 0x11, length: Int? = nil, _ rest: [UInt8]) -> [UInt8] {
    let length = length ?? rest.count
    return signature + [command, family, UInt8(length >> 8), UInt8(length & 0xFF)] + rest
  }

  /// With a checksum behind all else.
  private static func checked(_ rest: [UInt8], wrong: UInt32 = 0) -> [UInt8] {
    let open = header(rest + [3, 0, 4, 0, 0, 0, 0])
    return open.dropLast(4) + (crc32c(open) ^ wrong).bigEndianBytes
  }

  /// Reads in pieces of that size; what is left over is not touched.
  private static func parse(_ bytes: [UInt8], pieces: Int = .max) throws(ProxyHeaderRefusal) -> (header: ProxyHeader?, taken: Int) {
    var parser = ProxyHeaderParser()
    var rest = bytes[...]
    while !rest.isEmpty, parser.needed > 0 {
      let piece = Array(rest.prefix(min(pieces, parser.needed)))
      rest = rest.dropFirst(piece.count)
      var found: ProxyHeader?
      var refusal: ProxyHeaderRefusal?
      piece.withUnsafeBytes { raw in
        do throws(ProxyHeaderRefusal) { found = try parser.take(raw) } catch { refusal = error }
      }
      if let refusal { throw refusal }
      if found != nil { return (found, parser.count) }
    }
    return (nil, parser.count)
  }

  @Test func theChecksumIsTheOneOfRFC3720() {
    // Appendix B.4 there, and the usual check value.
    for (bytes, crc) in [([UInt8](repeating: 0, count: 32), 0x8A91_36AA), (Array("123456789".utf8), 0xE306_9283)] as [([UInt8], UInt32)] {
      #expect(CRC32C.checksum(bytes) == crc && crc32c(bytes) == crc)
    }
  }

  @Test func whatIsSent() {
    let golden: [UInt8] = Self.signature + [0x21, 0x11, 0, 30] + Self.addresses + Self.processField + [3, 0, 4, 0x45, 0x91, 0xFC, 0x6C]
    #expect(ProxyHeader(addresses: Self.told, process: 0x1122_3344_5566_0788).encoded() == golden)
    // What operation ids do not use of the process bits is not told.
    #expect(ProxyHeader(addresses: Self.told, process: 0x1122_3344_5566_FF88).encoded() == golden)
    #expect(golden == Self.checked(Self.addresses + Self.processField))
    #expect(ProxyHeader().encoded() == Self.signature + [0x20, 0, 0, 7, 3, 0, 4, 0xA9, 0xB8, 0x7E, 0x8F])
  }

  @Test func anIDMadeOfTheProcessBitsIsTheSendersOwn() throws {
    for process in [0x1122_3344_5566_7788, .max, 0] as [UInt64] {
      let bytes = ProxyHeader(addresses: Self.told, process: process).encoded()
      let received = try #require(try Self.parse(bytes).header?.process)
      #expect(OperationID(process: received, stamp: 0x4000_0000_0000_0001) == OperationID(process: process, stamp: 0x4000_0000_0000_0001))
    }
  }

  @Test(arguments: [1, 2, 3, 7, 15, 16, 17, 45, 1000]) func piecesOfAnySizeAndNotAByteMore(pieces: Int) throws {
    let bytes = Self.checked(Self.addresses + Self.processField)
    let (header, taken) = try Self.parse(bytes + [0xFF, 1, 2, 3], pieces: pieces)
    #expect(header == ProxyHeader(addresses: Self.told, process: 0x1122_3344_5566_0788))
    #expect(taken == bytes.count)
    for cut in 0..<bytes.count { #expect(try Self.parse(Array(bytes.prefix(cut)), pieces: pieces).header == nil) }
  }

  @Test func whatIsNotUnderstoodIsSkipped() throws {
    let noOperation: [UInt8] = [4, 0, 0, 4, 0, 2, 9, 9]
    let uniqueID: [UInt8] = [5, 0, 3, 1, 2, 3]
    let tls: [UInt8] = [0x20, 0, 5, 7, 0, 0, 0, 0]
    let full = ProxyHeader(addresses: Self.told, process: 0x1122_3344_5566_0788)
    #expect(try Self.parse(Self.checked(Self.addresses + noOperation + uniqueID + Self.processField + tls)).header == full)
    #expect(try Self.parse(Self.header(Self.addresses)).header == ProxyHeader(addresses: Self.told))
    // Other families: their addresses are passed over.
    for (family, count) in [(0x00, 0), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216), (0x32, 216)] as [(UInt8, Int)] {
      let header = Self.header(family: family, pattern(count) + Self.processField)
      #expect(try Self.parse(header).header == ProxyHeader(process: 0x1122_3344_5566_0788), "\(family)")
    }
    // LOCAL: whatever follows, and of whatever family.
    for family in [0x00, 0x11, 0xFF] as [UInt8] {
      let bytes = Self.header(command: 0x20, family: family, pattern(50))
      let (header, taken) = try Self.parse(bytes + [1])
      #expect(header == ProxyHeader() && taken == bytes.count)
    }
  }

  static let refused: [([UInt8], ProxyHeaderRefusal)] = [
    ([0xFF], .signature(0)),
    (Array("GET / HTTP/1.1\r\n\r\n".utf8), .signature(0)),
    (Array("PROXY TCP4 192.0.2.1 10.0.12.1 1 2\r\n".utf8), .signature(0)),
    (signature.dropLast() + [11], .signature(11)),
    (header(command: 0x11, addresses), .version(1)),
    (header(command: 0x31, addresses), .version(3)),
    (header(command: 0x22, addresses), .command(2)),
    (header(command: 0x2F, addresses), .command(15)),
    (header(family: 0x41, addresses), .family(0x41)),
    (header(family: 0x13, addresses), .family(0x13)),
    // Nothing of what it announces has to come first.
    (header(length: 521, []), .tooLong(521)),
    (header(length: 65_535, []), .tooLong(65_535)),
    (header(command: 0x20, family: 0, length: 521, []), .tooLong(521)),
    (header([]), .addressesCut(0)),
    (header(Array(addresses.dropLast())), .addressesCut(11)),
    (header(family: 0x21, addresses), .addressesCut(12)),
    (header(addresses + [4]), .fieldCut(4)),
    (header(addresses + [4, 0]), .fieldCut(4)),
    (header(addresses + [4, 0, 1]), .fieldCut(4)),
    (header(addresses + [0x77, 0xFF, 0xFF, 1]), .fieldCut(0x77)),
    (header(addresses + [0xE0, 0, 7, 1, 2, 3, 4, 5, 6, 7]), .fieldLength(0xE0, 7)),
    (header(addresses + [3, 0, 3, 1, 2, 3]), .fieldLength(3, 3)),
    (header(addresses + processField + processField), .fieldTwice(0xE0)),
    (checked(addresses + [3, 0, 4, 0, 0, 0, 0]), .fieldTwice(3)),
    (checked(addresses + processField, wrong: 1), .checksum(expected: 0x4591_FC6C, observed: 0x4591_FC6D)),
  ]

  @Test(arguments: refused.indices) func whatIsRefused(index: Int) {
    let (bytes, refusal) = Self.refused[index]
    for pieces in [1, 5, 1000] { #expect(throws: refusal) { try Self.parse(bytes, pieces: pieces) } }
    #expect(!refusal.description.isEmpty)
  }

  @Test func theLongestThatIsTaken() throws {
    let padded = Self.header(Self.addresses + [4, 1, 249] + pattern(505))
    #expect(padded.count == 536 && ProxyHeader.longest == 536)
    #expect(try Self.parse(padded + [1]).header == ProxyHeader(addresses: Self.told))
  }

  /// Whatever one bit of the addresses, the process bits or the checksum is, the checksum tells.
  @Test func aFlippedBitBehindTheFixedPartIsFound() throws {
    let bytes = Self.checked(Self.addresses + Self.processField)
    let values = Array(16..<28) + Array(31..<39) + Array(42..<46)
    for place in values {
      for bit in 0..<8 {
        var flipped = bytes
        flipped[place] ^= 1 << bit
        do throws(ProxyHeaderRefusal) {
          _ = try Self.parse(flipped)
          Issue.record("bit \(bit) of byte \(place) was not found")
        } catch {
          guard case .checksum = error else {
            Issue.record("\(error)")
            continue
          }
        }
      }
    }
  }

  @Test func whateverComesIsTakenWithinBounds() {
    var random = SeededGenerator(seed: testSeed())
    let good = Self.checked(Self.addresses + Self.processField)
    var whole = 0
    var refused = 0
    for _ in 0..<20_000 {
      var bytes = good + random.bytes(600)
      // Some have a lying length, all have some bytes changed, most of them behind the signature.
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: (Bool.random(using: &random) ? 12 : 14)..<60, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if Bool.random(using: &random) {
        bytes[14] = UInt8.random(in: 0...2, using: &random)
        bytes[15] = UInt8.random(in: 0...255, using: &random)
      }
      do throws(ProxyHeaderRefusal) {
        let (header, taken) = try Self.parse(bytes, pieces: Int.random(in: 1...40, using: &random))
        #expect(header != nil && taken <= 536 && taken == 16 + Int(bytes[14]) << 8 + Int(bytes[15]))
        whole += 1
      } catch { refused += 1 }
    }
    #expect(whole > 0 && refused > 0)
    print("\(whole) headers of 20000 were whole, \(refused) were refused")
  }
}
