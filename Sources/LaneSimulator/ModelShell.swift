internal import LaneCore

/// What the session around the gate keeps for one caller connection: the operation being served, how far its reply was written,
/// and what the gate asked for.
struct ModelShell {
  struct Request {
    let start: UInt64
    let length: UInt64
    let operation: Int
  }

  var gate: DeliveryGate
  /// R.
  var read: UInt64 = 0
  /// The operation being served.
  var operation: Int?
  var reply = 0
  /// Bytes of the current reply that were written.
  var replyWritten: UInt64 = 0
  /// Requests read whole that wait; more than one only where a mutant lets them.
  var queued: [Int] = []
  /// Requests in the order of the stream; those before `nextRequest` were read whole.
  var requests: [Request] = []
  var nextRequest = 0
  var begunRequests = 0
  var wakeAt: UInt64?
  var declaredBlind = false
  var isOver = false
  var releases = 0
  var releasesByLooks = 0
  var cancellations = 0

  init(_ gate: DeliveryGate) { self.gate = gate }
}
