internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// Lines for the catalogue: an event as the data path records it, through the formatter that writes the log.
enum CatalogueExample {
  /// The line of such an event, without its newline.
  static func line(_ name: LaneEvent.Name, _ reason: Reason?) -> String {
    var formatter = LineFormatter(node: "datanode-1", process: process)
    var extra = LineFormatter.Extra()
    if name == .logLost { extra.lost = LogWriter.Counters(taken: 48_211, dropped: 3, failed: 7) }
    // 2026-11-23T04:05:06.123456Z.
    formatter.format(event(name, reason), at: 1_795_406_706_123_456_000, extra: extra)
    return String(decoding: formatter.line.dropLast(), as: UTF8.self)
  }

  private static let process: UInt64 = 0x1122_3344_5566_7788

  static func event(_ name: LaneEvent.Name, _ reason: Reason?) -> LaneEvent {
    var event = LaneEvent(name, reason: reason, action: action(name, reason))
    let cause = reason.map(AlertCatalogue.cause)
    event.expected = cause?.values?.expected
    event.observed = cause?.values?.observed
    event.detail = cause?.detail
    switch name {
    case .replyDropped, .replyObserved, .operationFailed, .callerReset, .callerAbandoned, .callerDirtyReuse, .callerSlowStream,
      .datanodeClosed, .operationFinished:
      addEnds(&event)
      event.operation = repairRead
    case .callerBlind, .callerProtocol, .connectionRefused, .surplusDropped:
      addEnds(&event)
      if name == .connectionRefused { event.connection = nil }
    case .taskUnreadable:
      addEnds(&event)
      event.direction = .inbound
      event.operation = LaneEvent.Operation(
        .repairControl, opcode: 0x08, stamp: 895_625_437_131_051_773, callerReqID: 48, partitionID: 12, extentID: 0, extentOffset: 0)
    case .deleteUnreadable, .conflictDetected, .conflictHeld, .conflictLimit:
      addEnds(&event)
      event.direction = .inbound
      event.operation = LaneEvent.Operation(
        .deletion, opcode: 0x02, stamp: 895_625_437_131_051_774, callerReqID: 49, partitionID: 12, extentID: 1025, extentOffset: 0)
      if name != .deleteUnreadable { event.conflictsWith = repairRead }
    case .replyUnsolicited, .peerDown, .peerUp, .upstreamRetired, .tlsDowngraded:
      event.peer = peer
      event.operationClass = .repairStream
    case .tlsRefused, .tunnelEnded:
      addEnds(&event)
      event.connection = nil
      event.direction = name == .tunnelEnded ? .tunnel : .inbound
    case .accounting:
      var accounting = Accounting()
      for _ in 0..<3 { accounting.begin(.repairStream) }
      accounting.end(.repairStream, .delivered)
      accounting.end(.repairStream, .reset)
      event.accounting = accounting
    case .listenerOpened: event.detail = "0.0.0.0:15310"
    case .listenerExhausted, .listenerRecovered, .listenerFailed:
      event.detail = event.detail ?? "0.0.0.0:15310: accept4: EBADF (Bad file descriptor)"
    case .metricsOpened: event.detail = "127.0.0.1:15320"
    case .recorderFailed: event.detail = "fsync: ENOSPC (No space left on device)"
    case .logLost: event.detail = "write: ENOSPC (No space left on device)"
    case .configurationRefused:
      event.detail =
        "/etc/lanekeeper/lanekeeper.yaml:12: tls.outbound.mode: not one of the choices (got \"strcit\"; allowed off, prefer or strict)"
    case .tlsReloadFailed: event.detail = "expired: certificate has expired; the certificate 1F2E3D stays in force"
    case .tlsExpiring: event.detail = "in less than 7 days: CN=datanode-1, serial 1F2E3D, until 2026-11-29T00:00:00Z"
    case .started, .draining, .stopped, .gateReady, .gateDisabled, .configurationLoaded, .tlsLoaded, .recorderRecovered: break
    }
    if name.leavesEvidence {
      let subject = event.operation.map { $0.id(in: process).description } ?? "idle"
      event.evidence = "20261123T040506.123456Z_\(name.rawValue)_\(subject).pcapng"
    }
    if name == .callerSlowStream { event.duration = 60_000_000_000 }
    if name == .conflictHeld || name == .conflictLimit { event.duration = 2_000_000_000 }
    return event
  }

  private static let peer = Endpoint(address: 0xC000_0207, port: 17310)

  private static let repairRead = LaneEvent.Operation(
    .repairStream, opcode: 0x09, stamp: 895_625_437_131_051_772, callerReqID: 47, partitionID: 12, extentID: 1025, extentOffset: 131_072)

  private static func addEnds(_ event: inout LaneEvent) {
    event.peer = peer
    event.caller = Endpoint(address: 0xC000_0201, port: 41952)
    event.connection = 42
  }

  private static func action(_ name: LaneEvent.Name, _ reason: Reason?) -> LaneEvent.Action {
    switch name {
    case .replyDropped, .operationFailed: .errorReply
    case .replyObserved, .callerBlind, .taskUnreadable, .deleteUnreadable, .conflictDetected, .conflictHeld, .conflictLimit, .tlsDowngraded:
      .forwarded
    case .replyUnsolicited, .upstreamRetired, .datanodeClosed: .retired
    case .callerDirtyReuse, .callerProtocol, .callerReset: .reset
    case .callerAbandoned: .cancelled
    case .connectionRefused, .listenerFailed, .tlsRefused: .refused
    case .tunnelEnded: reason == .connectionLimit || reason == .dialFailed ? .refused : .reset
    case .listenerExhausted: .paused
    case .started, .draining, .stopped, .accounting, .listenerOpened, .listenerRecovered, .gateReady, .gateDisabled, .metricsOpened,
      .peerDown, .peerUp, .operationFinished, .callerSlowStream, .surplusDropped, .configurationLoaded, .configurationRefused,
      .tlsLoaded, .tlsReloadFailed, .tlsExpiring, .logLost, .recorderFailed, .recorderRecovered:
      .none
    }
  }
}
