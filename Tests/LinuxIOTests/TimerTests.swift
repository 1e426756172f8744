import LinuxIO
import TestBytes
import Testing

@Suite struct TimerTests {
  @Test func runInOrderOfTheirDeadlines() throws {
    let reactor = try Reactor()
    var order: [Int] = []
    var timers: [ReactorTimer] = []
    let start = Reactor.clock()
    for (index, delay) in [30, 10, 20, 0, 40].enumerated() {
      let timer = ReactorTimer(reactor) { order.append(index) }
      timer.arm(at: start + UInt64(delay) * 1_000_000)
      timers.append(timer)
    }
    #expect(try turn(reactor) { order.count == 5 })
    #expect(order == [3, 1, 2, 0, 4])
    #expect(Reactor.clock() - start >= 40_000_000)
    #expect(timers.allSatisfy { $0.deadline == nil })
  }

  @Test func rearmingLaterOrEarlierAndDisarming() throws {
    let reactor = try Reactor()
    let start = Reactor.clock()
    var fired: [(String, UInt64)] = []
    let later = ReactorTimer(reactor) { fired.append(("later", Reactor.clock() - start)) }
    let earlier = ReactorTimer(reactor) { fired.append(("earlier", Reactor.clock() - start)) }
    let never = ReactorTimer(reactor) { fired.append(("never", 0)) }
    later.arm(at: start + 5_000_000)
    for step in 1...10 { later.arm(at: start + 5_000_000 + UInt64(step) * 3_000_000) }
    earlier.arm(at: start + 10_000_000_000)
    earlier.arm(at: start + 8_000_000)
    never.arm(at: start + 6_000_000)
    never.disarm()
    #expect(never.deadline == nil && later.deadline == start + 35_000_000)
    #expect(try turn(reactor) { fired.count == 2 })
    #expect(fired.map { $0.0 } == ["earlier", "later"])
    #expect(fired[0].1 >= 8_000_000 && fired[1].1 >= 35_000_000)
    // Disarmed, then armed again before the heap has seen it.
    never.arm(at: Reactor.clock())
    #expect(try turn(reactor) { fired.count == 3 })
  }

  @Test func tenThousandAgreeWithAnIndependentModel() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("timer seed \(seed)")
    var random = SeededGenerator(seed: seed)
    let reactor = try Reactor()
    let base = Reactor.clock()
    var deadlines = [UInt64?](repeating: nil, count: 10_000)
    var fired: [(Int, UInt64)] = []
    var timers: [ReactorTimer?] = (0..<deadlines.count).map { index in
      ReactorTimer(reactor) { fired.append((index, reactor.now)) }
    }
    for _ in 0..<40_000 {
      let index = Int.random(in: 0..<deadlines.count, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        timers[index]?.disarm()
        deadlines[index] = nil
      case 1:
        timers[index] = nil
        deadlines[index] = nil
      default:
        if timers[index] != nil {
          let time = base + 200_000_000 + UInt64.random(in: 0..<100_000_000, using: &random)
          timers[index]?.arm(at: time)
          deadlines[index] = time
        }
      }
    }
    let due = deadlines.indices.filter { deadlines[$0] != nil }
    #expect(try turn(reactor) { fired.count >= due.count }, "seed \(seed)")
    try reactor.runOnce(maximumWait: 0)
    let complete = fired.map { $0.0 }.sorted() == due
    #expect(complete, "seed \(seed)")
    let times = fired.map { deadlines[$0.0] ?? 0 }
    let inOrder = times == times.sorted()
    #expect(inOrder, "seed \(seed)")
    let noneEarly = fired.allSatisfy { (deadlines[$0.0] ?? .max) <= $0.1 }
    #expect(noneEarly, "seed \(seed)")
  }

  @Test func actionMayRearmAndReleaseItsTimer() throws {
    let reactor = try Reactor()
    var count = 0
    var timer: ReactorTimer?
    timer = ReactorTimer(reactor) {
      count += 1
      if count < 3 { timer?.arm(at: 0) } else { timer = nil }
    }
    timer?.arm(at: 0)
    #expect(try turn(reactor) { count == 3 })
    #expect(timer == nil)
    try reactor.runOnce(maximumWait: 1_000_000)
    #expect(count == 3)
  }

  @Test func waitIsFinerThanAMillisecond() throws {
    let reactor = try Reactor()
    var shortest = UInt64.max
    for _ in 0..<50 {
      var fired = false
      let start = Reactor.clock()
      let timer = ReactorTimer(reactor) { fired = true }
      timer.arm(at: start + 100_000)
      #expect(try turn(reactor) { fired })
      shortest = min(shortest, Reactor.clock() - start)
      _ = timer
    }
    #expect(shortest >= 100_000)
    #expect(shortest < 900_000)
  }
}
