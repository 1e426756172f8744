internal import CLinux
internal import Glibc
public import NetEndpoint

/// What a listener has to say beside the connections it accepts.
public enum ListenerTrouble: Equatable, Sendable {
  /// No descriptor or memory for another connection: callers wait in the backlog until `recovered`. Said once per episode.
  case descriptorsExhausted(SystemFailure)
  /// Accepting works again.
  case recovered(pausedFor: Nanoseconds)
  /// accept() failed for a reason that waiting does not cure: the listener has stopped.
  case stopped(SystemFailure)
}

/// A listening TCP socket on one reactor, alive until `close`.
public final class Listener: EventHandler {
  /// The most connections accepted in one wake.
  public static let acceptsPerWake = 64
  /// How long accepting rests when descriptors have run out, before it is tried again.
  public static let pauseAtLimit: Nanoseconds = 100_000_000

  /// The address in use, with the real port where 0 was asked for.
  public let endpoint: Endpoint
  /// Connections handed to `accept` so far.
  public private(set) var acceptedCount: UInt64 = 0

  /// Whether it takes connections now: it was not closed, has not stopped, and does not rest for want of descriptors.
  public var isAccepting: Bool { fd >= 0 && pausedSince == nil }

  private let reactor: Reactor
  private let accept: (AcceptedSocket) -> Void
  private let trouble: (ListenerTrouble) -> Void
  private var fd: Int32
  private var registration = Registration.none
  private var retry: ReactorTimer?
  private var pausedSince: Nanoseconds?

  /// Binds (with `SO_REUSEADDR`) and listens. Both closures run on the reactor's thread; `accept` owns the socket it gets.
  public init(
    reactor: Reactor, on endpoint: Endpoint, backlog: Int32 = 4096, reusePort: Bool = false,
    accept: @escaping (AcceptedSocket) -> Void, trouble: @escaping (ListenerTrouble) -> Void = { _ in }
  ) throws(SystemFailure) {
    let fd = try check(.socket, clinux_tcp_socket())
    do {
      try check(.reuseAddress, clinux_set_reuse_address(fd))
      if reusePort { try check(.reusePort, clinux_set_reuse_port(fd)) }
      try check(.bind, clinux_tcp_bind(fd, endpoint.address, endpoint.port))
      try check(.listen, clinux_tcp_listen(fd, backlog))
    } catch {
      _ = clinux_close(fd)
      throw error
    }
    self.reactor = reactor
    self.fd = fd
    self.endpoint = Endpoint.local(of: fd)
    self.accept = accept
    self.trouble = trouble
    super.init()
    do {
      registration = try reactor.register(fd, .readable, self)
    } catch {
      close()
      throw error
    }
    retry = ReactorTimer(reactor) { [unowned self] in acceptWaiting() }
  }

  /// Stops listening. Connections in the backlog are reset by the kernel.
  public func close() {
    guard fd >= 0 else { return }
    let descriptor = fd
    fd = -1
    retry?.disarm()
    reactor.deregister(registration, descriptor)
    _ = clinux_close(descriptor)
  }

  /// Called by the reactor.
  public override func ready(_ events: ReadyEvents) { acceptWaiting() }

  private func acceptWaiting() {
    for _ in 0..<Listener.acceptsPerWake {
      guard fd >= 0 else { return }
      var address: UInt32 = 0
      var port: UInt16 = 0
      let answer = clinux_tcp_accept(fd, &address, &port)
      if answer >= 0 {
        resume()
        acceptedCount &+= 1
        accept(AcceptedSocket(fd: answer, remote: Endpoint(address: address, port: port)))
        continue
      }
      switch -answer {
      case EAGAIN:
        // accept4() takes its descriptor before it looks at the queue: an empty queue proves that one was free.
        resume()
        return
      case EMFILE, ENFILE, ENOBUFS, ENOMEM:
        pause(SystemFailure(.accept, -answer))
        return
      case EBADF, EFAULT, EINVAL, ENOTSOCK, EOPNOTSUPP:
        let failure = SystemFailure(.accept, -answer)
        close()
        trouble(.stopped(failure))
        return
      default:
        // ECONNABORTED, and the network errors that accept(2) passes on from a connection that is already dead.
        continue
      }
    }
  }

  private func pause(_ failure: SystemFailure) {
    retry?.arm(at: reactor.now + Listener.pauseAtLimit)
    guard pausedSince == nil else { return }
    pausedSince = reactor.now
    reactor.suspend(registration, fd)
    trouble(.descriptorsExhausted(failure))
  }

  private func resume() {
    guard let since = pausedSince else { return }
    pausedSince = nil
    do {
      try reactor.change(registration, fd, .readable)
      trouble(.recovered(pausedFor: reactor.now - since))
    } catch {
      pause(error)
    }
  }
}
