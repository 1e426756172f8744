/// The caller's socket as its kernel keeps it, and the bytes on their way in both directions. Numbers only.
///
/// One method is one step that nothing can interrupt; between any two steps anything else may happen.
struct ModelSocket {
  // Towards the caller.
  private(set) var inFlight: UInt64 = 0
  /// Arrived while the application held the socket's lock: in neither the queue nor the counters.
  private(set) var backlog: UInt64 = 0
  private(set) var bytesReceived: UInt64 = 0
  private(set) var copied: UInt64 = 0
  /// What its TCP has acknowledged: it follows what was received, and what is in the backlog is not.
  private(set) var acknowledgedBack: UInt64 = 0
  private(set) var isLocked = false

  // From the caller.
  /// `write_seq`.
  private(set) var written: UInt64 = 0
  /// `snd_nxt`.
  private(set) var sentUpTo: UInt64 = 0
  private(set) var arrivedUpTo: UInt64 = 0
  /// How far the session can read: what has arrived, or less where a program on its socket keeps the rest for a while.
  private(set) var readableUpTo: UInt64 = 0
  /// `snd_una`.
  private(set) var acknowledged: UInt64 = 0
  private(set) var bytesSent: UInt64 = 0
  private(set) var bytesRetransmitted: UInt64 = 0

  var isClosed = false
  var isReset = false

  /// What the application can read now.
  var readable: UInt64 { bytesReceived &- copied }
  /// Bytes received and not acknowledged.
  var unacknowledgedBack: UInt64 { bytesReceived &- acknowledgedBack }
  /// `notsent_bytes`.
  var notSent: UInt64 { written &- sentUpTo }
  /// `bytes_acked`: the SYN counts.
  var bytesAcked: UInt64 { acknowledged &+ 1 }

  // MARK: Towards the caller

  mutating func launch(_ count: UInt64) { inFlight &+= count }

  mutating func deliver(_ count: UInt64) {
    inFlight &-= count
    if isLocked { backlog &+= count } else { bytesReceived &+= count }
  }

  mutating func acknowledgeBack(_ count: UInt64) { acknowledgedBack &+= count }

  mutating func lock() { isLocked = true }

  mutating func copy(_ count: UInt64) { copied &+= count }

  mutating func unlock() {
    isLocked = false
    bytesReceived &+= backlog
    backlog = 0
  }

  // MARK: From the caller

  mutating func write(_ count: UInt64) { written &+= count }

  mutating func send() {
    bytesSent &+= notSent
    sentUpTo = written
  }

  mutating func failToSend() { bytesSent &+= notSent }

  mutating func retransmit() {
    bytesSent &+= sentUpTo &- acknowledged
    bytesRetransmitted &+= sentUpTo &- acknowledged
  }

  mutating func failToRetransmit() { bytesRetransmitted &+= sentUpTo &- acknowledged }

  mutating func arrive(_ count: UInt64) { arrivedUpTo &+= count }

  mutating func pass() { readableUpTo = arrivedUpTo }

  mutating func acknowledge() { acknowledged = arrivedUpTo }
}
