internal import LaneCore

/// One look at the caller's socket, as its kernel takes it: the two queues are read without a lock at two instants, in either
/// order, then the counters together under the lock.
struct ModelQuery {
  enum Step {
    case queues(Int)
    case counters
    case done
  }

  let id: DeliveryGate.QueryID
  let withCounters: Bool
  let startedAt: UInt64
  let sendQueueFirst: Bool
  var step = Step.queues(0)
  var receiveQueue: UInt64 = 0
  var sendQueue: UInt64 = 0
  var counters: DeliveryGate.Counters?

  /// The counters wait for the application to let go of the socket.
  func canStep(_ socket: ModelSocket) -> Bool {
    switch step {
    case .queues: true
    case .counters: !socket.isLocked
    case .done: false
    }
  }

  var isDone: Bool {
    if case .done = step { true } else { false }
  }

  mutating func sample(_ socket: ModelSocket, _ hazards: GateScript.Hazards, upperLayer: Bool) {
    switch step {
    case .queues(let number):
      if (number == 0) == sendQueueFirst {
        sendQueue = socket.written &- socket.acknowledged
      } else {
        receiveQueue = upperLayer || hazards.sockmap || hazards.callerVerdict ? 0 : socket.readable
      }
      step = number == 0 ? .queues(1) : withCounters ? .counters : .done
    case .counters:
      counters = DeliveryGate.Counters(
        bytesReceived: hazards.sockmap ? 0 : socket.bytesReceived, bytesSent: socket.bytesSent,
        bytesRetransmitted: socket.bytesRetransmitted, bytesAcked: socket.bytesAcked, notSent: UInt32(truncatingIfNeeded: socket.notSent))
      step = .done
    case .done: break
    }
  }
}
