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
/// Each delete and each repair comes here, and next to none conflicts: what is kept of one is plain numbers in arrays that nobody else
/// can hold, and lists of extents stand aside.
public struct ConflictGuard: ~Copyable {
  /// A partition of one datanode.
  struct Place: Hashable {
    /// 0 for the local datanode.
    var owner: UInt64
    var partition: UInt64

    init(_ owner: Endpoint?, _ partition: UInt64) {
      self.owner = owner.map { 1 << 48 | UInt64($0.address) << 16 | UInt64($0.port) } ?? 0
      self.partition = partition
    }

    /// Where its claims stand. Partitions count up from small numbers, and peers differ in their addresses' lower bits.
    var bucket: Int {
      Int(truncatingIfNeeded: ((partition ^ owner &* 0xD6E8_FEB8_6659_FD93) &* 0x9E37_79B9_7F4A_7C15) >> 54)
    }
  }

  // Neither this nor Bucket is private, for the reason that `DeleteMemory.Deleted` is not.
  struct Entry {
    /// That of its ticket; 0 where the slot is free.
    var number: UInt64 = 0
    /// In which order it arrived.
    var order: UInt64 = 0
    var since: UInt64 = 0
    var place = Place(nil, 0)
    /// Of the same partition, where it touches that; else `otherRole` is none.
    var otherPlace = Place(nil, 0)
    var extents = ExtentSet.Brief.all
    var role = ConflictRole.none
    var otherRole = ConflictRole.none
    var hasFollowers = false
    /// More of it is in `lists`.
    var hasLists = false
    /// Others wait for it.
    var hasWaiters = false
    /// Why it waits; nil where it runs.
    var reason: Reason?
    /// For whom it waits.
    var blocker = Ticket(number: 0)
    /// Of what it touches, and of what it touches at the other datanode.
    var link = Link()
    var otherLink = Link()
    var operation: LaneEvent.Operation

    /// All but `otherPlace` and `otherLink`: in place, as it is large.
    @inline(__always)
    mutating func occupy(
      _ ticket: Ticket, order: UInt64, since: UInt64, _ place: Place, _ extents: ExtentSet.Brief, _ claim: Claim, after: ClaimIndex,
      _ operation: LaneEvent.Operation
    ) {
      number = ticket.number
      self.order = order
      self.since = since
      self.place = place
      self.extents = extents
      role = claim.role
      otherRole = claim.otherRole
      hasFollowers = claim.hasFollowers
      hasLists = false
      hasWaiters = false
      reason = nil
      link = Link(before: after, after: .none)
      self.operation = operation
    }

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

  /// What an operation touches at one datanode: known by twice its slot, and one more at the other datanode.
  struct ClaimIndex: Equatable {
    static let none = ClaimIndex(number: -1)

    var number: Int32

    init(_ slot: Int, isOther: Bool) { number = Int32(truncatingIfNeeded: 2 * slot + (isOther ? 1 : 0)) }
    private init(number: Int32) { self.number = number }

    var slot: Int { Int(number >> 1) }
    var isOther: Bool { number & 1 == 1 }
    var exists: Bool { number >= 0 }
  }

  /// The claims that stand in one bucket are a list, in the order of arrival.
  struct Link {
    var before = ClaimIndex.none
    /// Of a slot that is free the next free one.
    var after = ClaimIndex.none
  }

  struct Bucket {
    var first = ClaimIndex.none
    var last = ClaimIndex.none
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

  /// How long a repair round may last, nanoseconds: a leader that has asked one replica may wait a minute for another, or give up.
  public static let longestRound: UInt64 = 5_000_000_000
  /// The most extents that are known one by one, of all operations together; beyond them an operation counts as touching all of its
  /// partition.
  static let mostExtents = 1 << 20
  private static let bucketCount = 1024

  /// What is done about conflicts.
  public let mode: Mode
  private var slots = UniqueDeque<Entry>()
  private var firstFree = ClaimIndex.none
  private var lists: [Int: Lists] = [:]
  private var waiters: [Int: [Ticket]] = [:]
  private var buckets = UniqueDeque(repeating: Bucket(), count: Self.bucketCount)
  private var linked = 0
  private var generation: UInt64 = 0
  private var orders: UInt64 = 0
  private var rounds: [Place: Ticket] = [:]
  private var deleted = DeleteMemory()
  private var extents = 0
  /// How many operations it knows of, repair rounds included.
  public private(set) var count = 0
  /// How many are held.
  public private(set) var held = 0

  private let mutations: GuardMutations

  /// A guard that knows of no operation.
  public init(mode: Mode) { self.init(mode: mode, mutations: []) }

  package init(mode: Mode, mutations: GuardMutations) {
    self.mode = mode
    self.mutations = mutations
  }

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
    let (ticket, isAtPeace) = insert(operation, claim, extents, now: now)
    return isAtPeace || mutations.contains(.enterBlindly) || meetsNobody(ticket) ? ticket : nil
  }

  /// Whether an operation that has just arrived meets no conflict; else it is not known any more.
  @inline(never)
  private mutating func meetsNobody(_ ticket: Ticket) -> Bool {
    var meetsSomebody = false
    if search(ticket.slot, see: { _ in meetsSomebody = true }) == nil, !meetsSomebody { return true }
    _ = remove(ticket)
    return false
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
    let (ticket, _) = insert(request.operation, request.claim, own.extents.brief, now: now)
    if own.extents.brief == .listed || own.created != nil {
      lists[ticket.slot] = own
      slots[ticket.slot].hasLists = true
    }
    return ticket
  }

  /// Returns what it is known by, and whether nothing stands where it does that could conflict with it.
  @inline(__always)
  private mutating func insert(
    _ operation: LaneEvent.Operation, _ claim: Claim, _ extents: ExtentSet.Brief, now: UInt64
  ) -> (ticket: Ticket, isAtPeace: Bool) {
    let slot = firstFree.exists ? firstFree.slot : slots.count
    if firstFree.exists { firstFree = slots[slot].link.after } else { slots.append(Entry(operation: operation)) }
    generation = max(1, (generation &+ 1) & 0xFFFF_FFFF)
    orders &+= 1
    count += 1
    let ticket = Ticket(number: generation << 32 | UInt64(slot))
    let place = Place(claim.owner, claim.partition)
    let before = link(ClaimIndex(slot, isOther: false), place.bucket, claim.role)
    slots[slot].occupy(ticket, order: orders, since: now, place, extents, claim, after: before, operation)
    if claim.otherRole == .none { return (ticket, buckets[place.bucket].isPeaceful(for: claim.role)) }
    let otherPlace = Place(claim.otherOwner, claim.partition)
    slots[slot].otherPlace = otherPlace
    slots[slot].otherLink = Link(before: link(ClaimIndex(slot, isOther: true), otherPlace.bucket, claim.otherRole), after: .none)
    return (ticket, buckets[place.bucket].isPeaceful(for: claim.role) && buckets[otherPlace.bucket].isPeaceful(for: claim.otherRole))
  }

  /// Puts a claim at the end of a bucket. Returns the one before it.
  @inline(__always)
  private mutating func link(_ claim: ClaimIndex, _ bucket: Int, _ role: ConflictRole) -> ClaimIndex {
    let last = buckets[bucket].last
    if last.exists { setAfter(last, claim) } else { buckets[bucket].first = claim }
    buckets[bucket].last = claim
    buckets[bucket].count(role, 1)
    linked += 1
    return last
  }

  @inline(__always)
  private mutating func unlink(_ link: Link, _ bucket: Int, _ role: ConflictRole) {
    if link.before.exists { setAfter(link.before, link.after) } else { buckets[bucket].first = link.after }
    if link.after.exists { setBefore(link.after, link.before) } else { buckets[bucket].last = link.before }
    buckets[bucket].count(role, -1)
    linked -= 1
  }

  private mutating func setAfter(_ claim: ClaimIndex, _ after: ClaimIndex) {
    if claim.isOther { slots[claim.slot].otherLink.after = after } else { slots[claim.slot].link.after = after }
  }

  private mutating func setBefore(_ claim: ClaimIndex, _ before: ClaimIndex) {
    if claim.isOther { slots[claim.slot].otherLink.before = before } else { slots[claim.slot].link.before = before }
  }

  private func claim(after claim: ClaimIndex) -> ClaimIndex {
    claim.isOther ? slots[claim.slot].otherLink.after : slots[claim.slot].link.after
  }

  /// Whether that operation is not over.
  private func knows(_ ticket: Ticket) -> Bool {
    guard ticket.slot < slots.count, slots[ticket.slot].number != 0 else { return false }
    return slots[ticket.slot].number == ticket.number || mutations.contains(.ignoreGeneration)
  }

  // MARK: Conflicts

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
    while next.exists {
      let (candidate, candidateIsOther) = (next.slot, next.isOther)
      next = claim(after: next)
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
    guard let created = created(by: slot), !created.isEmpty, let delete = deleted.last(at: slots[slot].place, of: created) else {
      return nil
    }
    return Sighting(
      conflict: .init(reason: .ghostExtent, holds: false), earlier: delete.operation, since: delete.since, isOver: true)
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
    let (ticket, blocker) = (Ticket(number: slots[slot].number), slots[slot].blocker)
    slots[slot].reason = nil
    held -= 1
    guard knows(blocker), !mutations.contains(.keepWaiter) else { return }
    waiters[blocker.slot]?.removeAll { $0 == ticket }
    if waiters[blocker.slot]?.isEmpty ?? true { waiters[blocker.slot] = nil }
  }

  /// An operation that is held has reached its limit and goes on all the same.
  public mutating func overrule(_ ticket: Ticket) {
    if knows(ticket), slots[ticket.slot].reason != nil { run(ticket.slot) }
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
    return slots.indices.filter { slots[$0].number != 0 && slots[$0].reason != nil }.sorted { slots[$0].order < slots[$1].order }
      .compactMap { hold(Ticket(number: slots[$0].number)) }
  }

  // MARK: Ending

  /// An operation is over, or was given up while it was held. Returns who may go on now, in the order of arrival; nil where nobody
  /// waited for it.
  /// - Parameter isAnswered: its datanode has answered it. With a repair task the repairs that it has caused are over, too, even where
  ///   their reader has left a reply unread and its connection in its pool.
  public mutating func end(_ ticket: Ticket, isAnswered: Bool = false, now: UInt64) -> [Ticket]? {
    guard knows(ticket) else { return nil }
    let slot = ticket.slot
    switch slots[slot].role {
    case .delete:
      if slots[slot].reason == nil || mutations.contains(.rememberAbandoned), !mutations.contains(.forgetDeletes) {
        remember(slot, now: now)
      }
    case .repairTask where isAnswered && !mutations.contains(.keepTasksRepairs):
      let repairs = repairsCaused(by: slot)
      let released = vacate(slot) ?? []
      return repairs.reduce(into: released) { $0 += remove($1) }
    default: break
    }
    return vacate(slot)
  }

  /// Repairs of what a task names that have begun after it and run: the datanode that answers a task has waited for all of them
  /// (CubeFS `datanode/partition.go`, `DoExtentStoreRepair`). Those that the datanode does as a leader arrive like them,
  /// and are not told apart: but a partition has one leader, which is sent no tasks for it.
  private func repairsCaused(by task: Int) -> [Ticket] {
    var repairs: [Ticket] = []
    var next = buckets[slots[task].place.bucket].first
    while next.exists {
      let (candidate, isOther) = (next.slot, next.isOther)
      next = claim(after: next)
      guard !isOther, slots[candidate].role == .repair, slots[candidate].place == slots[task].place, slots[candidate].reason == nil,
        slots[candidate].order > slots[task].order || mutations.contains(.endOlderRepairs), share(candidate, task)
      else { continue }
      repairs.append(Ticket(number: slots[candidate].number))
    }
    return repairs
  }

  private mutating func remember(_ slot: Int, now: UInt64) {
    forgetDeletes(now: now)
    if slots[slot].hasLists, let list = lists[slot]?.extents { deleted.keep(list) }
    deleted.append(slots[slot].operation, at: slots[slot].place, slots[slot].extents, since: slots[slot].since, now: now)
  }

  private mutating func forgetDeletes(now: UInt64) {
    if !mutations.contains(.rememberForEver) { deleted.forget(now: now) }
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

  private mutating func remove(_ ticket: Ticket) -> [Ticket] { knows(ticket) ? vacate(ticket.slot) ?? [] : [] }

  @inline(__always)
  private mutating func vacate(_ slot: Int) -> [Ticket]? {
    if slots[slot].reason != nil { run(slot) }
    unlink(slots[slot].link, slots[slot].place.bucket, slots[slot].role)
    if slots[slot].otherRole != .none { unlink(slots[slot].otherLink, slots[slot].otherPlace.bucket, slots[slot].otherRole) }
    if slots[slot].hasLists, let own = lists.removeValue(forKey: slot), !mutations.contains(.keepExtents) { extents -= own.count }
    slots[slot].number = 0
    slots[slot].link.after = firstFree
    firstFree = ClaimIndex(slot, isOther: false)
    count -= 1
    return slots[slot].hasWaiters ? release(waiters.removeValue(forKey: slot) ?? []) : nil
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
