import Testing

@testable import LaneCore

@Suite struct ExtentListTests {
  private func add(_ ids: some Sequence<UInt64>, to list: inout ExtentList) {
    for id in ids {
      list.element(.object)
      list.name(isID: true)
      list.member(.number(id))
      list.elementEnds()
    }
  }

  /// However many are named, twice as many are kept as a set lists, and none any more once they are too many.
  @Test func whatIsKeptIsBounded() {
    var list = ExtentList()
    list.begin(.array)
    var most = 0
    for round in 0..<6 {
      // The same ids again and again, in another order each time.
      for part in 0..<40 {
        add((0..<1000).map { UInt64(1 + (part * 1000 + $0 * 7 + round) % 40_000) }, to: &list)
        most = max(most, list.kept)
      }
    }
    #expect(most <= 2 * ExtentSet.mostListed)
    #expect(list.extents() == ExtentSet(Array(1...40_000)))
    add(100_000..<250_000, to: &list)
    #expect(list.kept == 0)
    #expect(list.extents() == .all)
    list.begin(.array)
    add([5], to: &list)
    #expect(list.extents() == ExtentSet(5))
  }
}
