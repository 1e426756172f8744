internal import CLinux
internal import Glibc

/// A closed connection's descriptor, kept until the other end has closed as well: an alert or a close-notify that we sent last would be
/// lost where unread bytes make the kernel answer with a reset (RFC 9112 section 9.6 has the reason).
final class Linger: EventHandler {
  /// The most of them per reactor; further ones are closed at once.
  static let most = 256
  static let longest: Nanoseconds = 2_000_000_000
  /// The most bytes that are read and thrown away.
  static let mostBytes = 1024 * 1024

  private unowned let reactor: Reactor
  private let fd: Int32
  private var registration = Registration.none
  private var timer: ReactorTimer!
  private var bytes = 0

  private init(_ reactor: Reactor, _ fd: Int32) {
    self.reactor = reactor
    self.fd = fd
    super.init()
    timer = ReactorTimer(reactor) { [unowned self] in self.finish() }
  }

  /// Shuts our direction, and waits. False where the descriptor is still the caller's.
  static func begin(_ reactor: Reactor, _ fd: Int32) -> Bool {
    guard reactor.lingering < most else { return false }
    let linger = Linger(reactor, fd)
    do { linger.registration = try reactor.register(fd, .readable, linger) } catch { return false }
    _ = clinux_shutdown_write(fd)
    reactor.lingering += 1
    linger.timer.arm(at: reactor.now &+ longest)
    return true
  }

  override func ready(_ events: ReadyEvents) {
    let count = clinux_receive(fd, reactor.readBuffer.baseAddress, reactor.readBuffer.count)
    if count == -Int(EAGAIN) { return }
    bytes += max(0, count)
    if count <= 0 || bytes > Self.mostBytes { finish() }
  }

  private func finish() {
    reactor.lingering -= 1
    timer.disarm()
    reactor.deregister(registration, fd)
    _ = clinux_close(fd)
  }
}
