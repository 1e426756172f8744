internal import LaneCore

/// What the session's own socket tells the gate: the numbers of this instant.
struct ModelOwnSocket: DeliveryGate.OwnSocket {
  let acknowledgedBytes: UInt64?
  let receivedBytes: UInt64?
  let hasUnacknowledgedBytes: Bool

  init(_ socket: ModelSocket, written: UInt64, read: UInt64, _ hazards: GateScript.Hazards, _ mutations: GateMutations) {
    // Bytes that bypass TCP never stand in our send queue, and nobody acknowledges them.
    let acknowledged = hazards.sockmap ? 0 : socket.acknowledgedBack
    acknowledgedBytes = hazards.silentOwnSocket ? nil : acknowledged
    // The mutant takes an empty queue for the proof that all was read.
    let received = mutations.contains(.emptyForReceived) ? max(read, socket.readableUpTo) : socket.arrivedUpTo
    receivedBytes = hazards.silentOwnSocket ? nil : received
    hasUnacknowledgedBytes = !hazards.sockmap && acknowledged < written
  }
}
