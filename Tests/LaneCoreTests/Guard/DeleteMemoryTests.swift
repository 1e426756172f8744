import LaneCore
import TestBytes
import Testing

/// For how long, and how many, deletes are remembered that a repair task brings back.
@Suite struct DeleteMemoryTests {
  /// A guard, and beside it a plain list of what it should remember. Each delete has an extent of its own.
  private final class Bench {
    private var machine = ConflictGuard(mode: .serialize)
    private var remembered: [(stamp: Int64, partition: UInt64, extents: Set<UInt64>, isListed: Bool, end: UInt64)] = []
    private var stamp: Int64 = 0
    var now: UInt64 = 1_000

    private func operation(_ partition: UInt64) -> LaneEvent.Operation {
      stamp += 1
      return LaneEvent.Operation(.deletion, opcode: 2, stamp: stamp, callerReqID: 0, partitionID: partition, extentID: 0, extentOffset: 0)
    }

    func delete(_ ids: [UInt64], partition: UInt64, entering: Bool) {
      let operation = operation(partition)
      let claim = ConflictGuard.Claim(owner: nil, partition: partition, role: .delete)
      let entered = entering && ids.count == 1 ? machine.enter(operation, claim, extent: ids[0], now: now) : nil
      let ticket = entered ?? machine.arrive(.init(operation, claim, ExtentSet(ids)), now: now).ticket
      let released = machine.end(ticket, now: now)
      #expect(released == nil)
      forget()
      if remembered.count == 4096 { remembered.removeFirst() }
      let isListed = Set(ids).count > 1
      while isListed, !remembered.isEmpty, remembered.filter(\.isListed).reduce(ids.count, { $0 + $1.extents.count }) > 65_536 {
        remembered.removeFirst()
      }
      remembered.append((operation.stamp, partition, Set(ids), isListed, now + 60_000_000_000))
    }

    private func forget() {
      while let first = remembered.first, now >= first.end { remembered.removeFirst() }
    }

    /// Whether a task is told that it brings back what it should be told, and by whom that was deleted.
    func revives(_ ids: [UInt64], partition: UInt64) -> Bool {
      forget()
      let request = ConflictGuard.Request(
        operation(partition), .init(owner: nil, partition: partition, role: .repairTask), ExtentSet(ids), created: ExtentSet(ids))
      let arrival = machine.arrive(request, now: now)
      _ = machine.end(arrival.ticket, now: now)
      let expected = remembered.last { $0.partition == partition && !$0.extents.isDisjoint(with: ids) }
      return arrival.sighting?.earlier.stamp == expected?.stamp && arrival.sighting.map(\.isOver) ?? true
    }

    var count: Int { remembered.count }
    var leftovers: Int { machine.leftovers }
  }

  @Test func theLast4096AreRemembered() {
    let bench = Bench()
    for id in 0..<UInt64(10_000) { bench.delete([id + 1025], partition: id % 3, entering: true) }
    #expect(bench.count == 4096)
    for id in [0, 5_000, 5_902, 5_903, 5_904, 5_905, 8_000, 9_999] as [UInt64] {
      #expect(bench.revives([id + 1025], partition: id % 3), "\(id)")
      #expect(bench.revives([id + 1025], partition: 3), "\(id) elsewhere")
    }
    #expect(bench.leftovers == 0)
  }

  /// 65 lists of 1,000 extents, and not a 66th.
  @Test func extentsThatAreRememberedOneByOneAreBounded() {
    let bench = Bench()
    for list in 0..<UInt64(200) { bench.delete((0..<1000).map { list * 1000 + $0 + 1025 }, partition: 7, entering: false) }
    #expect(bench.count == 65)
    for list in [0, 133, 134, 135, 136, 199] as [UInt64] { #expect(bench.revives([list * 1000 + 1524], partition: 7), "\(list)") }
  }

  @Test func aDeleteIsRememberedForAMinute() {
    let bench = Bench()
    bench.delete([1025], partition: 7, entering: true)
    bench.now += 59_999_999_999
    #expect(bench.count == 1 && bench.revives([1025], partition: 7))
    bench.now += 1
    #expect(bench.revives([1025], partition: 7) && bench.count == 0)
    // One that comes when all are forgotten has its own minute.
    bench.delete([1026], partition: 7, entering: true)
    bench.now += 59_999_999_999
    #expect(bench.count == 1 && bench.revives([1026], partition: 7))
  }

  /// Lists, single extents and time in any order; the ring goes round more than once.
  @Test func itRemembersWhatAListWould() {
    let seed = testSeed()
    var random = SeededGenerator(seed: seed)
    let bench = Bench()
    for round in 0..<12_000 {
      let first = UInt64.random(in: 1025...9000, using: &random)
      let partition = UInt64.random(in: 0...1, using: &random)
      switch Int.random(in: 0..<1000, using: &random) {
      case 0: bench.now += UInt64.random(in: 0...50_000_000_000, using: &random)
      case 1..<40: bench.delete((0..<UInt64.random(in: 2...900, using: &random)).map { first + $0 }, partition: partition, entering: false)
      case 40..<80:
        let ids = (0..<UInt64.random(in: 1...3, using: &random)).map { first + $0 }
        guard bench.revives(ids, partition: partition) else {
          Issue.record("seed \(seed), round \(round): \(ids) of \(partition)")
          return
        }
      default: bench.delete([first], partition: partition, entering: Bool.random(using: &random))
      }
      bench.now += 1_000_000
    }
    #expect(bench.leftovers == 0, "seed \(seed)")
  }
}
