internal import CubeFSWire

/// Which of CubeFS's functions believed a reply, as the table's rows have it.
enum BelievingSite: CaseIterable, Sendable {
  case watermarks, notify, appliedID, sizes, minAppliedID, repairRead, tinyDeleteRecords, deletion

  init?(opcode: UInt8) {
    switch opcode {
    case 0x07: self = .watermarks
    case 0x08: self = .notify
    case 0x0A: self = .minAppliedID
    case 0x10: self = .appliedID
    case 0x11, 0x16: self = .sizes
    case 0x09, 0x15, 0x17: self = .repairRead
    case 0x14: self = .tinyDeleteRecords
    case 0x02: self = .deletion
    default: return nil
    }
  }

  /// In the table.
  var name: String {
    switch self {
    case .watermarks: "watermarks"
    case .notify: "notify"
    case .appliedID: "applied id"
    case .sizes: "sizes"
    case .minAppliedID: "min applied id"
    case .repairRead: "repair read"
    case .tinyDeleteRecords: "tiny-delete records"
    case .deletion: "delete"
    }
  }

  /// In the JSON object.
  var key: String {
    switch self {
    case .watermarks: "staleWatermarks"
    case .notify: "staleNotify"
    case .appliedID: "staleAppliedID"
    case .sizes: "staleSizes"
    case .minAppliedID: "staleMinAppliedID"
    case .repairRead: "staleRepairRead"
    case .tinyDeleteRecords: "staleTinyDeleteRecords"
    case .deletion: "staleDelete"
    }
  }
}

/// Counts what became of a cluster's operations. Whether a believed reply was the operation's own, the ledger says.
final class ClusterOracle: @unchecked Sendable {
  /// What has been found, of one way to connect.
  struct Findings: Sendable {
    var started = 0
    var operations: [LabClass: Int] = [:]
    var outcomes: [Outcome: Int] = [:]
    /// Believed replies of other operations, by who believed.
    var stale: [BelievingSite: Int] = [:]
    /// Error replies of other operations, taken for one's own; they count above, too.
    var foreignErrors = 0
    var wrongBytes = 0
    /// Replies that did not parse, by the first words of why.
    var unparsed: [String: Int] = [:]
    /// Replies that a repairer refused by their ids, offset or CRC.
    var refused = 0
    var retries = 0
    var repairsCompleted = 0
    var deletesDone = 0
    var extentsWrong = 0
    var ghosts = 0
    /// Reads that ended in the middle because their extent was deleted under them, at either end.
    var abortedRepairs = 0
    var earlyStarts = 0
    /// Streams that were left with replies due while their connection went back to the pool.
    var leftBehind = 0
    /// The first few stale replies that were believed, in words.
    var examples: [String] = []
    /// The first few extents that are wrong, in words.
    var wrongExtents: [String] = []
    var microseconds: [LabClass: [Double]] = [:]

    var staleAccepted: Int { stale.values.reduce(0, +) }
    var lost: Int { started - outcomes.values.reduce(0, +) }
    var resets: Int { outcomes[.reset] ?? 0 }

    static func + (one: Findings, other: Findings) -> Findings {
      var sum = one
      sum.started += other.started
      sum.operations.merge(other.operations, uniquingKeysWith: +)
      sum.outcomes.merge(other.outcomes, uniquingKeysWith: +)
      sum.stale.merge(other.stale, uniquingKeysWith: +)
      sum.foreignErrors += other.foreignErrors
      sum.wrongBytes += other.wrongBytes
      sum.unparsed.merge(other.unparsed, uniquingKeysWith: +)
      sum.refused += other.refused
      sum.retries += other.retries
      sum.repairsCompleted += other.repairsCompleted
      sum.deletesDone += other.deletesDone
      sum.extentsWrong += other.extentsWrong
      sum.ghosts += other.ghosts
      sum.abortedRepairs += other.abortedRepairs
      sum.earlyStarts += other.earlyStarts
      sum.leftBehind += other.leftBehind
      sum.examples = Array((one.examples + other.examples).prefix(ClusterOracle.mostExamples))
      sum.wrongExtents = Array((one.wrongExtents + other.wrongExtents).prefix(ClusterOracle.mostExamples))
      sum.microseconds.merge(other.microseconds, uniquingKeysWith: +)
      return sum
    }
  }

  private static let mostExamples = 12

  /// What makes an operation the same again.
  private struct Intent: Hashable {
    let node: Int
    let target: Int
    let opcode: UInt8
    let key: ExtentKey
  }

  private let ledger: ReplyLedger
  private let lock = LabLock()
  private var found = Findings()
  private var failed: Set<Intent> = []

  init(_ ledger: ReplyLedger) { self.ledger = ledger }

  var findings: Findings { lock.withLock { found } }

  /// Counts something that is no operation's end.
  func note(_ change: (inout Findings) -> Void) { lock.withLock { change(&found) } }

  /// A replica was compared with what it must hold.
  func compared(node: Int, faults: [String], ghosts: Int) {
    note {
      $0.extentsWrong += faults.count
      $0.ghosts += ghosts
      $0.wrongExtents += faults.prefix(Self.mostExamples - min(Self.mostExamples, $0.wrongExtents.count)).map { "node \(node): \($0)" }
    }
  }

  /// A node sends an operation to another.
  func started(_ operation: LabOperation, from node: Int, to target: Int) {
    lock.withLock {
      found.started += 1
      found.operations[operation.kind, default: 0] += 1
      if failed.contains(intent(operation, node, target)) { found.retries += 1 }
    }
  }

  /// The operation ended.
  /// - Returns: true where it believed a reply that was not its own.
  @discardableResult
  func ended(_ result: CallResult, from node: Int, to target: Int) -> Bool {
    let operation = result.operation
    let serial = operation.request.header.kernelOffset
    var stale = 0
    var wrong = 0
    var words: String?
    for (index, reply) in result.accepted.enumerated() {
      switch ledger.verdict(reply, for: serial, at: index) {
      case .own: continue
      // An error that nobody sent is not taken for another operation's: what it may say is the judge's subject.
      case .stale where reply.isError && reply.header.kernelOffset == serial: continue
      case .stale: stale += 1
      case .wrongBytes: wrong += 1
      }
      words =
        words
        ?? "node \(node) believed \(reply.header.opcode.name) of partition \(reply.header.partitionID) extent \(reply.header.extentID) as "
        + "the reply to its \(operation.request.header.opcode.name) of partition \(operation.key)"
    }
    var foreign = false
    if let error = result.errorReply, result.accepted.isEmpty { foreign = ledger.isForeign(error, to: serial) }
    lock.withLock {
      if let outcome = result.outcome { found.outcomes[outcome, default: 0] += 1 }
      if let site = BelievingSite(opcode: operation.opcode), stale > 0 || foreign {
        found.stale[site, default: 0] += stale + (foreign ? 1 : 0)
      }
      if foreign { found.foreignErrors += 1 }
      found.wrongBytes += wrong
      if let words, found.examples.count < Self.mostExamples { found.examples.append(words) }
      if result.outcome == .rejected {
        if operation.kind == .repairStream { found.refused += 1 } else { found.unparsed[Self.cause(result.note), default: 0] += 1 }
      }
      let same = intent(operation, node, target)
      if result.outcome == .delivered { failed.remove(same) } else { failed.insert(same) }
      if result.outcome == .delivered { found.microseconds[operation.kind, default: []].append(result.microseconds) }
    }
    return stale > 0 || foreign
  }

  private func intent(_ operation: LabOperation, _ node: Int, _ target: Int) -> Intent {
    let key = ExtentKey(partition: operation.key, extent: operation.request.header.extentID)
    return Intent(node: node, target: target, opcode: operation.opcode, key: key)
  }

  private static func cause(_ note: String) -> String { note.hasPrefix("a body of") ? "a body too short" : note }
}
