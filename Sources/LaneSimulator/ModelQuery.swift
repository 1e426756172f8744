internal import LaneCore

/// One look at the caller's socket, as its kernel takes it: the two queues are read without a lock at two instants, in either
/// order, then the counters together under the lock.
struct ModelQuery {
  enum Step {
    /// The first of the two queues, then the second.
    case queues(Int)
    case counters
    case done
  }

  let id: DeliveryGate.QueryID
  let question: DeliveryGate.Question
  let startedAt: UInt64
  let sendQueueFirst: Bool
  var step = Step.queues(0)
  var receiveQueue: UInt64 = 0
  var sendQueue: UInt64 = 0
  var counters: DeliveryGate.Counters?
  /// Of two looks: what the first one found.
  private(set) var first: (receiveQueue: UInt64, sendQueue: UInt64)?

  /// The counters wait for the application to let go of the socket.
  func canStep(_ socket: ModelSocket) -> Bool {
    switch step {
    case .queues: true
    case .counters: !socket.isLocked
    case .done: false
    }
  }

  /// Time may pass: between the two queues, or between two looks.
  var isUnderWay: Bool {
    switch step {
    case .queues(let number): number == 1 || first != nil
    case .counters, .done: false
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
      guard number == 1 else {
        step = .queues(1)
        return
      }
      if question == .twoLooks, first == nil {
        first = (receiveQueue, sendQueue)
        step = .queues(0)
      } else {
        step = question == .counters ? .counters : .done
      }
    case .counters:
      counters = DeliveryGate.Counters(
        bytesReceived: hazards.sockmap ? 0 : socket.bytesReceived, bytesSent: socket.bytesSent,
        bytesRetransmitted: socket.bytesRetransmitted, bytesAcked: socket.bytesAcked, notSent: UInt32(truncatingIfNeeded: socket.notSent))
      step = .done
    case .done: break
    }
  }
}
