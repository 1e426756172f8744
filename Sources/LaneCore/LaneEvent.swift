public import CubeFSWire
public import NetEndpoint

/// Something that happened and that somebody may want to know: the one closed set that logs, alerts and metrics are made of (G8).
public struct LaneEvent: Equatable, Sendable {
  /// What happened. The raw value is the log's `event`.
  public enum Name: String, Sendable, CaseIterable {
    /// The process runs.
    case started = "process.started"
    /// The process was told to stop and lets operations finish.
    case draining = "process.draining"
    /// The process is about to exit.
    case stopped = "process.stopped"
    /// How all operations of the process ended.
    case accounting = "accounting"
    /// A listener accepts connections.
    case listenerOpened = "listener.opened"
    /// A listener cannot accept: the process is out of descriptors or memory.
    case listenerExhausted = "listener.exhausted"
    /// A listener accepts again.
    case listenerRecovered = "listener.recovered"
    /// A listener has stopped for good; the others go on.
    case listenerFailed = "listener.failed"
    /// The delivery gate works: replies of repair streams are completed only for a caller that is reading them.
    case gateReady = "gate.ready"
    /// The delivery gate does not work in this process: no caller is protected from its own leftovers.
    case gateDisabled = "gate.disabled"
    /// The port for metrics answers.
    case metricsOpened = "metrics.opened"
    /// A caller's connection was refused at once.
    case connectionRefused = "connection.refused"
    /// A dial failed where the last one had not.
    case peerDown = "peer.down"
    /// A dial succeeded after a failed one.
    case peerUp = "peer.up"
    /// A reply was dropped.
    case replyDropped = "reply.dropped"
    /// A reply would have been dropped, and was forwarded: observe mode.
    case replyObserved = "reply.observed"
    /// Bytes came on a connection that had no operation.
    case replyUnsolicited = "reply.unsolicited"
    /// An operation ended without the peer's answer.
    case operationFailed = "operation.failed"
    /// An operation ended; at level debug.
    case operationFinished = "operation.finished"
    /// A lock-step caller went on to another operation before any reply of the last one came.
    case callerAbandoned = "caller.abandoned"
    /// A lock-step caller reused a connection on which replies were due.
    case callerDirtyReuse = "caller.dirty-reuse"
    /// The delivery gate cannot watch this caller: its replies go out as they come.
    case callerBlind = "caller.blind"
    /// A caller has left a reply unread for as long as the alert's time.
    case callerSlowStream = "caller.slow-stream"
    /// What a caller sent cannot be framed, or is no request.
    case callerProtocol = "caller.protocol"
    /// A caller's connection was reset.
    case callerReset = "caller.reset"
    /// An upstream connection will not be used again.
    case upstreamRetired = "upstream.retired"
    /// The local datanode closed a connection with replies due on it; its caller saw the same.
    case datanodeClosed = "datanode.closed"
    /// The one reply too many that a server is known to send, and that no requester reads, went no further.
    case surplusDropped = "surplus.dropped"
    /// The body of a NotifyReplicasToRepair could not be read: it was passed on, and where its reader stops is not known.
    case taskUnreadable = "task.unreadable"
    /// The body of a delete could not be read: it was passed on, and the conflict guard does not know its extents.
    case deleteUnreadable = "delete.unreadable"
    /// Two operations on one extent that should not run at the same time do, or did one after the other in the wrong order.
    case conflictDetected = "conflict.detected"
    /// An operation goes on that was held until those were over which it must not run beside.
    case conflictHeld = "conflict.held"
    /// An operation was held for as long as it may be.
    case conflictLimit = "conflict.limit"
    /// A connection through a tunnel is over.
    case tunnelEnded = "tunnel.ended"
    /// The configuration was read again, and what can change without a restart is in force.
    case configurationLoaded = "configuration.loaded"
    /// The configuration was read again and cannot be used; the one before stays in force.
    case configurationRefused = "configuration.refused"
    /// Certificates are loaded and in force.
    case tlsLoaded = "tls.loaded"
    /// New certificates could not be used; the old ones stay in force.
    case tlsReloadFailed = "tls.reload-failed"
    /// A certificate in force is about to expire.
    case tlsExpiring = "tls.expiring"
    /// A connection was refused in its handshake, by us or by the other end.
    case tlsRefused = "tls.refused"
    /// A peer that should speak TLS does not, and is spoken to in plain for a while.
    case tlsDowngraded = "tls.downgraded"
    /// The log could not take some lines.
    case logLost = "log.lost"
    /// Evidence can no longer be written.
    case recorderFailed = "recorder.failed"
    /// Evidence can be written again.
    case recorderRecovered = "recorder.recovered"
  }

  /// What Lanekeeper did about it.
  public enum Action: String, Sendable, CaseIterable {
    /// Nothing: it is told only.
    case none
    /// The bytes were passed on.
    case forwarded
    /// The caller got an error reply of ours.
    case errorReply = "error-reply"
    /// The caller's connection was reset.
    case reset
    /// The upstream connection was closed.
    case retired
    /// The operation was given up; the connection stays.
    case cancelled
    /// A connection was not taken.
    case refused
    /// Nothing is accepted for a moment.
    case paused
  }

  /// Which way it concerns.
  public enum Direction: String, Sendable, CaseIterable {
    /// From the local datanode to its peers.
    case outbound
    /// From peers and clients to the local datanode.
    case inbound
    /// Bytes that are passed on unread.
    case tunnel
  }

  /// How urgent it is.
  public enum Severity: String, Sendable, CaseIterable {
    /// Somebody should look at it by day.
    case warning
    /// Somebody should be woken.
    case critical
  }

  /// The operation concerned.
  public struct Operation: Equatable, Sendable {
    /// Its class.
    public var operationClass: OperationClass
    /// Its opcode.
    public var opcode: Opcode
    /// Its stamp.
    public var stamp: Int64
    /// The random process bits of whose stamp that is, where it is another sidecar's; nil for our own.
    public var process: UInt64?
    /// The caller's own ReqID.
    public var callerReqID: Int64
    /// PartitionID of the request.
    public var partitionID: UInt64
    /// ExtentID of the request.
    public var extentID: UInt64
    /// ExtentOffset of the request, bytes.
    public var extentOffset: Int64

    /// An operation of these numbers.
    public init(
      _ operationClass: OperationClass, opcode: UInt8, stamp: Int64, callerReqID: Int64, partitionID: UInt64, extentID: UInt64,
      extentOffset: Int64
    ) {
      self.operationClass = operationClass
      self.opcode = Opcode(opcode)
      self.stamp = stamp
      self.callerReqID = callerReqID
      self.partitionID = partitionID
      self.extentID = extentID
      self.extentOffset = extentOffset
    }

    /// Its name in the cluster, in the process with those random bits unless it is another sidecar's.
    public func id(in process: UInt64) -> OperationID { OperationID(process: self.process ?? process, stamp: stamp) }

    /// The operation of that exchange.
    public init(_ exchange: Exchange) {
      self.init(
        exchange.operationClass, opcode: exchange.opcode.rawValue, stamp: exchange.stamp, callerReqID: exchange.callerReqID,
        partitionID: exchange.partitionID, extentID: exchange.extentID, extentOffset: exchange.extentOffset)
    }
  }

  /// What happened.
  public var name: Name
  /// Why.
  public var reason: Reason?
  /// What was done.
  public var action = Action.none
  /// Which way; what concerns the process as a whole counts as outbound.
  public var direction = Direction.outbound
  /// The other end of the upstream: the remote datanode, or the local one for inbound.
  public var peer: Endpoint?
  /// The other end of the caller's connection.
  public var caller: Endpoint?
  /// The caller behind that sidecar: the one for which it has made the connection.
  public var origin: Endpoint?
  /// The class, where it is known without an operation.
  public var operationClass: OperationClass?
  /// The operation.
  public var operation: Operation?
  /// The operation that it conflicts with.
  public var conflictsWith: Operation?
  /// The operation to which a stray reply belongs, where that is known and another one.
  public var owner: Operation?
  /// What would have been right.
  public var expected: FieldValue?
  /// What was found.
  public var observed: FieldValue?
  /// The number of the caller's connection in this process.
  public var connection: UInt64?
  /// How the operation ended.
  public var outcome: Outcome?
  /// How long the operation took, nanoseconds.
  public var duration: UInt64?
  /// A sentence of our own for the operator: an operating system's error, a listener's address.
  public var detail: String?
  /// The name of the file with the packets that led to it.
  public var evidence: String?
  /// The counts, in `accounting`, both directions together.
  public var accounting: Accounting?
  /// Those of inbound alone, in `accounting`.
  public var inboundAccounting: Accounting?

  /// An event of that name, all else empty.
  public init(_ name: Name, reason: Reason? = nil, action: Action = .none) {
    self.name = name
    self.reason = reason
    self.action = action
  }

  /// The alert's severity; nil where the event is none.
  public var severity: Severity? {
    switch name {
    case .replyDropped, .replyUnsolicited, .callerDirtyReuse, .listenerFailed, .tlsReloadFailed,
      .configurationRefused:
      .critical
    case .gateDisabled: reason == .gateOff ? .warning : .critical
    case .callerReset: reason == .replyUnread || reason == .backPressure ? .warning : nil
    case .replyObserved, .peerDown, .callerBlind, .callerSlowStream, .callerProtocol, .taskUnreadable, .deleteUnreadable,
      .conflictDetected, .conflictLimit, .listenerExhausted, .connectionRefused, .logLost, .recorderFailed, .tlsExpiring, .tlsDowngraded:
      .warning
    // Who hangs up in mid-handshake has changed its mind, as a sidecar does whose caller is gone.
    case .tlsRefused: reason == .tlsLost ? nil : .warning
    case .operationFailed: reason == .queueFull || reason == .queueTimeout ? .warning : nil
    case .accounting: [accounting, inboundAccounting].contains { ($0?.unfinished ?? 0) != 0 } ? .critical : nil
    case .tunnelEnded: reason == .connectionLimit ? .warning : nil
    case .started, .draining, .stopped, .listenerOpened, .listenerRecovered, .gateReady, .metricsOpened, .peerUp, .operationFinished,
      .callerAbandoned, .conflictHeld, .upstreamRetired, .datanodeClosed, .surplusDropped, .configurationLoaded, .tlsLoaded,
      .recorderRecovered:
      nil
    }
  }
}

/// Where events go. Called on the reactor's thread: it must not block.
public protocol EventSink: AnyObject {
  /// Takes an event.
  func record(_ event: LaneEvent)
  /// Whether `operationFinished` events are wanted; asked once, before the first operation.
  var wantsDetail: Bool { get }
}
