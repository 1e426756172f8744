import LaneCore
import TestBytes
import Testing

@Suite struct ExtentSetTests {
  /// Sets of numbers, as the standard library has them; `normal` and `all` over the ids that the tests draw.
  private struct Model {
    var set: ExtentSet
    var ids: Set<UInt64>
    var isListed: Bool
  }

  private static let drawn: ClosedRange<UInt64> = 1...200

  private func draw(_ random: inout SeededGenerator) -> Model {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: return Model(set: .all, ids: Set(Self.drawn), isListed: false)
    case 1: return Model(set: .normal, ids: Set(Self.drawn).filter { $0 > 64 }, isListed: false)
    case 2:
      let id = UInt64.random(in: Self.drawn, using: &random)
      return Model(set: ExtentSet(id), ids: [id], isListed: true)
    default:
      let top = [8, 64, 70, 200].randomElement(using: &random)!
      let ids = (0..<[0, 1, 2, 5, 60].randomElement(using: &random)!).map { _ in UInt64.random(in: 1...UInt64(top), using: &random) }
      return Model(set: ExtentSet(ids), ids: Set(ids), isListed: true)
    }
  }

  @Test func setsAnswerAsSetsDo() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    for _ in 0..<2000 {
      let (one, two) = (draw(&random), draw(&random))
      // Two that are not listed share extents that were not drawn, too.
      let shared = !one.ids.isDisjoint(with: two.ids)
      #expect(one.set.intersects(two.set) == shared, "seed \(seed): \(one) \(two)")
      #expect(two.set.intersects(one.set) == shared, "seed \(seed): \(two) \(one)")
      #expect(one.set.isEmpty == one.ids.isEmpty, "seed \(seed): \(one)")
      #expect(one.set.count == (one.isListed ? one.ids.count : nil), "seed \(seed): \(one)")
      #expect(one.set.first == (one.isListed ? one.ids.min() : nil), "seed \(seed): \(one)")
      let contained = Set(Self.drawn.filter { one.set.contains($0) })
      #expect(contained == one.ids, "seed \(seed): \(one)")
      if one.isListed { #expect(one.set == ExtentSet(Array(one.ids).shuffled(using: &random)), "seed \(seed): \(one)") }
      if one.isListed && two.isListed { #expect((one.set == two.set) == (one.ids == two.ids), "seed \(seed): \(one) \(two)") }
    }
  }

  @Test func tinyExtentsAreNotNormal() {
    for id: UInt64 in [0, 1, 64] { #expect(!ExtentSet.normal.contains(id) && !ExtentSet.normal.intersects(ExtentSet(id))) }
    for id: UInt64 in [65, 1025, .max] { #expect(ExtentSet.normal.contains(id) && ExtentSet.normal.intersects(ExtentSet(id))) }
    #expect(ExtentSet.all.contains(0) && ExtentSet.all.contains(.max))
    #expect(!ExtentSet.all.intersects(ExtentSet([])))
    #expect(!ExtentSet.normal.intersects(ExtentSet(Array(0...64))))
    #expect(ExtentSet.normal.intersects(ExtentSet(Array(0...65))))
  }

  @Test func moreThanAreListedCountAsAll() {
    let most = Array(1...UInt64(ExtentSet.mostListed))
    #expect(ExtentSet(most + most).count == 65_536)
    #expect(ExtentSet(most + [.max]) == .all)
  }

  /// Lists of very different lengths, long gaps, common ids anywhere.
  @Test func longListsShareWhatTheyShare() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    let even = Array(1...UInt64(50_000)).map { $0 * 2 }
    let many = ExtentSet(even)
    #expect(!many.intersects(ExtentSet(even.map { $0 - 1 })) && !ExtentSet(even.map { $0 + 1 }).intersects(many))
    for _ in 0..<60 {
      let few = (0..<[1, 2, 3, 30, 3000].randomElement(using: &random)!).map { _ in UInt64.random(in: 0...110_000, using: &random) | 1 }
      #expect(!many.intersects(ExtentSet(few)) && !ExtentSet(few).intersects(many), "seed \(seed)")
      let shared = ([2, 4, 99_998, 100_000] + (0..<4).map { _ in even.randomElement(using: &random)! }).randomElement(using: &random)!
      #expect(many.intersects(ExtentSet(few + [shared])) && ExtentSet(few + [shared]).intersects(many), "seed \(seed): \(shared)")
    }
  }
}
