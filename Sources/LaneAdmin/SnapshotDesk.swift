internal import NIOConcurrencyHelpers
internal import NIOCore

/// Asks for snapshots on behalf of the pages. At most one question is out at a time, and all who come meanwhile share its answer:
/// a source that hangs collects no further questions. Questions keep a distance, so that a flood of requests costs the source
/// no more than a bounded number of snapshots a second. For the event loop's thread.
final class SnapshotDesk<Snapshot: Sendable>: @unchecked Sendable {
  typealias Ask = @Sendable (_ answer: @escaping @Sendable (Snapshot) -> Void) -> Bool
  typealias Receiver = (Snapshot?) -> Void

  private let eventLoop: any EventLoop
  private let timeout: TimeAmount
  private let interval: TimeAmount
  private let ask: Ask
  /// A question is out, or will be at its time.
  private var isAsked = false
  private var nextQuestion = NIODeadline.uptimeNanoseconds(0)
  private var waiting: [(number: Int, receiver: Receiver, deadline: Scheduled<Void>)] = []
  private var next = 0
  /// The event loop takes no more answers.
  private let isClosed = NIOLockedValueBox(false)

  init(_ eventLoop: any EventLoop, timeout: TimeAmount, interval: TimeAmount, ask: @escaping Ask) {
    self.eventLoop = eventLoop
    self.timeout = timeout
    self.interval = interval
    self.ask = ask
  }

  /// Calls the receiver once: with the snapshot, or with nil when the time is over or the source takes no question.
  func snapshot(_ receiver: @escaping Receiver) {
    eventLoop.preconditionInEventLoop()
    let number = next
    next &+= 1
    waiting.append((number, receiver, eventLoop.scheduleTask(in: timeout) { self.giveUp(number) }))
    guard !isAsked else { return }
    isAsked = true
    if nextQuestion <= .now() { question() } else { eventLoop.scheduleTask(deadline: nextQuestion) { self.question() } }
  }

  private func question() {
    nextQuestion = .now() + interval
    if !ask({ self.receive($0) }) { answered(nil) }
  }

  /// From any thread, and at any time: also when the event loop has ended.
  private func receive(_ snapshot: Snapshot) {
    isClosed.withLockedValue { isClosed in
      if !isClosed { eventLoop.execute { self.answered(snapshot) } }
    }
  }

  /// Takes no further answers. From any thread, before the event loop ends.
  func close() { isClosed.withLockedValue { $0 = true } }

  private func giveUp(_ number: Int) {
    guard let index = waiting.firstIndex(where: { $0.number == number }) else { return }
    waiting.remove(at: index).receiver(nil)
  }

  private func answered(_ snapshot: Snapshot?) {
    isAsked = false
    let all = waiting
    waiting = []
    for one in all {
      one.deadline.cancel()
      one.receiver(snapshot)
    }
  }
}
