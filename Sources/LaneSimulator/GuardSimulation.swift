internal import LaneCore
internal import NetEndpoint

/// One run: three datanodes with a guard each, and operations that clients, the master and they themselves send.
///
/// A repair task is answered when the reads that it causes are over, a delete with followers when their deletes are. The oracle keeps books
/// of its own, and asks after each step whether what runs, waits and is told is what ought to be.
struct GuardSimulation {
  enum Event {
    case begin(Int)
    case inbound(Int)
    /// The datanode has done its own part.
    case done(Int)
    case due(Int, ConflictGuard.Ticket)
    case abandon(Int)
    /// Rounds that have lasted too long end.
    case sweep
    /// Somebody ends an operation that is over already.
    case endAgain(Int)
  }

  final class Node {
    var machine: ConflictGuard
    var oracle = GuardOracle()
    /// Which operation a ticket is of.
    var operations: [ConflictGuard.Ticket: Int] = [:]

    init(_ machine: consuming ConflictGuard) { self.machine = machine }
  }

  /// A run takes 100 to 1,500 steps.
  static let stepLimit = 20_000
  static let nodeCount = 3
  static let millisecond: UInt64 = 1_000_000

  var random: SimulatorRandom
  let nodes: [Node]
  var operations: [ModelOperation] = []
  private var events: [(time: UInt64, event: Event)] = []
  private(set) var now: UInt64 = 1_000
  private(set) var step = 0
  private(set) var violation: GuardViolation?
  var coverage = GuardExploration.Coverage()
  /// Only deadlocks count: a mutant may be wrong in many ways.
  var findsDeadlocksOnly = false
  let mode: ConflictGuard.Mode
  /// At the limit a caller is told to try again; else the operation goes on.
  let refuses: Bool
  let tasksFollowRounds: Int
  let partitions: Int
  let ids: [UInt64]
  /// The longest that a datanode works on an operation, milliseconds: short in one run, long in another.
  let longestWork: Int

  init(seed: UInt64, mutations: GuardMutations = []) {
    random = SimulatorRandom(seed: seed)
    let mode: ConflictGuard.Mode = random.once(in: 4) ? .detect : .serialize
    self.mode = mode
    nodes = (0..<Self.nodeCount).map { _ in Node(ConflictGuard(mode: mode, mutations: mutations)) }
    refuses = random.once(in: 3)
    tasksFollowRounds = 1 + random.below(4)
    partitions = 1 + random.below(2)
    ids = Array([[1025, 1026, 3], [1025], [1025, 1026, 1027, 1028, 4, 5]][random.below(3)])
    longestWork = [20, 300, 3_000, 9_000][random.below(4)]
    let span = [50, 1_000, 20_000][random.below(3)]
    for _ in 0..<3 + random.below(14) { addArrival(within: span) }
    // A task whose list is older than a delete that nobody remembers any more.
    if random.once(in: 8) { addTask(at: UInt64(span + 50_000 + random.below(40_000)) * Self.millisecond) }
    at(500 * Self.millisecond, .sweep)
  }

  /// Runs to the end, or to the first violation.
  mutating func run() -> GuardViolation? {
    while violation == nil, let next = events.indices.min(by: { events[$0].time < events[$1].time }) {
      guard step < Self.stepLimit else {
        find(.endless)
        break
      }
      step += 1
      let (time, event) = events.remove(at: next)
      now = max(now, time)
      act(event)
      checkBooks()
    }
    if violation == nil { finish() }
    return violation
  }

  private mutating func finish() {
    now += 2 * GuardOracle.round
    sweep()
    for node in nodes where node.machine.leftovers != 0 || !node.oracle.present.isEmpty {
      find(.leak(node.machine.leftovers))
    }
  }

  /// The first violation counts.
  mutating func find(_ found: GuardViolation) {
    if case .deadlock = found { violation = violation ?? found } else if !findsDeadlocksOnly { violation = violation ?? found }
  }

  // MARK: The script

  mutating func at(_ time: UInt64, _ event: Event) { events.append((time, event)) }

  mutating func soon(_ milliseconds: Int, _ event: Event) {
    at(now + UInt64(random.below(max(1, milliseconds) * 1_000)) * 1_000, event)
  }

  mutating func add(_ operation: ModelOperation) -> Int {
    operations.append(operation)
    return operations.count - 1
  }

  private mutating func some(_ least: Int = 1) -> Set<UInt64> {
    let chosen = ids.filter { _ in random.once(in: 2) }
    return chosen.count < least ? [ids[random.below(ids.count)]] : Set(chosen)
  }

  /// Of what a task names, what it creates. In the order of ids: that of a set is not the seed's.
  mutating func someCreated(_ named: Set<UInt64>) -> Set<UInt64> {
    random.once(in: 2) ? [] : Set(named.sorted().filter { _ in random.once(in: 2) })
  }

  /// The first of a partition's hosts takes all its deletes from clients.
  func host(_ partition: UInt64) -> Int { Int(partition) % Self.nodeCount }

  mutating func another(_ node: Int) -> Int { (node + 1 + random.below(Self.nodeCount - 1)) % Self.nodeCount }

  private mutating func addArrival(within span: Int) {
    let partition = UInt64(1 + random.below(partitions))
    let target = random.below(Self.nodeCount)
    var operation = ModelOperation(kind: .delete, sender: nil, target: target, partition: partition, extents: some())
    switch random.below(12) {
    case 0, 1, 2, 3:
      operation.target = host(partition)
      operation.longestHold = random.once(in: 2) ? 60_000 * Self.millisecond : 2_000 * Self.millisecond
      if !random.once(in: 4) { operation.followers = (0..<Self.nodeCount).filter { $0 != operation.target } }
    case 4, 5, 6:
      operation.kind = .round
      operation.sender = another(target)
      operation.extents = Set(ids.filter { $0 > 64 })
    case 7:
      operation.kind = .task
      operation.sender = another(target)
      operation.created = someCreated(operation.extents)
    case 8:
      operation.kind = .removal
      operation.extents = Set(ids)
    default:
      operation = repairRead(at: target, partition, ids[random.below(ids.count)])
    }
    let index = add(operation)
    let time = now + UInt64(random.below(span * 1_000)) * 1_000
    at(time, .begin(index))
    if random.once(in: 8) { at(time + UInt64(random.below(longestWork * 1_000)) * 1_000, .abandon(index)) }
  }

  private mutating func addTask(at time: UInt64) {
    let partition = UInt64(1 + random.below(partitions))
    var task = ModelOperation(kind: .task, sender: nil, target: host(partition), partition: partition, extents: Set(ids))
    task.created = task.extents
    let index = add(task)
    at(time, .begin(index))
  }

  /// A repair of that extent at a datanode, which reads it from another.
  mutating func repairRead(at node: Int, _ partition: UInt64, _ id: UInt64) -> ModelOperation {
    ModelOperation(
      kind: id > 64 ? .repairRead : .tinyRead, sender: node, target: another(node), partition: partition, extents: [id],
      longestHold: 20_000 * Self.millisecond)
  }

  // MARK: Steps

  private mutating func act(_ event: Event) {
    switch event {
    case .begin(let index):
      guard operations[index].stage == .outbound else { return }
      if let sender = operations[index].sender { arrive(index, at: sender) } else { reachTarget(index) }
    case .inbound(let index):
      if operations[index].stage == .outbound { reachTarget(index) }
    case .done(let index):
      operations[index].isDone = true
      completeIfDone(index)
    case .due(let index, let ticket): reachLimit(index, ticket)
    case .abandon(let index):
      guard operations[index].stage != .over else { return }
      coverage.abandoned += 1
      complete(index, isAnswered: false)
    case .endAgain(let index):
      for passage in operations[index].passages { end(passage, index, isAnswered: false) }
    case .sweep: sweep()
    }
  }

  private mutating func sweep() {
    if !events.isEmpty { at(now + 500 * Self.millisecond, .sweep) }
    for node in nodes.indices {
      let released = nodes[node].machine.expire(now: now)
      let before = nodes[node].oracle.present.count
      nodes[node].oracle.expire(now: now)
      coverage.expired += before - nodes[node].oracle.present.count
      goOn(released, at: node)
    }
  }
}
