internal import CubeFSWire
internal import NetEndpoint
internal import Synchronization

/// What a caller's process is like.
struct CallerOptions: Sendable {
  /// Whose code it runs.
  var release: CubeFSRelease
  /// Callers leave replies unread and pool the connection, where their release does. Without the delivery gate no proxy can
  /// help such a caller, so the runs through the sidecar have it only where the gate is.
  var leavesRepliesUnread = false
  /// Against its own release, a caller closes after a SnapshotExtentRepairRead: without it a direct run cannot be clean.
  var closesAfterSnapshot = false
  /// Read deadlines are divided by this, so that silent faults cost a run less. 1 through the sidecar, whose own
  /// deadlines are 80% of the real ones.
  var haste: Int64 = 1

  /// Seconds after which the lab gives up an operation that has no deadline, and counts it as lost.
  static let patience: Int64 = 30
}

/// A datanode process as its peers know it: one pool, one counter of ReqIDs, and the call sites of PROTOCOL.md section 3,
/// each with exactly the checks it has in that release and no more. It may be used by many threads.
final class FaithfulCaller: Sendable {
  let options: CallerOptions
  let pool: CallerPool
  private let lastReqID: Atomic<Int64>

  init(_ options: CallerOptions, pool: CallerPool = CallerPool()) {
    self.options = options
    self.pool = pool
    // v3.3.0 counts from 1 in each process, v3.3.2 and later from the time.
    lastReqID = Atomic(options.release == .v3_3_0 ? 0 : LabClock.unixSeconds << 32)
  }

  /// The next ReqID of this process.
  func nextReqID() -> Int64 { lastReqID.add(1, ordering: .relaxed).newValue }

  /// A deadline that many real seconds from now.
  func deadline(_ seconds: Int64) -> Int64 { LabClock.nanoseconds + seconds * 1_000_000_000 / options.haste }

  /// Runs one lock-step operation to its end.
  func run(_ operation: LabOperation, to target: Endpoint) -> CallResult {
    var call = Call(operation: operation, caller: self)
    let socket: LabSocket
    do throws(LabIOError) { socket = try pool.get(target) } catch {
      var result = call.result(failed: .io(error))
      result.note = "connect: \(error)"
      return result
    }
    let start = LabClock.nanoseconds
    var result: CallResult
    var close: Bool
    do throws(CallFailure) {
      try call.writeRequest(socket)
      result = try call.readReplies(socket)
      close = call.closesAnyway
    } catch {
      result = call.result(failed: error)
      close = closes(operation.site, after: error)
    }
    result.microseconds = Double(LabClock.nanoseconds - start) / 1_000
    pool.put(socket, target, close: close)
    return result
  }

  /// The last column of PROTOCOL.md section 3's table.
  private func closes(_ site: CallSite, after failure: CallFailure) -> Bool {
    if case .left = failure { return false }
    if case .io = failure { return true }
    if case .repair = site { return options.release != .v3_3_0 }
    return true
  }
}

/// Why a call did not end well.
enum CallFailure: Error {
  case io(LabIOError)
  case errorReply(LabPacket)
  case rejected(String)
  /// The caller walked away with replies due.
  case left
  /// The caller's own disk or store failed, with replies due.
  case local(String)
  /// An operation without a deadline got no end at all.
  case lost
}
