import Glibc
import LaneAdmin
import NetEndpoint

/// What a test's source of snapshots does with questions.
final class FakeSource: @unchecked Sendable {
  enum Behaviour { case answer, keep, refuse }

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var behaviour: Behaviour
  private var kept: [@Sendable (Int) -> Void] = []
  private var asked = 0

  init(_ behaviour: Behaviour = .answer) {
    self.behaviour = behaviour
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  private func withLock<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Questions so far.
  var questions: Int { withLock { asked } }

  func behave(_ behaviour: Behaviour) { withLock { self.behaviour = behaviour } }

  /// Answers what was kept.
  func answerKept() {
    let answers = withLock {
      defer { kept = [] }
      return kept
    }
    for answer in answers { answer(questions) }
  }

  /// A server on a free port whose pages show the number of the question that was answered.
  func serve(_ change: (inout AdminLimits) -> Void = { _ in }) throws -> AdminServer<Int> {
    var limits = AdminLimits()
    change(&limits)
    let pages = [
      AdminPage<Int>(path: "/number", contentType: "text/number") { number in
        .init(isAvailable: number != nil, body: Array((number.map { "\($0)" } ?? "none").utf8))
      },
      AdminPage<Int>(path: "/large", contentType: "text/plain") { _ in .init(body: [UInt8](repeating: 0x78, count: 64 << 20)) },
    ]
    return try AdminServer(on: Endpoint(address: 0x7F00_0001, port: 0), limits: limits, pages: pages) { answer in
      self.withLock {
        self.asked += 1
        switch self.behaviour {
        case .answer: answer(self.asked)
        case .keep: self.kept.append(answer)
        case .refuse: return false
        }
        return true
      }
    }
  }
}
