internal import CLinux

/// The only part of a reactor that other threads may touch: messages that its thread runs at its next wake, in the order posted.
public final class ReactorMailbox: Sendable {
  /// What is run on the reactor's thread.
  public typealias Message = @Sendable (Reactor) -> Void
  /// The most messages that wait: a bound against a poster that outruns a stalled reactor.
  public static let limit = 65_536

  let descriptor: Int32
  private let lock = Lock()
  nonisolated(unsafe) private var messages: [Message] = []
  nonisolated(unsafe) private var isClosed = false

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// Hands a message over and wakes the reactor. False where the reactor is gone or `limit` messages wait: the message will not run.
  @discardableResult
  public func post(_ message: @escaping Message) -> Bool {
    lock.withLock {
      guard !isClosed, messages.count < ReactorMailbox.limit else { return false }
      messages.append(message)
      // Under the lock, so that the descriptor cannot be closed and reused between the check and the write.
      if messages.count == 1 { _ = clinux_eventfd_signal(descriptor) }
      return true
    }
  }

  func take() -> [Message] {
    lock.withLock {
      _ = clinux_eventfd_drain(descriptor)
      var taken: [Message] = []
      swap(&taken, &messages)
      return taken
    }
  }

  func close() {
    lock.withLock {
      guard !isClosed else { return }
      isClosed = true
      messages = []
      _ = clinux_close(descriptor)
    }
  }
}

/// Runs the messages. The reactor owns it, hence the unowned way back.
final class MailboxReader: EventHandler {
  private unowned let reactor: Reactor
  private let mailbox: ReactorMailbox

  init(_ reactor: Reactor, _ mailbox: ReactorMailbox) {
    self.reactor = reactor
    self.mailbox = mailbox
  }

  override func ready(_ events: ReadyEvents) {
    for message in mailbox.take() { message(reactor) }
  }
}
