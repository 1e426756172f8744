internal import CLinux
internal import Glibc
public import NetEndpoint

/// One non-blocking TCP socket on one reactor, to be subclassed by a session.
///
/// The reactor keeps it alive from its creation until `close` or `reset`; after those no callback arrives, and every method is harmless.
/// A callback may close its own connection.
open class Connection: EventHandler {
  enum Phase: UInt8 {
    /// The kernel connects.
    case connecting
    /// TCP stands, TLS does not yet.
    case handshaking
    /// Bytes go as they are.
    case established
    /// Bytes go in TLS records.
    case secured
    case closed
  }

  /// The reactor whose thread this connection belongs to.
  public final let reactor: Reactor
  /// The other end.
  public final let remote: Endpoint
  /// All bytes ever taken from the kernel.
  @exclusivity(unchecked) public internal(set) final var bytesRead: UInt64 = 0
  /// All bytes ever given to the kernel.
  @exclusivity(unchecked) public internal(set) final var bytesWritten: UInt64 = 0
  /// The most bytes that may be pending.
  @exclusivity(unchecked) public final var pendingLimit = 1024 * 1024 + Reactor.readBufferSize

  // One thread, and no access that lasts across a callback: the run-time exclusivity checks were 40% of a forwarded packet's instructions.
  @exclusivity(unchecked) final var fd: Int32
  @exclusivity(unchecked) final var phase: Phase
  @exclusivity(unchecked) final var registration = Registration.none
  @exclusivity(unchecked) final var output = OutputChain()
  @exclusivity(unchecked) final var readingWanted: Bool
  /// The end of the stream was read: nothing more will come.
  @exclusivity(unchecked) final var readEnded = false
  @exclusivity(unchecked) final var writeShut = false
  @exclusivity(unchecked) final var shutWhenDrained = false
  /// The errno with which writing failed, 0 while it works.
  @exclusivity(unchecked) final var writeErrno: Int32 = 0
  final var connectErrno: Int32 = 0
  /// What TLS needs; nil for a connection without.
  @exclusivity(unchecked) final var security: ConnectionSecurity?
  /// `tcpi_bytes_acked` before anything was written: 0, or 1 where the SYN counts.
  @exclusivity(unchecked) final var acknowledgedAtStart: UInt64?

  /// Adopts an accepted socket, and closes it where an option cannot be set. With `reading: false` nothing is read before `resumeReading`.
  /// - Parameter tls: the outcome of a handshake on it, by the connection that has handed it over.
  public init(
    reactor: Reactor, accepted: AcceptedSocket, tls: TLSSession? = nil, options: SocketOptions, reading: Bool = true
  ) throws(SystemFailure) {
    self.reactor = reactor
    remote = accepted.remote
    fd = accepted.fd
    phase = tls == nil ? .established : .secured
    readingWanted = reading
    super.init()
    if let tls {
      security = ConnectionSecurity(tls, self)
      // The first request may have come with the last record of the handshake.
      security?.mayHold = true
      if reading { heldBytesAreDue() }
    }
    do {
      try options.apply(to: fd)
      // With TCP Fast Open the SYN may be acknowledged later: then nothing is known of our first byte.
      if let progress, progress.state != UInt8(CLINUX_TCP_SYN_RECV) { acknowledgedAtStart = progress.bytes_acked }
      registration = try reactor.register(fd, interest, self)
    } catch {
      abandon()
      throw error
    }
  }

  /// Starts a non-blocking connect; `connected`, `connectFailed` or `handshakeFailed` follows from the loop, never from within this call.
  /// - Parameter tls: how it is to be secured; nil for a plain connection.
  public init(reactor: Reactor, connectingTo remote: Endpoint, tls: TLSParameters? = nil, options: SocketOptions) throws(SystemFailure) {
    self.reactor = reactor
    self.remote = remote
    fd = try check(.socket, clinux_tcp_socket())
    phase = .connecting
    readingWanted = true
    super.init()
    do {
      try options.apply(to: fd)
      let answer = clinux_tcp_connect(fd, remote.address, remote.port)
      if answer < 0 && answer != -EINPROGRESS { connectErrno = -answer }
      registration = try reactor.register(fd, .writable, self)
    } catch {
      abandon()
      throw error
    }
    if let tls { security = ConnectionSecurity(tls, self) }
  }

  deinit {
    // Only a connection whose initialiser threw gets here with a descriptor: the reactor holds all others until they are closed.
    if fd >= 0 { abandon() }
  }

  private final func abandon() {
    _ = clinux_close(fd)
    fd = -1
    phase = .closed
  }

  // MARK: State

  /// Our own end; 0.0.0.0:0 once closed.
  public final var local: Endpoint { Endpoint.local(of: fd) }
  /// Neither closed nor reset by us. A connection that the peer broke is open until we close it.
  @inline(__always)
  public final var isOpen: Bool { phase != .closed }
  /// The connect, or the handshake after it, has not finished yet.
  public final var isConnecting: Bool { phase == .connecting || phase == .handshaking }
  /// The TLS session, once its handshake is over; nil for a plain connection.
  public final var tls: TLSSession? { phase == .secured ? security?.session : nil }
  /// Bytes accepted by `send` that the kernel has not taken yet.
  @inline(__always)
  public final var pendingBytes: Int { output.count }
  /// Whether the last read has left something inside TLS that no look at the socket would find, however much room it had.
  public final var mayHoldBytes: Bool { security?.mayHold ?? false }
  /// Whether `pauseReading` is in force.
  public final var isReadingPaused: Bool { !readingWanted }
  /// The descriptor, for socket options and diagnostics; -1 once closed.
  public final var descriptor: Int32 { fd }

  /// Bytes that the other end has not acknowledged: those pending here, and those in the kernel's send queue (SIOCOUTQ).
  public final var unacknowledgedBytes: Int { output.count + Int(max(0, clinux_send_queue(fd))) }

  /// Bytes of ours that the other end's TCP has acknowledged: they are in its receive queue, or were read. One system call, which
  /// never blocks (`tcpi_bytes_acked`, Linux 4.1). Nil where the kernel does not tell, and for a connection that we opened.
  public final var acknowledgedBytes: UInt64? {
    guard let acknowledgedAtStart, let progress, progress.bytes_acked >= acknowledgedAtStart else { return nil }
    return progress.bytes_acked - acknowledgedAtStart
  }

  /// In-order bytes that our TCP has received, read or not; the other end's FIN counts as one. One system call, which never
  /// blocks (`tcpi_bytes_received`, Linux 4.1). Nil where the kernel does not tell.
  public final var receivedBytes: UInt64? { progress?.bytes_received }

  private final var progress: clinux_tcp_progress? {
    var progress = clinux_tcp_progress()
    return clinux_tcp_progress(fd, &progress) == 0 ? progress : nil
  }

  /// Whether the other end has shut its sending direction, read or not: for who does not read.
  public final var peerHasShut: Bool {
    guard fd >= 0 else { return true }
    var entry = pollfd(fd: fd, events: Int16(truncatingIfNeeded: ReadyEvents.readHangUp.rawValue), revents: 0)
    return poll(&entry, 1, 0) > 0 && entry.revents != 0
  }

  // MARK: Callbacks

  /// The connect finished, and the handshake where there is one; bytes can be sent and read.
  open func connected() {}
  /// TLS could not be had. The connection still has to be closed.
  open func handshakeFailed(_ failure: TLSFailure) {}
  /// TLS has failed after its handshake; the read or the look that found it says next that the connection is lost. Nothing may be closed
  /// from within. In TLS 1.3 a client's handshake is over before the server has looked at its certificate: that it does not take it is
  /// told here (RFC 8446 section 2, figure 1). A connection that ends without a close-notify is not.
  open func recordsFailed(_ failure: TLSFailure) {}
  /// The connect failed. The connection still has to be closed.
  open func connectFailed(_ failure: SystemFailure) {}
  /// Data or the end of the stream can be read: call `read` once.
  open func readable() {}
  /// The last pending byte went to the kernel.
  open func drained() {}
  /// The connection is lost, found while not reading: while output was pending, or while reading was paused or had ended. Close it.
  open func broken(_ failure: SystemFailure) {}

  // MARK: Events

  /// Called by the reactor.
  public final override func ready(_ events: ReadyEvents) {
    if phase == .connecting {
      finishConnect()
      return
    }
    if !events.isDisjoint(with: .writable), output.count > 0 { flush() }
    if phase != .established && phase != .secured {
      if phase == .handshaking { continueHandshake() }
      return
    }
    if readingWanted && !readEnded {
      // An error or a hang-up is found by the read, after the data that came before it.
      if !events.isDisjoint(with: [.readable, .error, .hangUp]) { readable() }
    } else if !events.isDisjoint(with: [.error, .hangUp]) {
      lost()
    }
  }

  private final func finishConnect() {
    let errno = connectErrno != 0 ? connectErrno : clinux_socket_error(fd)
    if errno != 0 {
      reactor.suspend(registration, fd)
      writeErrno = errno
      readEnded = true
      connectFailed(SystemFailure(.connect, errno))
      return
    }
    if security != nil { return beginHandshake() }
    phase = .established
    updateInterest()
    connected()
  }

  /// `EPOLLERR` or `EPOLLHUP`, and nobody reads. They would be reported again and again: the descriptor leaves the kernel's set.
  private final func lost() {
    reactor.suspend(registration, fd)
    let errno = clinux_socket_error(fd)
    // Both directions shut in good order, or the peer's end waiting behind a paused read: `resumeReading` brings it back.
    if errno == 0 && (writeShut || writeErrno != 0) { return }
    writeErrno = errno == 0 ? EPIPE : errno
    output.discard(reactor.outputPool)
    broken(SystemFailure(.receive, errno == 0 ? ECONNRESET : errno))
  }

  // MARK: Interest

  final var interest: ReadyEvents {
    var wanted: ReadyEvents = (readingWanted || phase == .handshaking) && !readEnded ? .readable : []
    if output.count > 0 { wanted.insert(.writable) }
    return wanted
  }

  /// A failure to change the interest (ENOMEM) is kept for the next send or read to report.
  final func updateInterest() {
    guard phase != .connecting && phase != .closed else { return }
    do { try reactor.change(registration, fd, interest) } catch { writeErrno = error.errno }
  }

  /// Stops `readable` callbacks: the kernel's buffers fill, and the peer is slowed down.
  public final func pauseReading() {
    guard readingWanted else { return }
    readingWanted = false
    updateInterest()
  }

  /// Brings `readable` callbacks back.
  public final func resumeReading() {
    guard !readingWanted else { return }
    readingWanted = true
    updateInterest()
    if phase == .secured { heldBytesAreDue() }
  }
}
