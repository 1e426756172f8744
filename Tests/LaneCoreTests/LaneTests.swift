import TestBytes
import Testing

@testable import LaneCore

/// What a lane may do, told by a list of connections and a list of waiters.
private struct LaneModel {
  struct Idle {
    var id: Int
    var openedAt: UInt64
    var since: UInt64
  }
  var maximum: Int
  var queue: Int
  var idle: [Idle] = []
  var leased: [Int: UInt64] = [:]
  var dialling: [Int] = []
  var waiters: [Int] = []
  var total: Int { idle.count + leased.count + dialling.count }
}

@Suite struct LaneTests {
  /// Seeds are fixed; a failure names its own.
  @Test(arguments: 1...40)
  func randomWalkAgainstAModel(_ seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let maximum = Int.random(in: 1...6, using: &generator)
    let queue = Int.random(in: 0...5, using: &generator)
    var model = LaneModel(maximum: maximum, queue: queue)
    var lane = Lane(limits: LaneLimits(maxConnections: maximum, idleTimeout: 100, maxLifetime: 500, queueLimit: queue, queueTimeout: 50))
    var now: UInt64 = 1000
    var nextConnection = 1
    var nextWaiter = 1

    /// After room was made: the first waiter gets a dial.
    func expectReplacement(_ action: Lane.NextAction, _ step: Int) {
      if model.waiters.isEmpty {
        #expect(action == .none, "seed \(seed) step \(step)")
      } else {
        let waiter = model.waiters.removeFirst()
        #expect(action == .dial(waiter), "seed \(seed) step \(step)")
        model.dialling.append(waiter)
      }
    }

    for step in 0..<600 {
      now += UInt64.random(in: 0...30, using: &generator)
      switch Int.random(in: 0..<9, using: &generator) {
      case 0, 1, 2:
        let waiter = nextWaiter
        nextWaiter += 1
        let action = lane.lease(waiter)
        if let last = model.idle.popLast() {
          #expect(action == .reuse(last.id), "seed \(seed) step \(step)")
          model.leased[last.id] = last.openedAt
        } else if model.total < maximum {
          #expect(action == .dial, "seed \(seed) step \(step)")
          model.dialling.append(waiter)
        } else if model.waiters.count < queue {
          #expect(action == .wait, "seed \(seed) step \(step)")
          model.waiters.append(waiter)
        } else {
          #expect(action == .refuse(.queueFull), "seed \(seed) step \(step)")
        }
      case 3, 4:
        guard !model.dialling.isEmpty else { continue }
        model.dialling.remove(at: Int.random(in: 0..<model.dialling.count, using: &generator))
        if Int.random(in: 0..<4, using: &generator) > 0 {
          #expect(lane.dialEnded(succeeded: true) == .none)
          model.leased[nextConnection] = now
          nextConnection += 1
        } else {
          expectReplacement(lane.dialEnded(succeeded: false), step)
        }
      case 5:
        guard let (id, openedAt) = model.leased.min(by: { $0.key < $1.key }) else { continue }
        let action = lane.checkIn(id, openedAt: openedAt, now: now)
        if model.waiters.isEmpty {
          #expect(action == .none, "seed \(seed) step \(step)")
          model.leased[id] = nil
          model.idle.append(LaneModel.Idle(id: id, openedAt: openedAt, since: now))
        } else {
          #expect(action == .handOver(model.waiters.removeFirst()), "seed \(seed) step \(step)")
        }
      case 6:
        guard let id = model.leased.keys.max() else { continue }
        model.leased[id] = nil
        expectReplacement(lane.retired(), step)
      case 7:
        guard let waiter = model.waiters.randomElement(using: &generator) else {
          #expect(lane.abandonWait(nextWaiter) == false)
          continue
        }
        #expect(lane.abandonWait(waiter) == true)
        #expect(lane.abandonWait(waiter) == false)
        model.waiters.removeAll { $0 == waiter }
      default:
        if Bool.random(using: &generator), let lost = model.idle.randomElement(using: &generator) {
          #expect(lane.idleLost(lost.id) == true)
          #expect(lane.idleLost(lost.id) == false)
          model.idle.removeAll { $0.id == lost.id }
        } else {
          while let (id, reason) = lane.expire(now: now) {
            guard let index = model.idle.firstIndex(where: { $0.id == id }) else {
              Issue.record("seed \(seed) step \(step): \(id) was not idle")
              break
            }
            let gone = model.idle.remove(at: index)
            #expect(reason == (now - gone.since >= 100 ? .idleTimeout : .maxLifetime), "seed \(seed) step \(step)")
          }
          #expect(!model.idle.contains { now - $0.since >= 100 || now - $0.openedAt >= 500 }, "seed \(seed) step \(step)")
        }
      }
      #expect(lane.idleCount == model.idle.count && lane.leased == model.leased.count, "seed \(seed) step \(step)")
      #expect(lane.dialling == model.dialling.count && lane.waiting == model.waiters.count, "seed \(seed) step \(step)")
      #expect(model.total <= maximum && model.waiters.count <= queue, "seed \(seed) step \(step)")
      // Nobody waits while there is a connection or room for one.
      #expect(model.waiters.isEmpty || (model.idle.isEmpty && model.total == maximum), "seed \(seed) step \(step)")
    }
    #expect(lane.drainIdle() == model.idle.map(\.id))
    #expect(lane.idleCount == 0)
  }

  @Test func freshNeverReuses() {
    var lane = Lane(limits: LaneLimits(maxConnections: 2, queueLimit: 1))
    #expect(lane.lease(1) == .dial)
    #expect(lane.dialEnded(succeeded: true) == .none)
    #expect(lane.checkIn(7, openedAt: 0, now: 0) == .none)
    #expect(lane.lease(2, fresh: true) == .dial)
    #expect(lane.idleCount == 1)
  }
}

@Suite struct PeerHealthTests {
  @Test func pausesDoubleUpToTheLongest() {
    var health = PeerHealth(initial: 100, maximum: 500)
    var now: UInt64 = 10_000
    #expect(health.mayDial(now: 0) && !health.isDown)
    for (attempt, pause) in [100, 200, 400, 500, 500].enumerated() {
      #expect(health.mayDial(now: now))
      #expect(health.failed(now: now) == (attempt == 0))
      #expect(health.isDown)
      #expect(!health.mayDial(now: now) && !health.mayDial(now: now + UInt64(pause) - 1))
      #expect(health.mayDial(now: now + UInt64(pause)))
      now += UInt64(pause)
    }
    #expect(health.succeeded() == true)
    #expect(health.succeeded() == false)
    #expect(!health.isDown && health.mayDial(now: now))
    #expect(health.failed(now: now) == true)
    #expect(health.mayDial(now: now + 100) && !health.mayDial(now: now + 99))
  }

  @Test func dialsThatFailTogetherAreOneStep() {
    var health = PeerHealth(initial: 100, maximum: 5000)
    #expect(health.failed(now: 1000) == true)
    for _ in 0..<10 { #expect(health.failed(now: 1001) == false) }
    #expect(health.mayDial(now: 1101) && !health.mayDial(now: 1100))
  }

  @Test func isDownIsToldOnceWhateverThePauses() {
    for (initial, maximum) in [(0, 0), (0, 100), (100, 0), (.max, .max)] as [(UInt64, UInt64)] {
      var health = PeerHealth(initial: initial, maximum: maximum)
      #expect(health.failed(now: 5) == true)
      #expect(health.isDown)
      #expect(health.failed(now: 6) == false)
      #expect(health.succeeded() == true)
    }
  }
}
