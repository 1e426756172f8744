internal import CLinux
internal import Glibc

/// What a connection with TLS has besides its socket.
final class ConnectionSecurity {
  /// Nil until the handshake has begun.
  private(set) var session: TLSSession?
  /// For the handshake that is to come.
  let parameters: TLSParameters?
  /// Bytes that were sent before the handshake was over.
  var early: [UInt8] = []
  /// The last read may have left decrypted bytes, or records, inside: the socket will not tell of them.
  var mayHold = false
  /// A record, or the connection, has failed.
  var hasFailed = false
  private(set) var timer: ReactorTimer!

  init(_ parameters: TLSParameters, _ connection: Connection) {
    self.parameters = parameters
    timer = ReactorTimer(connection.reactor) { [unowned connection] in connection.readHeldBytes() }
  }

  init(_ session: TLSSession, _ connection: Connection) {
    self.session = session
    parameters = nil
    timer = ReactorTimer(connection.reactor) { [unowned connection] in connection.readHeldBytes() }
  }

  func begin(isClient: Bool, fd: Int32) throws(TLSFailure) -> TLSSession {
    guard let parameters else { throw TLSFailure(.library, "no parameters") }
    let session = try TLSSession(parameters, isClient: isClient, fd: fd)
    self.session = session
    return session
  }

  /// The connection gives its descriptor away.
  func leave() {
    timer.disarm()
    session?.detach()
  }
}

extension Connection {
  // MARK: Handshake

  /// Looks at the first byte that the other end has sent and takes nothing; nil while there is none.
  public final func firstByte() -> UInt8? {
    guard phase == .established, bytesRead == 0 else { return nil }
    var byte: UInt8 = 0
    return recv(fd, &byte, 1, Int32(MSG_PEEK)) == 1 ? byte : nil
  }

  /// Begins the handshake as the server on an accepted connection of which nothing was read; `connected` or `handshakeFailed`
  /// follows, perhaps from within this call.
  public final func startTLS(_ parameters: TLSParameters) {
    guard phase == .established, bytesRead == 0, bytesWritten == 0 else { return }
    security = ConnectionSecurity(parameters, self)
    beginHandshake(isClient: false)
  }

  final func beginHandshake(isClient: Bool = true) {
    guard let security else { return }
    phase = .handshaking
    do throws(TLSFailure) { _ = try security.begin(isClient: isClient, fd: fd) } catch { return handshakeEnded(error) }
    continueHandshake()
  }

  final func continueHandshake() {
    guard let security, let session = security.session else { return }
    let step = session.handshake(reactor.recordBuffer) { transmit($0) }
    switch step {
    case .wantsRead:
      if writeErrno != 0 { return handshakeEnded(TLSFailure(.lost, "\(SystemFailure(.send, writeErrno))")) }
      updateInterest()
    case .done:
      phase = .secured
      security.mayHold = true
      updateInterest()
      if session.speaksApplicationProtocol { open(security) }
      if !security.early.isEmpty {
        let early = security.early
        security.early = []
        _ = early.withUnsafeBytes { encrypt($0) }
      }
      if readingWanted { heldBytesAreDue() }
      connected()
    case .end: handshakeEnded(TLSFailure(.truncated, "the other end closed"))
    case .failed(let failure): handshakeEnded(failure)
    }
  }

  /// The client says what the protocol above begins with, in front of all that anybody sends; it is not counted as theirs.
  private final func open(_ security: ConnectionSecurity) {
    guard let opening = security.parameters?.applicationProtocol?.opening, !opening.isEmpty else { return }
    _ = opening.withUnsafeBytes { encrypt($0) }
    bytesWritten = 0
  }

  private final func handshakeEnded(_ failure: TLSFailure) {
    var failure = failure
    failure.isAfterRecord = security?.session?.hasHeardRecord ?? false
    readEnded = true
    reactor.suspend(registration, fd)
    handshakeFailed(failure)
  }

  /// Gives up the socket of a server whose handshake is over, for another connection to go on with. Nil where there is none, or where
  /// bytes wait to be sent.
  public final func handOver() -> (socket: AcceptedSocket, tls: TLSSession?)? {
    guard phase == .established || phase == .secured, output.count == 0, !readEnded, writeErrno == 0 else { return nil }
    let session = tls
    let socket = AcceptedSocket(fd: fd, remote: remote)
    phase = .closed
    fd = -1
    security?.timer.disarm()
    security = nil
    reactor.deregister(registration, socket.fd)
    return (socket, session)
  }

  // MARK: Transfer

  /// Decrypts what has come; the kernel's queue is empty where it gives less than there was room for.
  final func decrypt(into buffer: UnsafeMutableRawBufferPointer) -> ReadOutcome {
    guard phase == .secured, let security, let session = security.session else {
      return isConnecting ? .wouldBlock : .failed(SystemFailure(.receive, EBADF))
    }
    guard buffer.count > 0 else { return .wouldBlock }
    security.mayHold = false
    switch session.decrypt(into: buffer, reactor.recordBuffer, { transmit($0) }) {
    case .done(let count):
      bytesRead &+= UInt64(count)
      security.mayHold = count == buffer.count || session.hasMore
      if readingWanted { heldBytesAreDue() }
      return .bytes(count)
    case .wantsRead: return .wouldBlock
    case .end:
      readEnded = true
      updateInterest()
      return .end
    case .failed(let failure): return .failed(noRecordsFollow(failure))
    }
  }

  private final func noRecordsFollow(_ failure: TLSFailure) -> SystemFailure {
    tell(failure)
    readEnded = true
    if writeErrno == 0 { writeErrno = failure.kind == .truncated ? ECONNRESET : EPROTO }
    output.discard(reactor.outputPool)
    reactor.suspend(registration, fd)
    return SystemFailure(.records, writeErrno)
  }

  final func lookInside() -> PeekOutcome {
    guard phase == .secured, let security, let session = security.session else {
      return isConnecting ? .quiet : .failed(SystemFailure(.receive, EBADF))
    }
    if readEnded { return .end }
    switch session.look(reactor.recordBuffer, { transmit($0) }) {
    case .done:
      security.mayHold = true
      return .readable
    case .wantsRead: return .quiet
    case .end: return .end
    case .failed(let failure):
      tell(failure)
      return .failed(SystemFailure(.records, failure.kind == .truncated ? ECONNRESET : EPROTO))
    }
  }

  /// Once: what comes after the first failure has lost its cause.
  private final func tell(_ failure: TLSFailure) {
    guard let security, !security.hasFailed else { return }
    security.hasFailed = true
    if failure.kind != .truncated && failure.kind != .lost { recordsFailed(failure) }
  }

  /// Sends in records. What the socket does not take is kept as such.
  final func encrypt(_ bytes: UnsafeRawBufferPointer) -> SendOutcome {
    guard let security else { return .failed(SystemFailure(.send, EBADF)) }
    if isConnecting {
      if bytes.count > pendingLimit - security.early.count { return .overflow }
      security.early.append(contentsOf: bytes)
      return bytes.isEmpty && security.early.isEmpty ? .sent : .queued
    }
    guard let session = security.session else { return .failed(SystemFailure(.send, EBADF)) }
    var rest = bytes
    while !rest.isEmpty {
      let part = UnsafeRawBufferPointer(rebasing: rest.prefix(TLSSession.encryptLimit))
      guard case .done(let count) = session.encrypt(part, reactor.recordBuffer, { transmit($0) }) else {
        return .failed(writeFailed(EPROTO))
      }
      if writeErrno != 0 { return .failed(SystemFailure(.send, writeErrno)) }
      bytesWritten &+= UInt64(count)
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
    }
    return output.count > 0 ? .queued : .sent
  }

  /// Records for the socket: the kernel takes them, or they wait.
  private final func transmit(_ records: UnsafeRawBufferPointer) {
    guard writeErrno == 0, fd >= 0, !writeShut else { return }
    var taken = 0
    if output.count == 0 {
      let count = clinux_send(fd, records.baseAddress, records.count)
      if count == records.count { return }
      if count >= 0 {
        taken = count
      } else if count != -Int(EAGAIN) {
        _ = writeFailed(Int32(-count))
        return
      }
    }
    output.append(UnsafeRawBufferPointer(rebasing: records[taken...]), reactor.outputPool)
    updateInterest()
  }

  final func sayNothingMoreComes() {
    guard phase == .secured, writeErrno == 0, !writeShut else { return }
    security?.session?.closeNotify(reactor.recordBuffer) { transmit($0) }
  }

  // MARK: Bytes inside

  /// What the last read left inside is read in the next turn of the loop: the socket will not tell of it.
  final func heldBytesAreDue() {
    guard let security, security.mayHold, security.session?.holdsBytes == true else { return }
    // Later than now: what is due now would run again and again in the same turn.
    security.timer.arm(at: reactor.now &+ 1)
  }

  final func readHeldBytes() {
    guard phase == .secured, readingWanted, !readEnded else { return }
    readable()
  }
}
