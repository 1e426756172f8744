internal import CLinux
internal import Glibc

extension Connection {
  /// One recv(). At the end of the stream and after a failure `readable` is not called again.
  public final func read(into buffer: UnsafeMutableRawBufferPointer) -> ReadOutcome {
    guard phase == .established else { return decrypt(into: buffer) }
    let count = clinux_receive(fd, buffer.baseAddress, buffer.count)
    if count > 0 {
      bytesRead &+= UInt64(count)
      return .bytes(count)
    }
    if count == 0 && buffer.count == 0 { return .wouldBlock }
    if count == -Int(EAGAIN) { return .wouldBlock }
    readEnded = true
    if count == 0 {
      updateInterest()
      return .end
    }
    if writeErrno == 0 { writeErrno = Int32(-count) }
    output.discard(reactor.outputPool)
    reactor.suspend(registration, fd)
    return .failed(SystemFailure(.receive, Int32(-count)))
  }

  /// Looks at the receive queue without taking anything: one recv() of one byte with `MSG_PEEK`.
  public final func peek() -> PeekOutcome {
    guard phase == .established else { return lookInside() }
    if readEnded { return .end }
    let count = clinux_peek(fd)
    if count > 0 { return .readable }
    if count == 0 { return .end }
    return count == -Int(EAGAIN) ? .quiet : .failed(SystemFailure(.receive, Int32(-count)))
  }

  /// Gives bytes to the kernel, and keeps a copy of what it does not take. While the connect runs everything is kept.
  /// One call may carry at most `pendingLimit` bytes.
  public final func send(_ bytes: UnsafeRawBufferPointer) -> SendOutcome {
    if writeErrno != 0 { return .failed(SystemFailure(.send, writeErrno)) }
    if phase == .closed || writeShut || shutWhenDrained { return .failed(SystemFailure(.send, phase == .closed ? EBADF : EPIPE)) }
    if bytes.count > pendingLimit - output.count { return .overflow }
    if phase == .secured || phase == .handshaking { return encrypt(bytes) }
    if output.count > 0 || phase == .connecting {
      if security != nil { return encrypt(bytes) }
      if bytes.count == 0 { return output.count > 0 ? .queued : .sent }
      output.append(bytes, reactor.outputPool)
      return .queued
    }
    if bytes.count == 0 { return .sent }
    let count = clinux_send(fd, bytes.baseAddress, bytes.count)
    if count == bytes.count {
      bytesWritten &+= UInt64(count)
      return .sent
    }
    var taken = 0
    if count >= 0 {
      taken = count
    } else if count != -Int(EAGAIN) {
      return .failed(writeFailed(Int32(-count)))
    }
    bytesWritten &+= UInt64(taken)
    output.append(UnsafeRawBufferPointer(rebasing: bytes[taken...]), reactor.outputPool)
    updateInterest()
    return .queued
  }

  final func writeFailed(_ errno: Int32) -> SystemFailure {
    writeErrno = errno
    output.discard(reactor.outputPool)
    updateInterest()
    return SystemFailure(.send, errno)
  }

  /// One sendmsg() for the pending output: called when the socket has room.
  final func flush() {
    let count = output.write(to: fd)
    if count < 0 {
      if count == -Int(EAGAIN) { return }
      broken(writeFailed(Int32(-count)))
      return
    }
    // Of what is encrypted, the bytes of the application were counted then.
    if security == nil { bytesWritten &+= UInt64(count) }
    output.consume(count, reactor.outputPool)
    guard output.count == 0 else { return }
    if shutWhenDrained { shutNow() }
    if phase == .handshaking { return updateInterest() }
    drained()
    // After the callback: one that refills the queue, or pauses, then costs no system call here.
    updateInterest()
  }

  /// Shuts our sending direction (FIN), after what is pending. Later sends fail.
  public final func shutdownWrite() {
    guard phase != .closed, !writeShut, !shutWhenDrained else { return }
    if security != nil { sayNothingMoreComes() }
    if output.count > 0 || isConnecting { shutWhenDrained = true } else { shutNow() }
  }

  final func shutNow() {
    shutWhenDrained = false
    writeShut = true
    // ENOTCONN means that the peer's reset came first: the loop reports that by itself.
    _ = clinux_shutdown_write(fd)
  }

  /// Closes with FIN (with RST where received bytes were not read: that is the kernel's rule). Returns the pending bytes that are dropped.
  @discardableResult
  public final func close() -> Int {
    guard phase != .closed else { return 0 }
    let dropped = output.count
    if security != nil { sayNothingMoreComes() }
    let isToLinger = security != nil && output.count == 0 && writeErrno == 0
    output.discard(reactor.outputPool)
    let descriptor = leave()
    if !isToLinger || !Linger.begin(reactor, descriptor) { _ = clinux_close(descriptor) }
    return dropped
  }

  /// Out of the reactor; the descriptor is the caller's.
  final func leave() -> Int32 {
    phase = .closed
    let descriptor = fd
    fd = -1
    security?.leave()
    security = nil
    reactor.deregister(registration, descriptor)
    return descriptor
  }

  /// Closes with RST: the peer's next read fails with ECONNRESET, after which it cannot take what it has for complete.
  public final func reset() {
    guard phase != .closed else { return }
    output.discard(reactor.outputPool)
    let descriptor = leave()
    _ = clinux_set_linger_reset(descriptor)
    _ = clinux_close(descriptor)
  }
}
