internal import CubeFSWire

/// Knows of every completed operation whether the answer was its own: it works the right replies out again from the request
/// as it was sent, and compares every field and every byte of what the caller believed.
final class Oracle: @unchecked Sendable {
  /// What has been found.
  struct Findings: Sendable {
    var started = 0
    var operations: [LabClass: Int] = [:]
    var outcomes: [Outcome: Int] = [:]
    /// Believed replies that were not the operation's own.
    var staleAccepted = 0
    /// Believed replies with the right header over wrong bytes.
    var wrongBytes = 0
    /// Operations that met an error packet nobody had a reason to send: with foreign ids, or a text that is protocol.
    var badErrorReplies = 0
    /// Keys of operations with a wrong answer, and what was wrong, the first few in words.
    var wrongOperations: [UInt64: String] = [:]
    /// Keys of operations that did not end as a peer without faults would have it.
    var failedOperations: Set<UInt64> = []
    /// How often callers gave which cause for a failure.
    var causes: [String: Int] = [:]

    /// The commonest causes in words.
    var failureNotes: [String] {
      causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5).map { "\($0.value) operations failed: \($0.key)" }
    }

    var ended: Int { outcomes.values.reduce(0, +) }
    /// Those of both.
    static func + (one: Findings, other: Findings) -> Findings {
      var sum = one
      sum.started += other.started
      sum.operations.merge(other.operations, uniquingKeysWith: +)
      sum.outcomes.merge(other.outcomes, uniquingKeysWith: +)
      sum.staleAccepted += other.staleAccepted
      sum.wrongBytes += other.wrongBytes
      sum.badErrorReplies += other.badErrorReplies
      sum.wrongOperations.merge(other.wrongOperations) { first, _ in first }
      sum.failedOperations.formUnion(other.failedOperations)
      sum.causes.merge(other.causes, uniquingKeysWith: +)
      return sum
    }

    /// Operations without any outcome.
    var lost: Int { started - ended }
  }

  private let lock = LabLock()
  private var found = Findings()
  private var underWay: [UInt64: (name: String, since: Int64)] = [:]

  /// Everything found so far.
  var findings: Findings { lock.withLock { found } }

  /// An operation begins.
  func started(_ operation: LabOperation) {
    lock.withLock {
      found.started += 1
      found.operations[operation.kind, default: 0] += 1
      underWay[operation.key] = (operation.request.header.opcode.name, LabClock.nanoseconds)
    }
  }

  /// Operations that began that many seconds ago or longer and have no end yet, in words.
  func unfinished(after seconds: Int64) -> [String] {
    let limit = LabClock.nanoseconds - seconds * 1_000_000_000
    return lock.withLock { underWay.filter { $0.value.since < limit }.sorted { $0.key < $1.key } }.map {
      "\($0.value.name) at partition \($0.key)"
    }
  }

  /// An operation ended.
  func ended(_ result: CallResult, rules: DatanodeRules) {
    let expected = rules.replies(to: result.request)
    var stale: String?
    var wrong: String?
    var badError: String?
    for (index, reply) in result.accepted.enumerated() {
      guard index < expected.count else {
        stale = "reply \(index) of \(expected.count) due"
        break
      }
      if reply.header != expected[index].header || reply.argument != expected[index].argument {
        stale = stale ?? "reply \(index): \(Self.difference(reply, expected[index]))"
      } else if reply.payload != expected[index].payload {
        wrong = wrong ?? "reply \(index): the payload differs"
      }
    }
    if let error = result.errorReply, result.accepted.isEmpty, !expected.contains(error) {
      badError = Self.complaint(error, result.request)
    }
    let failed = Self.isFailure(result, expected)
    lock.withLock {
      underWay[result.operation.key] = nil
      if let outcome = result.outcome { found.outcomes[outcome, default: 0] += 1 }
      if stale != nil { found.staleAccepted += 1 }
      if wrong != nil { found.wrongBytes += 1 }
      if badError != nil { found.badErrorReplies += 1 }
      if let words = stale ?? wrong ?? badError {
        found.wrongOperations[result.operation.key] = "\(result.operation.request.header.opcode.name): \(words)"
      }
      if failed {
        found.failedOperations.insert(result.operation.key)
        let cause = result.errorReply.map { String(decoding: $0.payload.prefix(120), as: UTF8.self) } ?? result.note
        if found.causes[cause] != nil || found.causes.count < 100 { found.causes[cause, default: 0] += 1 }
      }
    }
  }

  /// True where a caller of a peer without faults would have seen another end.
  private static func isFailure(_ result: CallResult, _ expected: [LabPacket]) -> Bool {
    switch result.outcome {
    case .delivered, .noneDue, .abandoned: false
    case .errorReply: result.errorReply.map { !expected.contains($0) } ?? true
    case .reset, .timedOut, .rejected, nil: true
    }
  }

  /// What is wrong with an error packet that the datanode did not send; nil where it may stand for a dropped reply:
  /// the caller's own ids, F3, and a text that no CubeFS release reads a meaning into (PROTOCOL.md 6.5).
  private static func complaint(_ error: LabPacket, _ request: LabPacket) -> String? {
    let got = error.header
    let want = request.header
    if got.reqID != want.reqID { return "error reply with ReqID \(got.reqID), asked with \(want.reqID)" }
    if got.partitionID != want.partitionID { return "error reply of partition \(got.partitionID), asked for \(want.partitionID)" }
    if got.extentID != want.extentID || got.opcode != want.opcode || got.extentOffset != want.extentOffset || got.crc != want.crc {
      return "error reply with fields that are not the request's"
    }
    if got.resultCode != .intraGroupNetErr { return "error reply with result \(got.resultCode)" }
    let text = String(decoding: error.payload, as: UTF8.self).lowercasedASCII
    let meaning = meanings.first { text.contains($0) }
    return meaning.map { "error text '\(text)' says '\($0)'" }
  }

  /// PROTOCOL.md 6.5.
  private static let meanings = [
    "timeout", "no disk read repair extent token", "extent does not exist", "no space left on the device", "try again", "limited io error",
    "disk has broken", "parameter mismatch error", "data partition not exists",
  ]

  private static func difference(_ got: LabPacket, _ want: LabPacket) -> String {
    func say<Value: Equatable>(_ name: String, _ one: Value, _ other: Value) -> String? {
      one == other ? nil : "\(name) \(one) instead of \(other)"
    }
    let parts = [
      say("ReqID", got.header.reqID, want.header.reqID), say("PartitionID", got.header.partitionID, want.header.partitionID),
      say("ExtentID", got.header.extentID, want.header.extentID), say("ExtentOffset", got.header.extentOffset, want.header.extentOffset),
      say("Opcode", got.header.opcode, want.header.opcode), say("ResultCode", got.header.resultCode, want.header.resultCode),
      say("Size", got.header.size, want.header.size), say("CRC", got.header.crc, want.header.crc),
      say("ExtentType", got.header.extentType, want.header.extentType), say("ArgLen", got.header.argLength, want.header.argLength),
    ].compactMap { $0 }
    return parts.isEmpty ? "a field or Arg differs" : parts.joined(separator: ", ")
  }
}

extension String {
  /// Lower case without Foundation and without locale.
  var lowercasedASCII: String { String(decoding: utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self) }
}
