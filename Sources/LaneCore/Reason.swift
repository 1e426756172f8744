/// Why something was dropped, reset, retired, held or refused. One closed set for logs, metrics, docs and tests (G8).
public enum Reason: String, Sendable, CaseIterable {
  // A reply's header.
  /// No operation with the reply's ReqID is in flight on its connection.
  case stampUnknown = "stamp-unknown"
  /// A reply of an operation that is not the next one due, and no error.
  case replyOutOfOrder = "reply-out-of-order"
  /// The operation has had all its replies.
  case replySurplus = "reply-surplus"
  /// Bytes arrived on a connection with no operation in flight.
  case replyUnsolicited = "reply-unsolicited"
  /// A reply arrived before its request was sent whole.
  case replyBeforeRequest = "reply-before-request"
  /// The result code is that of a request.
  case resultMissing = "result-missing"
  /// Another opcode than the request's reply has.
  case opcodeMismatch = "opcode-mismatch"
  /// Another kind of extent.
  case extentTypeMismatch = "extent-type-mismatch"
  /// Another partition.
  case partitionMismatch = "partition-mismatch"
  /// Another extent.
  case extentMismatch = "extent-mismatch"
  /// Another offset than the request's, or than the next block's.
  case offsetMismatch = "offset-mismatch"
  /// CRC is not the request's.
  case crcEchoMismatch = "crc-echo-mismatch"
  /// KernelOffset is not the request's.
  case kernelOffsetMismatch = "kernel-offset-mismatch"
  /// Size is not what a reply of this operation can have.
  case sizeOutOfBounds = "size-out-of-bounds"
  /// ArgLen is not what a reply of this operation can have.
  case argumentMismatch = "argument-mismatch"
  /// More empty blocks than a sane server sends.
  case emptyReplies = "empty-replies"
  /// The payload's crc32 is not the header's CRC.
  case payloadCRC = "payload-crc"
  // A stream that cannot be framed.
  /// A packet does not begin with 0xFF.
  case badMagic = "bad-magic"
  /// A length over its configured limit.
  case limitExceeded = "limit-exceeded"
  // The peer.
  /// The peer closed with replies due.
  case upstreamClosed = "upstream-closed"
  /// The peer closed in the middle of a packet.
  case upstreamTruncated = "upstream-truncated"
  /// The connection to the peer failed.
  case upstreamReset = "upstream-reset"
  /// The caller left a reply unread for so long that the peer gives up (PROTOCOL.md section 6, number 2).
  case backPressure = "back-pressure"
  /// Nobody listens at the peer, or it cannot be reached.
  case dialFailed = "dial-failed"
  /// The peer did not answer the dial in time.
  case dialTimeout = "dial-timeout"
  /// The peer failed a moment ago; no new dial yet.
  case peerBackOff = "peer-back-off"
  // Bounds.
  /// The operation's deadline has passed.
  case deadline = "deadline"
  /// The lane's wait queue is full.
  case queueFull = "queue-full"
  /// No connection of the lane became free in time.
  case queueTimeout = "queue-timeout"
  /// More downstream connections than configured.
  case connectionLimit = "connection-limit"
  /// The process is out of descriptors.
  case descriptorLimit = "descriptor-limit"
  /// A reader is too slow for the bytes that may be held for it.
  case pendingOutput = "pending-output"
  // The release gate.
  /// The class's connections serve one operation only.
  case singleUse = "single-use"
  /// It carried an error reply; the server stops such a connection.
  case errorReply = "error-reply"
  /// Requests without their replies.
  case inFlight = "in-flight"
  /// Bytes that belong to nobody are buffered or readable.
  case unreadBytes = "unread-bytes"
  /// The request was not sent whole.
  case requestIncomplete = "request-incomplete"
  /// Idle for as long as configured.
  case idleTimeout = "idle-timeout"
  /// As old as configured.
  case maxLifetime = "max-lifetime"
  /// Opened before the configuration of TLS changed.
  case reconfigured
  /// The peer closed it while it was idle.
  case peerClosed = "peer-closed"
  // The caller.
  /// The caller closed with operations in flight.
  case callerClosed = "caller-closed"
  /// The connection to the caller failed.
  case callerReset = "caller-reset"
  /// A lock-step caller sent a request with replies of its last one due.
  case callerDirtyReuse = "caller-dirty-reuse"
  /// The caller stopped in the middle of a request.
  case callerTruncated = "caller-truncated"
  /// What the caller sends is not CubeFS, or a packet with a result code.
  case callerProtocol = "caller-protocol"
  /// The caller has left a reply unread for as long as configured.
  case replyUnread = "reply-unread"
  /// The body of a NotifyReplicasToRepair is not the task that a leader writes.
  case taskUnreadable = "task-unreadable"
  /// The body of a delete does not name extents as CubeFS writes them.
  case deleteUnreadable = "delete-unreadable"
  // The conflict guard: operations on one extent at one datanode.
  /// A delete, and a repair that writes the extent there.
  case deleteDuringRepair = "delete-during-repair"
  /// A delete, and a read of the extent for a repair elsewhere.
  case deleteDuringRepairRead = "delete-during-repair-read"
  /// A delete, and a NotifyReplicasToRepair that names the extent and is not answered yet.
  case deleteDuringRepairTask = "delete-during-repair-task"
  /// A delete, and a leader that has asked what there is and has not said yet what is to be repaired.
  case deleteDuringRepairRound = "delete-during-repair-round"
  /// A NotifyReplicasToRepair that creates an extent which is being deleted, or was a moment ago.
  case ghostExtent = "ghost-extent"
  /// The partition is taken away, or its repair stopped, while operations run on it.
  case partitionRemoval = "partition-removal"
  // The delivery gate cannot watch a caller.
  /// The self-test at start failed: the kernel, a seccomp filter or a security module does not allow socket diagnostics.
  case gateUnsupported = "gate-unsupported"
  /// `gate.mode` is off.
  case gateOff = "gate-off"
  /// The caller's socket was not found: another network namespace, or a rewritten source port.
  case callerNotFound = "caller-not-found"
  /// The caller's tuple leads to a socket of our own.
  case callerOwnSocket = "caller-own-socket"
  /// TLS or MPTCP stands above the caller's socket.
  case callerUpperLayer = "caller-upper-layer"
  /// The kernel does not tell enough of the caller's socket.
  case callerShortInfo = "caller-short-info"
  /// Bytes reach the caller past its socket's counters.
  case callerSockmap = "caller-sockmap"
  /// Looking the caller's socket up keeps failing.
  case callerQueryFailed = "caller-query-failed"
  // TLS. The first ones are about the other end's certificate.
  /// It showed none.
  case tlsNoCertificate = "tls-no-certificate"
  /// Its validity has ended.
  case tlsExpired = "tls-expired"
  /// Its validity has not begun.
  case tlsNotYetValid = "tls-not-yet-valid"
  /// Its CA has revoked it.
  case tlsRevoked = "tls-revoked"
  /// No usable CRL of its CA is loaded.
  case tlsRevocationUnknown = "tls-revocation-unknown"
  /// No configured CA has issued it.
  case tlsUnknownIssuer = "tls-unknown-issuer"
  /// It is not for this use.
  case tlsWrongUsage = "tls-wrong-usage"
  /// None of its names is allowed, or wanted, here.
  case tlsWrongName = "tls-wrong-name"
  /// It is bad in another way.
  case tlsBadCertificate = "tls-bad-certificate"
  /// What the other end sent is no TLS.
  case tlsNotSpoken = "tls-not-spoken"
  /// No version or cipher suite that both allow.
  case tlsNothingInCommon = "tls-nothing-in-common"
  /// The other end refused with an alert.
  case tlsRefusedByPeer = "tls-refused-by-peer"
  /// The connection was lost in the handshake.
  case tlsLost = "tls-lost"
  /// The handshake took too long.
  case tlsTimeout = "tls-timeout"
  /// The protocol was violated, or OpenSSL failed.
  case tlsProtocol = "tls-protocol"
  /// TLS is wanted from this address, and plain CubeFS came.
  case tlsRequired = "tls-required"
  /// The source is none of those that may connect.
  case tlsSourceRefused = "tls-source-refused"
  /// The first byte is neither TLS nor CubeFS.
  case firstByteUnknown = "first-byte-unknown"
  /// Too many handshakes are in flight.
  case handshakeLimit = "handshake-limit"
  /// A sidecar's connection does not begin with a proper PROXY header.
  case proxyHeader = "proxy-header"
  // Lanekeeper itself.
  /// The process is stopping.
  case shutdown = "shutdown"
  /// The connection's original destination is not known.
  case noOriginalDestination = "no-original-destination"
  /// The connection was made to the listener itself: dialling its destination would be a loop.
  case proxyLoop = "proxy-loop"
}
