internal import LaneCore
internal import NetEndpoint

extension GuardSimulation {
  // MARK: At a guard

  /// An operation arrives at a datanode's guard.
  mutating func arrive(_ index: Int, at node: Int) {
    guard let request = request(index, at: node), let claimant = claimant(index, at: node) else { return pass(index) }
    let meetings = nodes[node].oracle.meetings(claimant)
    let ghosts = meetings.isEmpty ? nodes[node].oracle.ghosts(claimant, now: now) : []
    let arrival = enter(request, at: node) ?? nodes[node].machine.arrive(request, now: now)
    let passage = ModelOperation.Passage(node: node, ticket: arrival.ticket)
    nodes[node].operations[arrival.ticket] = index
    operations[index].passages.append(passage)
    check(arrival, index, meetings, ghosts)
    var known = claimant
    known.isWaiting = arrival.isHeld
    known.since = now
    nodes[node].oracle.arrive(known)
    if arrival.isHeld {
      coverage.held += 1
      operations[index].held = passage
      at(now + operations[index].longestHold, .due(index, arrival.ticket))
    }
    goOn(arrival.released, at: node)
    if !arrival.isHeld { pass(index) }
  }

  /// As the sessions do: an operation on one extent asks for no more than that where nothing is in its way.
  private mutating func enter(_ request: ConflictGuard.Request, at node: Int) -> ConflictGuard.Arrival? {
    guard request.created == nil, request.extents.count == 1, let extent = request.extents.first else { return nil }
    return nodes[node].machine.enter(request.operation, request.claim, extent: extent, now: now).map { .init(entered: $0) }
  }

  /// Operations may go on, says a guard.
  mutating func goOn(_ tickets: [ConflictGuard.Ticket], at node: Int) {
    for ticket in tickets {
      guard let index = nodes[node].operations[ticket], let held = operations[index].held, held.node == node, held.ticket == ticket,
        let claimant = nodes[node].oracle.claimant(index)
      else {
        find(.wronglyReleased(operation: nodes[node].operations[ticket]))
        continue
      }
      if let obstacle = nodes[node].oracle.obstacles(claimant).first {
        find(.conflictRuns(operation: index, beside: obstacle))
      }
      coverage.released += 1
      nodes[node].oracle.run(index)
      operations[index].held = nil
    }
    for ticket in tickets {
      if let index = nodes[node].operations[ticket], operations[index].stage != .over { pass(index) }
    }
  }

  /// It was held for as long as it may be.
  mutating func reachLimit(_ index: Int, _ ticket: ConflictGuard.Ticket) {
    guard let held = operations[index].held, held.ticket == ticket else { return }
    coverage.limits += 1
    guard !refuses else { return complete(index, isAnswered: false) }
    nodes[held.node].machine.overrule(held.ticket)
    nodes[held.node].oracle.run(index)
    operations[index].held = nil
    pass(index)
  }

  mutating func end(_ passage: ModelOperation.Passage, _ index: Int, isAnswered: Bool) {
    // The guard ends a round itself.
    guard operations[index].kind != .round else { return }
    let released = nodes[passage.node].machine.end(passage.ticket, isAnswered: isAnswered, now: now) ?? []
    nodes[passage.node].oracle.end(index, isAnswered: isAnswered, now: now)
    goOn(released, at: passage.node)
  }

  // MARK: On its way

  /// Past a guard.
  private mutating func pass(_ index: Int) {
    switch operations[index].stage {
    case .outbound: soon(5, .inbound(index))
    case .inbound: execute(index)
    case .executing, .over: break
    }
  }

  mutating func reachTarget(_ index: Int) {
    operations[index].stage = .inbound
    arrive(index, at: operations[index].target)
  }

  private mutating func execute(_ index: Int) {
    operations[index].stage = .executing
    let operation = operations[index]
    soon(longestWork, .done(index))
    switch operation.kind {
    case .delete:
      for follower in operation.followers {
        var leg = operation
        (leg.sender, leg.target, leg.followers, leg.parent) = (operation.target, follower, [], index)
        (leg.stage, leg.passages, leg.held, leg.isDone) = (.outbound, [], nil, false)
        cause(leg, by: index)
      }
    case .task:
      for id in operation.extents.sorted() {
        var read = repairRead(at: operation.target, operation.partition, id)
        read.parent = index
        cause(read, by: index)
      }
    case .repairRead, .tinyRead, .removal: break
    case .round:
      guard let sender = operation.sender, !random.once(in: 1 + tasksFollowRounds) else { return }
      // The leader asks the others, too, before it says what is to be repaired.
      var task = ModelOperation(
        kind: .task, sender: sender, target: operation.target, partition: operation.partition, extents: operation.extents)
      task.created = someCreated(task.extents)
      let next = add(task)
      soon(random.once(in: 4) ? 8_000 : 400, .begin(next))
    }
  }

  private mutating func cause(_ operation: ModelOperation, by index: Int) {
    let child = add(operation)
    operations[index].children.insert(child)
    soon(random.once(in: 2) ? 5 : 200, .begin(child))
  }

  mutating func completeIfDone(_ index: Int) {
    let operation = operations[index]
    if operation.stage == .executing, operation.isDone, operation.children.isEmpty { complete(index, isAnswered: true) }
  }

  /// Answered, or refused or abandoned.
  mutating func complete(_ index: Int, isAnswered: Bool) {
    let operation = operations[index]
    operations[index].stage = .over
    operations[index].held = nil
    // A reader that has what it wants may leave replies unread: the sidecar beside it learns of that when the connection is used again.
    let isLeft = isAnswered && operation.reads && operation.parent != nil && random.once(in: 3)
    for passage in operation.passages.reversed() where !isLeft || passage.node != operation.sender {
      end(passage, index, isAnswered: isAnswered)
    }
    if isLeft {
      coverage.left += 1
      soon(60_000, .endAgain(index))
    }
    if random.once(in: 10) { soon(100, .endAgain(index)) }
    guard let parent = operation.parent else { return }
    operations[parent].children.remove(index)
    completeIfDone(parent)
  }

  // MARK: What an operation is to a guard

  private func endpoint(_ node: Int) -> Endpoint { Endpoint(address: 0x0A00_0001 + UInt32(node), port: 17310) }

  private func request(_ index: Int, at node: Int) -> ConflictGuard.Request? {
    let operation = operations[index]
    let isOutbound = operation.stage == .outbound
    let owner = isOutbound ? endpoint(operation.target) : nil
    let name = LaneEvent.Operation(
      .other, opcode: 0, stamp: Int64(index), callerReqID: 0, partitionID: operation.partition, extentID: 0, extentOffset: 0)
    let extents = ExtentSet(Array(operation.extents))
    func claim(_ owner: Endpoint?, _ role: ConflictRole) -> ConflictGuard.Claim {
      .init(owner: owner, partition: operation.partition, role: role)
    }
    switch operation.kind {
    case .delete:
      var claim = claim(owner, .delete)
      claim.hasFollowers = !isOutbound && !operation.followers.isEmpty
      return .init(name, claim, extents)
    case .repairRead where isOutbound:
      var claim = claim(nil, .repair)
      (claim.otherOwner, claim.otherRole) = (owner, .repairRead)
      return .init(name, claim, extents)
    case .repairRead: return .init(name, claim(nil, .repairRead), extents)
    case .tinyRead: return isOutbound ? .init(name, claim(nil, .repair), extents) : nil
    case .task: return .init(name, claim(owner, .repairTask), extents, created: ExtentSet(Array(operation.created)))
    case .round: return .init(name, claim(owner, .repairRound), .normal)
    case .removal: return .init(name, claim(owner, .removal), .all)
    }
  }

  private func claimant(_ index: Int, at node: Int) -> GuardOracle.Claimant? {
    let operation = operations[index]
    var shares: [GuardOracle.Share] = []
    func share(_ owner: Int, _ deed: GuardOracle.Deed) -> GuardOracle.Share {
      .init(owner: owner, partition: operation.partition, deed: deed, extents: operation.extents, created: operation.created)
    }
    let isSender = operation.stage == .outbound
    switch operation.kind {
    case .delete: shares = [share(operation.target, .delete)]
    case .repairRead: shares = isSender ? [share(node, .repair), share(operation.target, .read)] : [share(node, .read)]
    case .tinyRead: shares = isSender ? [share(node, .repair)] : []
    case .task: shares = [share(operation.target, .task)]
    case .round: shares = [share(operation.target, .round)]
    case .removal: shares = [share(operation.target, .removal)]
    }
    guard !shares.isEmpty else { return nil }
    return GuardOracle.Claimant(operation: index, shares: shares, hasFollowers: !isSender && !operation.followers.isEmpty)
  }
}
