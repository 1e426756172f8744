internal import CubeFSWire
internal import NetEndpoint

/// What a datanode saw of those who connect to it: the evidence for stamps, classes and reuse.
final class DatanodeLedger: @unchecked Sendable {
  /// One accepted connection.
  struct Connection: Sendable {
    let peer: Endpoint
    var classes: Set<LabClass> = []
    var requests = 0
    /// The first breach of a rule in words, for a message to a person.
    var breach: String?
    var last: (opcode: UInt8, partition: UInt64)?
    /// The connection's bytes went on after an error reply, from a caller who does not pipeline.
    var usedAfterError = false
    var isOpen = true

    /// Which request broke a rule.
    var story: String { "from \(peer): \(breach ?? "")" }
  }

  private let lock = LabLock()
  private var stamps: Set<Int64> = []
  private var repeated: [Int64] = []
  private var notPositive = 0
  private var all: [Connection] = []

  /// A connection was accepted.
  /// - Returns: its number, for the other calls.
  func accepted(_ peer: Endpoint) -> Int {
    lock.withLock {
      all.append(Connection(peer: peer))
      return all.count - 1
    }
  }

  /// A request arrived.
  func request(_ opcode: UInt8, partition: UInt64, reqID: Int64, on connection: Int, afterError: Bool) {
    lock.withLock {
      if !stamps.insert(reqID).inserted { repeated.append(reqID) }
      if reqID <= 0 { notPositive += 1 }
      let kind = LabClass(opcode: opcode)
      all[connection].classes.insert(kind)
      all[connection].requests += 1
      let breaks = all[connection].classes.count > 1 || kind == .repairStream && all[connection].requests > 1 || afterError
      if let last = all[connection].last, breaks, all[connection].breach == nil {
        all[connection].breach =
          "request \(all[connection].requests) is \(Opcode(opcode).name) at partition \(partition), after "
          + "\(Opcode(last.opcode).name) at partition \(last.partition)"
      }
      all[connection].last = (opcode, partition)
      if afterError && !kind.isPipelined && kind != .other { all[connection].usedAfterError = true }
    }
  }

  /// A connection ended.
  func closed(_ connection: Int) { lock.withLock { all[connection].isOpen = false } }

  /// All connections so far.
  var connections: [Connection] { lock.withLock { all } }

  /// Requests seen.
  var requestCount: Int { lock.withLock { all.reduce(0) { $0 + $1.requests } } }

  /// The stamps seen, to hold those of several datanodes against each other.
  var allStamps: Set<Int64> { lock.withLock { stamps } }

  /// What a peer behind the sidecar must never see, as sentences; empty where all is well.
  var violations: [String] {
    lock.withLock {
      var found: [String] = []
      if !repeated.isEmpty { found.append("\(repeated.count) stamps were seen twice, the first of them \(repeated[0])") }
      if notPositive > 0 { found.append("\(notPositive) stamps were not positive") }
      let mixed = all.filter { $0.classes.count > 1 }
      if let first = mixed.first {
        found.append("\(mixed.count) connections carried operations of different classes, the first of them \(first.story)")
      }
      let streams = all.filter { $0.classes.contains(.repairStream) && $0.requests > 1 }
      if let first = streams.first {
        found.append("\(streams.count) connections of a repair stream were used again, the first of them \(first.story)")
      }
      let doomed = all.filter(\.usedAfterError)
      if let first = doomed.first {
        found.append("\(doomed.count) connections were used again after an error reply, the first of them \(first.story)")
      }
      return found
    }
  }
}
