internal import Synchronization

/// A flag that one thread raises and another sees.
final class LabFlag: Sendable {
  private let raised = Atomic<Bool>(false)
  var isRaised: Bool { raised.load(ordering: .acquiring) }
  func raise() { raised.store(true, ordering: .releasing) }
}

/// Results that one thread leaves for another to take after `join`.
final class FindingsBox: @unchecked Sendable {
  private let lock = LabLock()
  private var findings: [Oracle.Findings] = []
  var values: [Oracle.Findings] { lock.withLock { findings } }
  func add(_ new: Oracle.Findings) { lock.withLock { findings.append(new) } }
}
