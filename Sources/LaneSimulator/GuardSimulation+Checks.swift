internal import LaneCore

extension GuardSimulation {
  /// What a guard says of an arrival, held against what it meets.
  mutating func check(_ arrival: ConflictGuard.Arrival, _ index: Int, _ meetings: [GuardOracle.Meeting], _ ghosts: Set<Int>) {
    let held = meetings.filter { $0.waits }
    guard arrival.isHeld == (mode == .serialize && !held.isEmpty) else {
      find(.wronglyDecided(operation: index, isHeld: arrival.isHeld))
      return
    }
    let told = held.isEmpty ? meetings : held
    guard let sighting = arrival.sighting else {
      if !told.isEmpty || !ghosts.isEmpty { find(.wronglyTold(operation: index, by: nil)) }
      return
    }
    let earlier = Int(sighting.earlier.stamp)
    let isRight: Bool
    if sighting.isOver {
      isRight = told.isEmpty && ghosts.contains(earlier) && sighting.conflict.reason == .ghostExtent && !sighting.conflict.holds
      coverage.ghosts += 1
    } else {
      isRight = told.contains {
        $0.operation == earlier && $0.reason == sighting.conflict.reason && $0.waits == sighting.conflict.holds
      }
      coverage.told += 1
    }
    if !isRight { find(.wronglyTold(operation: index, by: earlier)) }
  }

  /// After each step: who waits does so for something that runs, the guards count as the oracles do, and nobody waits for himself.
  mutating func checkBooks() {
    for node in nodes {
      if node.machine.held != node.oracle.waiting || node.machine.count != node.oracle.present.count {
        find(.wronglyCounted(held: node.machine.held, known: node.machine.count))
      }
      for waiting in node.oracle.present where waiting.isWaiting {
        let obstacles = node.oracle.obstacles(waiting)
        if obstacles.isEmpty { find(.heldForNothing(operation: waiting.operation)) }
        if !obstacles.contains(blocker(waiting.operation) ?? -1) { find(.wrongBlocker(operation: waiting.operation)) }
        if waitsForItself(waiting.operation) { find(.deadlock(operation: waiting.operation)) }
      }
    }
  }

  /// For which operation the guard says that this one waits.
  private func blocker(_ operation: Int) -> Int? {
    guard let held = operations[operation].held, let hold = nodes[held.node].machine.hold(held.ticket) else { return nil }
    return Int(hold.blocker.stamp)
  }

  /// Along what each operation waits for: where it is held, who the guard says and all that runs and that it must not run beside;
  /// where it is under way, what it has caused.
  private func waitsForItself(_ operation: Int) -> Bool {
    var seen: Set<Int> = []
    var open = [operation]
    while let next = open.popLast() {
      var needs: [Int] = []
      if let held = operations[next].held {
        if let claimant = nodes[held.node].oracle.claimant(next) { needs = nodes[held.node].oracle.obstacles(claimant) }
        if let blocker = blocker(next) { needs.append(blocker) }
      } else if operations[next].stage == .executing {
        needs = Array(operations[next].children)
      }
      for need in needs where seen.insert(need).inserted {
        if need == operation { return true }
        open.append(need)
      }
    }
    return false
  }
}
