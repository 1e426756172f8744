import TestBytes
import Testing

@testable import LaneCore

@Suite struct StampTests {
  /// Numbers from a list, then the last one for ever.
  private final class Source: @unchecked Sendable {
    private var rest: [UInt64]
    init(_ numbers: [UInt64]) { rest = numbers.reversed() }
    func next() -> UInt64 { rest.count > 1 ? rest.removeLast() : rest[0] }
  }

  private func generator(_ numbers: [UInt64], counter: UInt32 = 0) -> StampGenerator {
    let source = Source(numbers)
    return StampGenerator(random: { source.next() }, counter: counter)
  }

  @Test(arguments: [0, 1, .max, 1 << 63, 0x7FFF_FFFF_0000_0000, 0xFFFF_FFFE_0000_0000] as [UInt64])
  func positiveAndDistinct(_ random: UInt64) {
    var stamps = generator([random])
    var seen: Set<Int64> = []
    for _ in 0..<10_000 {
      let stamp = stamps.next()
      #expect(stamp > 0 && seen.insert(stamp).inserted)
    }
  }

  @Test func twoStartsDoNotMeet() {
    var seed = SeededGenerator(seed: 1)
    var prefixes: Set<Int64> = []
    for _ in 0..<1000 {
      var stamps = generator([seed.next()])
      prefixes.insert(stamps.next() >> 32)
    }
    #expect(prefixes.count > 990)
  }

  /// The counter comes to its end four times over; whatever the random source does, no stamp comes twice.
  @Test(
    arguments: [
      [5 << 33], [0], [.max], [1 << 33, 2 << 33, 1 << 33, 2 << 33, 1 << 33, 2 << 33], [7 << 33, 8 << 33, 7 << 33, 7 << 33, 9 << 33],
    ] as [[UInt64]])
  func wrapTakesAnotherPrefix(_ numbers: [UInt64]) {
    var seen: Set<Int64> = []
    var stamps = generator(numbers, counter: .max - 3)
    for _ in 0..<5 {
      var before: Int64 = 0
      for step in 0..<8 {
        let stamp = stamps.next()
        #expect(stamp > 0)
        #expect(seen.insert(stamp).inserted, "\(String(stamp, radix: 16))")
        if step == 2 { #expect(UInt32(truncatingIfNeeded: stamp) == .max) }
        if step == 3 {
          #expect(stamp >> 32 != before >> 32)
          #expect(UInt32(truncatingIfNeeded: stamp) == 1)
        }
        before = stamp
      }
      stamps.skip(to: .max - 3)
    }
  }

  @Test func operationIDRoundTrip() throws {
    var seed = SeededGenerator(seed: 20_261_123)
    var stamps: [Int64] = [1, 2, .max, .max - 1, 1 << 51, (1 << 51) - 1, 1 << 62, 0x7FF8_0000_0000_0000]
    for _ in 0..<500 { stamps.append(Int64(bitPattern: seed.next() >> 1)) }
    for stamp in stamps {
      for process in [0, .max, seed.next()] as [UInt64] {
        let id = OperationID(process: process, stamp: stamp)
        #expect(id.stamp == stamp)
        let text = id.description
        // RFC 9562 section 4: version in the upper half of octet 6, variant 10 in the upper bits of octet 8.
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        #expect(parts.map(\.utf8.count) == [8, 4, 4, 4, 12])
        #expect(parts[2].first == "8")
        #expect(["8", "9", "a", "b"].contains(try #require(parts[3].first)))
        #expect(text == text.lowercased())
        #expect(OperationID(text) == id)
        #expect(OperationID(text.uppercased()) == id)
        #expect(try #require(OperationID(text)).stamp == stamp)
      }
    }
    #expect(OperationID(process: 1, stamp: 5) != OperationID(process: 2, stamp: 5))
    #expect(OperationID(process: 0xABCD_0000_0000_0000, stamp: 5) != OperationID(process: 0, stamp: 5))
    #expect(OperationID(process: 0x1122_3344_5566_7788, stamp: 0x4000_0000_0000_0001).description == "11223344-5566-8800-bc40-000000000001")
  }

  @Test func otherTextsAreNoOperationIDs() {
    let good = "11223344-5566-8800-bc40-000000000001"
    #expect(OperationID(good) != nil)
    var bad = [
      "", "-", good + "0", good + "-", " " + good, good + " ", String(good.dropLast()), "{\(good)}", good.replacing("-", with: ""),
      "11223344-5566-4800-bc40-000000000001", "11223344-5566-7800-bc40-000000000001", "11223344-5566-8800-7c40-000000000001",
      "11223344-5566-8800-cc40-000000000001", "1122334-45566-8800-bc40-000000000001", "g1223344-5566-8800-bc40-000000000001",
      "１1223344-5566-8800-bc40-000000000001", String(repeating: "1", count: 100_000),
    ]
    // Each place of the text with a character that no UUID has there.
    for index in good.indices {
      bad.append(good.replacingCharacter(at: index, with: good[index] == "-" ? "0" : "-"))
      bad.append(good.replacingCharacter(at: index, with: "\u{0}"))
    }
    for text in bad { #expect(OperationID(text) == nil, "\(text.prefix(60))") }
  }
}

extension String {
  fileprivate func replacingCharacter(at index: Index, with character: Character) -> String {
    self[..<index] + String(character) + self[self.index(after: index)...]
  }
}
