/// What one run is made of, drawn from its seed: the caller's operations and the faults of the model.
struct GateScript {
  /// The lengths of a reply's parts, bytes.
  struct ReplyShape {
    var headerExtension: UInt64
    var argument: UInt64
    var payload: UInt64

    var length: UInt64 { 57 &+ headerExtension &+ argument &+ payload }
  }

  /// When the caller leaves an operation and pools the connection.
  enum Leaving: Equatable {
    case never
    /// After the request's write, before any read.
    case beforeReading
    /// Between two replies.
    case afterReplies(Int)
    /// After the header of that reply; its next read on the connection begins inside a packet.
    case insideReply(Int)
  }

  struct Operation {
    var isGated: Bool
    var requestLength: UInt64
    var replies: [ReplyShape]
    var leaving: Leaving
  }

  /// Departures from the ideal kernel; each seed has some.
  struct Hazards {
    /// Sends of the caller's kernel fail locally: counted as sent, and sent again.
    var localSendFailures = false
    /// Retransmissions.
    var retransmissions = false
    /// Retransmissions that fail for want of memory: counted as retransmitted, not as sent.
    var failedRetransmissions = false
    /// Another socket answers now and then.
    var twin = false
    /// The caller's socket gets an upper layer that empties the queue.
    var upperLayer = false
    /// Bytes bypass the counters.
    var sockmap = false
    /// Queries with counters take 150 to 400 ms now and then.
    var slowQueries = false
    /// Time passes between the two queues of an answer.
    var preemptedQueries = false
    /// Queries fail now and then.
    var failingQueries = false
    /// The caller is never found.
    var invisible = false
    /// The caller's kernel acknowledges late.
    var lateAcknowledgements = false
    /// A program on the session's socket keeps what has arrived for a while.
    var ownVerdict = false
    /// The session's kernel tells nothing of its own socket.
    var silentOwnSocket = false
    /// A program on the caller's socket empties the queue before the caller reads; set by hand only, as no rule sees it.
    var callerVerdict = false
  }

  var operations: [Operation] = []
  var hazards = Hazards()
  /// The caller reads a few bytes at a time.
  var readsInPieces = false
  /// The caller expects the 57-byte header whatever arrives.
  var readsFixedHeader = false
  /// Requests arrive in pieces.
  var splitsRequests = false

  /// Whether the caller ever leaves an operation.
  var everLeaves: Bool { operations.contains { $0.leaving != .never } }

  init(_ random: inout SimulatorRandom) {
    readsInPieces = random.once(in: 6)
    readsFixedHeader = random.once(in: 4)
    splitsRequests = random.once(in: 4)
    let longHeaders = random.once(in: 3)
    let faithful = random.once(in: 5)
    // Most requests of one caller have one length: only then can one lost count hide one request.
    let usualLength: UInt64 = random.once(in: 4) ? 74 : 57
    let count = 2 + random.below(4)
    operations.reserveCapacity(count)
    for index in 0..<count {
      let gated = index == 0 || !random.once(in: 3)
      var operation = Operation(
        isGated: gated, requestLength: random.once(in: 8) ? 57 &+ UInt64(random.below(100)) : usualLength, replies: [], leaving: .never)
      for _ in 0..<(gated ? 1 + random.below(3) : 1) {
        operation.replies.append(
          ReplyShape(
            headerExtension: longHeaders && random.once(in: 2) ? 12 : 0, argument: random.once(in: 3) ? 17 : 0,
            payload: random.once(in: 3) ? 0 : UInt64(1 + random.below(200))))
      }
      if gated, !faithful {
        switch random.below(6) {
        case 0, 1: operation.leaving = .beforeReading
        case 2: operation.leaving = .afterReplies(1 + random.below(operation.replies.count))
        case 3: operation.leaving = .insideReply(random.below(operation.replies.count))
        default: break
        }
        if operation.leaving == .afterReplies(operation.replies.count) { operation.leaving = .never }
      }
      operations.append(operation)
    }
    drawHazards(&random)
  }

  private mutating func drawHazards(_ random: inout SimulatorRandom) {
    hazards.localSendFailures = random.once(in: 5)
    hazards.retransmissions = random.once(in: 5)
    hazards.failedRetransmissions = random.once(in: 2)
    hazards.preemptedQueries = !random.once(in: 3)
    hazards.slowQueries = random.once(in: 12)
    hazards.failingQueries = random.once(in: 12)
    hazards.lateAcknowledgements = random.once(in: 3)
    hazards.ownVerdict = random.once(in: 6)
    hazards.silentOwnSocket = random.once(in: 4)
    switch random.below(24) {
    case 0, 1: hazards.twin = true
    case 2: hazards.upperLayer = true
    case 3: hazards.sockmap = true
    case 4: hazards.invisible = true
    default: break
    }
  }
}
