internal import CubeFSWire
internal import DequeModule
internal import NetEndpoint

/// Serialises operations that conflict on one extent (G7, DESIGN.md section 6): each operation that can conflict arrives, is let go
/// on or held until those are over that it must not run beside, and ends.
///
/// All that an operation touches is taken at once, when it arrives or when the last that it waits for has ended, so that none
/// holds a part while it waits for another. Nobody waits for who waits: repairs go past waiting deletes, and deletes past repairs that wait
/// for other deletes; so that what an operation waits for always runs, and no deadlock is possible among those held.
/// How long one is held its session decides: at the limit it is let go on, or leaves.
///
/// Each delete and each repair comes here, and next to none conflicts: what is kept of one is plain numbers, and lists of extents stand aside.
public struct ConflictGuard {
  fileprivate struct Place: Hashable {
    /// 0 for the local datanode.
    var owner: UInt64
    var partition: UInt64

    init(_ owner: Endpoint?, _ partition: UInt64) {
      self.owner = owner.map { 1 << 48 | UInt64($0.address) << 16 | UInt64($0.port) } ?? 0
      self.partition = partition
    }
  }

  private struct Entry {
    /// That of its ticket; 0 where the slot is free.
    var number: UInt64
    /// In which order it arrived.
    var order: UInt64
    var since: UInt64
    var place: Place
    /// Of the same partition, where it touches that; else `otherRole` is none.
    var otherPlace: Place
    var extents: ExtentSet.Brief
    var role: ConflictRole
    var otherRole: ConflictRole
    var hasFollowers: Bool
    /// More of it is in `lists`.
    var hasLists = false
    /// Others wait for it.
    var hasWaiters = false
    /// Why it waits; nil where it runs.
    var reason: Reason?
    /// For whom it waits.
    var blocker = Ticket(number: 0)
    var operation: LaneEvent.Operation

    func place(_ isOther: Bool) -> Place { isOther ? otherPlace : place }
    func role(_ isOther: Bool) -> ConflictRole { isOther ? otherRole : role }
  }

  /// What an operation touches where that is more than one extent.
  private struct Lists {
    var extents: ExtentSet
    var created: ExtentSet?
    /// Extents that are kept one by one.
    var count: Int
  }

  /// The claims that stand in one bucket are a list, in the order of arrival. A claim is known by twice its operation's slot, and one
  /// more for what it touches at the other datanode.
  private struct Link {
    var before: Int32 = -1
    var after: Int32 = -1
  }

  private struct Bucket {
    var first: Int32 = -1
    var last: Int32 = -1
    /// How many of its claims are deletes, repairs or their reads, and others. Neither deletes nor repairs conflict among themselves.
    var deletes: Int32 = 0
    var repairs: Int32 = 0
    var others: Int32 = 0

    mutating func count(_ role: ConflictRole, _ change: Int32) {
      switch role {
      case .delete: deletes += change
      case .repair, .repairRead: repairs += change
      case .none, .repairTask, .repairRound, .removal: others += change
      }
    }

    /// No claim in it can conflict with that one of its own.
    func isPeaceful(for role: ConflictRole) -> Bool {
      switch role {
      case .delete: repairs == 0 && others == 0
      case .repair, .repairRead: deletes == 0 && others == 0
      case .none, .repairTask, .repairRound, .removal: deletes == 0 && repairs == 0 && others == 1
      }
    }
  }

  /// A delete that has run, in little more than a cache line: there are thousands.
  fileprivate struct Deleted {
    var place: Place
    var extents: ExtentSet.Brief
    var stamp: Int64
    var process: UInt64?
    var operationClass: OperationClass
    var opcode: UInt8
    var since: UInt64
    var until: UInt64
  }

  /// How long a repair round may last, nanoseconds: a leader that has asked one replica may wait a minute for another, or give up.
  public static let longestRound: UInt64 = 5_000_000_000
  /// How long a delete is remembered, nanoseconds: a leader's list of extents may be that old when its notification comes.
  public static let memory: UInt64 = 60_000_000_000
  /// The most deletes that are remembered, and the most extents of theirs that are kept one by one.
  public static let mostRemembered = 4096
  static let mostRememberedExtents = 65_536
  /// The most extents that are known one by one, of all operations together; beyond them an operation counts as touching all of its
  /// partition.
  static let mostExtents = 1 << 20
  private static let bucketCount = 1024

  /// What is done about conflicts.
  public let mode: Mode
  private var slots: [Entry] = []
  private var free: [Int] = []
  private var lists: [Int: Lists] = [:]
  private var waiters: [Int: [Ticket]] = [:]
  private var links: [Link] = []
  private var buckets = [Bucket](repeating: Bucket(), count: Self.bucketCount)
  private var linked = 0
  private var generation: UInt64 = 0
  private var orders: UInt64 = 0
  private var rounds: [Place: Ticket] = [:]
  private var deleted: Deque<Deleted> = []
  // By how many deletes were remembered before.
  private var deletedLists: [UInt64: ExtentSet] = [:]
  private var forgotten: UInt64 = 0
  private var deletedExtents = 0
  private var extents = 0
  /// How many are held.
  public private(set) var held = 0

  private let mutations: GuardMutations

  /// A guard that knows of no operation.
  public init(mode: Mode) { self.init(mode: mode, mutations: []) }

  package init(mode: Mode, mutations: GuardMutations) {
    self.mode = mode
    self.mutations = mutations
  }

  /// How many operations it knows of, repair rounds included.
  public var count: Int { slots.count - free.count }
  /// What it keeps of operations that are not over, deletes that it remembers aside: nothing where there are none.
  package var leftovers: Int { count + held + linked + rounds.count + extents + lists.count + waiters.count }

  // MARK: Arriving

  /// A delete or a repair of one extent arrives, if it conflicts with nothing: it goes on. Otherwise nil, and nothing is changed: it
  /// must arrive by `arrive`, which tells.
  /// - Parameter now: nanoseconds of the monotonic clock.
  public mutating func enter(_ operation: LaneEvent.Operation, _ claim: Claim, extent: UInt64, now: UInt64) -> Ticket? {
    guard claim.role == .delete || claim.role.isRepair else { return nil }
    if !mutations.isEmpty { return enterSpoilt(Request(operation, claim, ExtentSet(extent)), now: now) }
    return enter(operation, claim, .one(extent), now: now)
  }

  private mutating func enterSpoilt(_ request: consuming Request, now: UInt64) -> Ticket? {
    mutations.spoil(&request)
    return enter(request.operation, request.claim, request.extents.brief, now: now)
  }

  @inline(__always)
  private mutating func enter(_ operation: LaneEvent.Operation, _ claim: Claim, _ extents: ExtentSet.Brief, now: UInt64) -> Ticket? {
    let ticket = insert(operation, claim, extents, now: now)
    if isAtPeace(ticket.slot) || mutations.contains(.enterBlindly) { return ticket }
    var meetsSomebody = false
    if search(ticket.slot, see: { _ in meetsSomebody = true }) == nil, !meetsSomebody { return ticket }
    _ = remove(ticket)
    return nil
  }

  /// An operation has arrived. A repair round needs no end: it ends with the task, or by `expire`.
  /// - Parameter now: nanoseconds of the monotonic clock.
  public mutating func arrive(_ request: consuming Request, now: UInt64) -> Arrival {
    if !mutations.isEmpty { mutations.spoil(&request) }
    let role = request.claim.role
    let place = Place(request.claim.owner, request.claim.partition)
    var released: [Ticket] = []
    if mutations.contains(.roundEndsFirst), role == .repairTask, let round = rounds.removeValue(forKey: place) {
      released = remove(round)
    }
    let ticket = insert(request, now: now)
    var sighting: Sighting?
    let blocker = search(ticket.slot) { sighting = $0 }
    if sighting == nil, role == .repairTask { sighting = pastDelete(ticket.slot, now: now) }
    let isHeld = blocker != nil && (mode == .serialize || mutations.contains(.detectHolds))
    if isHeld, let blocker { wait(ticket, for: blocker.ticket, blocker.reason) }
    switch role {
    case .repairTask where !mutations.contains(.taskKeepsRound):
      // The task takes its round's place before the round ends: who waits for the one waits for the other.
      if let round = rounds.removeValue(forKey: place) { released = remove(round) }
    case .repairRound:
      if let older = rounds.updateValue(ticket, forKey: place), !mutations.contains(.keepOlderRound) { released = remove(older) }
    default: break
    }
    return Arrival(ticket: ticket, sighting: sighting, isHeld: isHeld, released: released)
  }

  private mutating func insert(_ request: Request, now: UInt64) -> Ticket {
    var own = Lists(extents: request.extents, created: request.created, count: 0)
    let count = max(1, own.extents.count ?? 1) + max(1, own.created?.count ?? 1) - 2
    if extents + count > Self.mostExtents {
      own.extents = .all
      own.created = own.created.map { _ in .all }
    } else {
      own.count = count
      extents += count
    }
    let ticket = insert(request.operation, request.claim, own.extents.brief, now: now)
    if own.extents.brief == .listed || own.created != nil {
      lists[ticket.slot] = own
      slots[ticket.slot].hasLists = true
    }
    return ticket
  }

  @inline(__always)
  private mutating func insert(_ operation: LaneEvent.Operation, _ claim: Claim, _ extents: ExtentSet.Brief, now: UInt64) -> Ticket {
    let slot = free.popLast() ?? slots.count
    generation = max(1, (generation &+ 1) & 0xFFFF_FFFF)
    orders &+= 1
    let ticket = Ticket(number: generation << 32 | UInt64(slot))
    let place = Place(claim.owner, claim.partition)
    let otherPlace = claim.otherRole == .none ? place : Place(claim.otherOwner, claim.partition)
    let entry = Entry(
      number: ticket.number, order: orders, since: now, place: place, otherPlace: otherPlace, extents: extents, role: claim.role,
      otherRole: claim.otherRole, hasFollowers: claim.hasFollowers, operation: operation)
    if slot == slots.count {
      slots.append(entry)
      links.append(Link())
      links.append(Link())
    } else {
      slots[slot] = entry
    }
    link(2 * slot, place.bucket, claim.role)
    if claim.otherRole != .none { link(2 * slot + 1, otherPlace.bucket, claim.otherRole) }
    return ticket
  }

  private mutating func link(_ claim: Int, _ bucket: Int, _ role: ConflictRole) {
    let number = Int32(truncatingIfNeeded: claim)
    let last = buckets[bucket].last
    links[claim] = Link(before: last, after: -1)
    if last < 0 { buckets[bucket].first = number } else { links[Int(last)].after = number }
    buckets[bucket].last = number
    buckets[bucket].count(role, 1)
    linked += 1
  }

  private mutating func unlink(_ claim: Int, _ bucket: Int, _ role: ConflictRole) {
    let link = links[claim]
    if link.before < 0 { buckets[bucket].first = link.after } else { links[Int(link.before)].after = link.after }
    if link.after < 0 { buckets[bucket].last = link.before } else { links[Int(link.after)].before = link.before }
    buckets[bucket].count(role, -1)
    linked -= 1
  }

  /// Whether that operation is not over.
  private func knows(_ ticket: Ticket) -> Bool {
    guard ticket.slot < slots.count, slots[ticket.slot].number != 0 else { return false }
    return slots[ticket.slot].number == ticket.number || mutations.contains(.ignoreGeneration)
  }

  // MARK: Conflicts

  /// Nothing stands where it does that could conflict with it.
  private func isAtPeace(_ slot: Int) -> Bool {
    let (role, otherRole) = (slots[slot].role, slots[slot].otherRole)
    guard buckets[slots[slot].place.bucket].isPeaceful(for: role) else { return false }
    return otherRole == .none || buckets[slots[slot].otherPlace.bucket].isPeaceful(for: otherRole)
  }

  /// Finds whom an operation must wait for: the first that arrived before it, or runs.
  /// - Parameter see: is told of each conflict that counts more than those before it.
  private func search(_ slot: Int, see: (Sighting) -> Void = { _ in }) -> (ticket: Ticket, reason: Reason)? {
    var isSeen = false
    if let blocker = search(slot, isOther: false, &isSeen, see) { return blocker }
    return slots[slot].otherRole == .none ? nil : search(slot, isOther: true, &isSeen, see)
  }

  private func search(
    _ slot: Int, isOther: Bool, _ isSeen: inout Bool, _ see: (Sighting) -> Void
  ) -> (ticket: Ticket, reason: Reason)? {
    let bucket = slots[slot].place(isOther).bucket
    if buckets[bucket].isPeaceful(for: slots[slot].role(isOther)) { return nil }
    var next = buckets[bucket].first
    while next >= 0 {
      let (candidate, candidateIsOther) = (Int(next) / 2, next & 1 == 1)
      next = links[Int(next)].after
      guard candidate != slot else { continue }
      let isWaiting = slots[candidate].reason != nil
      guard slots[candidate].order < slots[slot].order || (!isWaiting && !mutations.contains(.earlierOnly)) else { continue }
      guard let found = conflict(of: slot, isOther, with: candidate, candidateIsOther, isWaiting) else { continue }
      if found.holds || !isSeen {
        isSeen = true
        see(
          Sighting(
            conflict: found, earlier: slots[candidate].operation, since: slots[candidate].since, isOver: false))
      }
      if found.holds { return (Ticket(number: slots[candidate].number), found.reason) }
    }
    return nil
  }

  private func conflict(
    of later: Int, _ laterIsOther: Bool, with earlier: Int, _ earlierIsOther: Bool, _ isWaiting: Bool
  ) -> ConflictTable.Conflict? {
    guard slots[earlier].place(earlierIsOther) == slots[later].place(laterIsOther) else { return nil }
    let found = ConflictTable.conflict(
      of: slots[later].role(laterIsOther), with: slots[earlier].role(earlierIsOther), isWaiting: isWaiting,
      hasFollowers: slots[earlier].hasFollowers, creates: created(by: later)?.intersects(extents(of: earlier)) ?? false,
      mutations: mutations)
    guard let found, share(later, earlier) else { return nil }
    return found
  }

  private func extents(of slot: Int) -> ExtentSet { ExtentSet(brief: slots[slot].extents) ?? lists[slot]?.extents ?? .all }

  private func created(by slot: Int) -> ExtentSet? { slots[slot].hasLists ? lists[slot]?.created : nil }

  private func share(_ one: Int, _ two: Int) -> Bool {
    if case .one(let id) = slots[one].extents, case .one(let other) = slots[two].extents { return id == other }
    return extents(of: one).intersects(extents(of: two))
  }

  /// A task that creates what was deleted: its list is older than the delete.
  private mutating func pastDelete(_ slot: Int, now: UInt64) -> Sighting? {
    forgetDeletes(now: now)
    guard let created = created(by: slot), !created.isEmpty else { return nil }
    let place = slots[slot].place
    let index = deleted.indices.last {
      deleted[$0].place == place
        && (ExtentSet(brief: deleted[$0].extents) ?? deletedLists[forgotten &+ UInt64($0)] ?? .all).intersects(created)
    }
    guard let index else { return nil }
    return Sighting(
      conflict: .init(reason: .ghostExtent, holds: false), earlier: deleted[index].operation, since: deleted[index].since, isOver: true)
  }

  // MARK: Waiting

  private mutating func wait(_ ticket: Ticket, for blocker: Ticket, _ reason: Reason) {
    if slots[ticket.slot].reason == nil { held += 1 }
    slots[ticket.slot].reason = reason
    slots[ticket.slot].blocker = blocker
    waiters[blocker.slot, default: []].append(ticket)
    slots[blocker.slot].hasWaiters = true
  }

  private mutating func run(_ slot: Int) {
    guard slots[slot].reason != nil else { return }
    let (ticket, blocker) = (Ticket(number: slots[slot].number), slots[slot].blocker)
    slots[slot].reason = nil
    held -= 1
    guard knows(blocker), !mutations.contains(.keepWaiter) else { return }
    waiters[blocker.slot]?.removeAll { $0 == ticket }
    if waiters[blocker.slot]?.isEmpty ?? true { waiters[blocker.slot] = nil }
  }

  /// An operation that is held has reached its limit and goes on all the same.
  public mutating func overrule(_ ticket: Ticket) {
    if knows(ticket) { run(ticket.slot) }
  }

  /// For whom an operation waits; nil where it does not.
  public func hold(_ ticket: Ticket) -> Hold? {
    guard knows(ticket), let reason = slots[ticket.slot].reason, knows(slots[ticket.slot].blocker) else { return nil }
    let own = slots[ticket.slot]
    let other = slots[own.blocker.slot]
    return Hold(waiting: own.operation, blocker: other.operation, blockerSince: other.since, since: own.since, reason: reason)
  }

  /// Who waits for whom, in the order of arrival.
  public var holds: [Hold] {
    if held == 0 { return [] }
    return slots.filter { $0.number != 0 && $0.reason != nil }.sorted { $0.order < $1.order }.compactMap {
      hold(Ticket(number: $0.number))
    }
  }

  // MARK: Ending

  /// An operation is over, or was given up while it was held. Returns who may go on now, in the order of arrival.
  /// - Parameter isAnswered: its datanode has answered it. With a repair task the repairs that it has caused are over, too, even where
  ///   their reader has left a reply unread and its connection in its pool.
  public mutating func end(_ ticket: Ticket, isAnswered: Bool = false, now: UInt64) -> [Ticket] {
    guard knows(ticket) else { return [] }
    let slot = ticket.slot
    switch slots[slot].role {
    case .delete:
      if slots[slot].reason == nil || mutations.contains(.rememberAbandoned), !mutations.contains(.forgetDeletes) {
        remember(slot, now: now)
      }
    case .repairTask where isAnswered && !mutations.contains(.keepTasksRepairs):
      let repairs = repairsCaused(by: slot)
      let released = remove(ticket)
      return repairs.reduce(into: released) { $0 += remove($1) }
    default: break
    }
    return remove(ticket)
  }

  /// Repairs of what a task names that have begun after it and run: the datanode that answers a task has waited for all of them
  /// (CubeFS `datanode/partition.go`, `DoExtentStoreRepair`). Those that the datanode does as a leader arrive like them,
  /// and are not told apart: but a partition has one leader, which is sent no tasks for it.
  private func repairsCaused(by task: Int) -> [Ticket] {
    var repairs: [Ticket] = []
    var next = buckets[slots[task].place.bucket].first
    while next >= 0 {
      let (candidate, isOther) = (Int(next) / 2, next & 1 == 1)
      next = links[Int(next)].after
      guard !isOther, slots[candidate].role == .repair, slots[candidate].place == slots[task].place, slots[candidate].reason == nil,
        slots[candidate].order > slots[task].order || mutations.contains(.endOlderRepairs), share(candidate, task)
      else { continue }
      repairs.append(Ticket(number: slots[candidate].number))
    }
    return repairs
  }

  private mutating func remember(_ slot: Int, now: UInt64) {
    forgetDeletes(now: now)
    if deleted.count == Self.mostRemembered { forgetDelete() }
    if slots[slot].hasLists, let extents = lists[slot]?.extents {
      deletedLists[forgotten &+ UInt64(deleted.count)] = extents
      deletedExtents += extents.count ?? 0
      // One list alone is never over the bound (`ExtentSet.mostListed`).
      while deletedExtents > Self.mostRememberedExtents, !deleted.isEmpty { forgetDelete() }
    }
    deleted.append(
      Deleted(
        place: slots[slot].place, extents: slots[slot].extents, stamp: slots[slot].operation.stamp,
        process: slots[slot].operation.process, operationClass: slots[slot].operation.operationClass,
        opcode: slots[slot].operation.opcode.rawValue, since: slots[slot].since, until: now &+ Self.memory))
  }

  /// Ends rounds that have lasted too long. Returns who may go on now.
  public mutating func expire(now: UInt64) -> [Ticket] {
    var released: [Ticket] = []
    if mutations.contains(.endlessRounds) { return [] }
    if rounds.isEmpty { return [] }
    let over = rounds.filter { !knows($0.value) || now >= slots[$0.value.slot].since &+ Self.longestRound }
    for (place, round) in over.sorted(by: { $0.value.number < $1.value.number }) {
      rounds[place] = nil
      released += remove(round)
    }
    return released
  }

  @inline(__always)
  private mutating func forgetDeletes(now: UInt64) {
    while !deleted.isEmpty, now >= deleted[0].until, !mutations.contains(.rememberForEver) { forgetDelete() }
  }

  private mutating func forgetDelete() {
    if case .listed = deleted[0].extents { deletedExtents -= deletedLists.removeValue(forKey: forgotten)?.count ?? 0 }
    deleted.removeFirst()
    forgotten &+= 1
  }

  private mutating func remove(_ ticket: Ticket) -> [Ticket] {
    guard knows(ticket) else { return [] }
    let slot = ticket.slot
    run(slot)
    unlink(2 * slot, slots[slot].place.bucket, slots[slot].role)
    if slots[slot].otherRole != .none { unlink(2 * slot + 1, slots[slot].otherPlace.bucket, slots[slot].otherRole) }
    if slots[slot].hasLists, let own = lists.removeValue(forKey: slot), !mutations.contains(.keepExtents) { extents -= own.count }
    slots[slot].number = 0
    free.append(slot)
    return slots[slot].hasWaiters ? release(waiters.removeValue(forKey: slot) ?? []) : []
  }

  /// Who waited for an operation that is over goes on, or waits for another.
  private mutating func release(_ waiters: [Ticket]) -> [Ticket] {
    if mutations.contains(.releaseNone) { return [] }
    var released: [Ticket] = []
    for ticket in waiters.filter({ knows($0) }).sorted(by: { slots[$0.slot].order < slots[$1.slot].order }) {
      if let blocker = search(ticket.slot), !mutations.contains(.releaseAll) {
        wait(ticket, for: blocker.ticket, blocker.reason)
      } else {
        run(ticket.slot)
        released.append(ticket)
      }
    }
    return released
  }
}

extension ConflictGuard.Place {
  /// Where its claims stand. Partitions count up from small numbers, and peers differ in their addresses' lower bits.
  fileprivate var bucket: Int {
    Int(truncatingIfNeeded: ((partition ^ owner &* 0xD6E8_FEB8_6659_FD93) &* 0x9E37_79B9_7F4A_7C15) >> 54)
  }
}

extension ConflictGuard.Deleted {
  /// The delete, as far as it is remembered.
  fileprivate var operation: LaneEvent.Operation {
    var operation = LaneEvent.Operation(
      operationClass, opcode: opcode, stamp: stamp, callerReqID: 0, partitionID: place.partition,
      extentID: ExtentSet(brief: extents)?.first ?? 0, extentOffset: 0)
    operation.process = process
    return operation
  }
}
