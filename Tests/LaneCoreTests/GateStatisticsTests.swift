import LaneCore
import Testing

@Suite struct GateStatisticsTests {
  @Test func boundsGoFrom50MicrosecondsToAMinute() {
    #expect(WaitHistogram.bounds.first == 50_000)
    #expect(WaitHistogram.bounds.last == 60_000_000_000)
    #expect(zip(WaitHistogram.bounds, WaitHistogram.bounds.dropFirst()).allSatisfy { $0 < $1 })
    #expect(WaitHistogram().buckets.count == WaitHistogram.bounds.count + 1)
  }

  @Test func aWaitIsCountedInTheFirstBucketThatHoldsIt() {
    for (index, bound) in WaitHistogram.bounds.enumerated() {
      var histogram = WaitHistogram()
      histogram.record(bound - 1)
      histogram.record(bound)
      histogram.record(bound + 1)
      var expected = [UInt64](repeating: 0, count: WaitHistogram.bounds.count + 1)
      // A bound above the one before by one nanosecond would be no bucket.
      expected[index] = 2
      expected[index + 1] = 1
      #expect(histogram.buckets == expected)
      #expect(histogram.count == 3 && histogram.sum == 3 * bound && histogram.longest == bound + 1)
    }
  }

  @Test func extremesAreCountedAndNeverTrap() {
    var histogram = WaitHistogram()
    for wait in [0, .max, .max, 1] as [UInt64] { histogram.record(wait) }
    #expect(histogram.buckets.first == 2 && histogram.buckets.last == 2)
    #expect(histogram.longest == .max)
  }

  @Test func aCopyDoesNotChangeWithTheOriginal() {
    var statistics = GateStatistics()
    statistics.waitBegan()
    let copy = statistics
    statistics.waitEnded(after: 70_000)
    statistics.reset(.dirtyReuse)
    #expect(copy.waiting == 1 && copy.waits.count == 0 && copy.resets.isEmpty)
    #expect(statistics.waiting == 0 && statistics.waits.buckets[1] == 1)
  }

  @Test func eachEventHasItsOwnCount() {
    var statistics = GateStatistics()
    for _ in 0..<2 { statistics.asked(.counters) }
    for _ in 0..<3 { statistics.asked(.look) }
    for reason in DeliveryGate.ResetReason.allCases { statistics.reset(reason) }
    for reason in DeliveryGate.Blindness.allCases { statistics.blind(reason) }
    statistics.blind(.sockmap)
    #expect(statistics.queriesWithCounters == 2 && statistics.queriesWithoutCounters == 3)
    #expect(statistics.resets == [.dirtyReuse: 1, .resourceLimit: 1])
    #expect(statistics.blindCallers.count == DeliveryGate.Blindness.allCases.count && statistics.blindCallers[.sockmap] == 2)
  }

  @Test func anEndWithoutABeginningLeavesNoNegativeGauge() {
    var statistics = GateStatistics()
    statistics.waitEnded(after: 1)
    #expect(statistics.waiting == 0)
  }
}
