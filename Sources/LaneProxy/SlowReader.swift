internal import LinuxIO

/// A reader that does not take what it is owed, while its server waits (PROTOCOL.md section 6, number 2).
struct SlowReader {
  /// How much is read at a time for one that does not keep up, bytes: what waits for it is a pause of its server's.
  static let readSize = 16 * 1024

  private var since: Nanoseconds?
  /// When it was last looked at, and how much it had not acknowledged then.
  private var look: (time: Nanoseconds, owed: Int) = (0, 0)

  /// Something waits for it.
  var isBehind: Bool { since != nil }

  /// It does not take what it is sent.
  mutating func fallsBehind(now: Nanoseconds, owed: Int) {
    since = now
    look = (now, owed)
  }

  /// It has taken all.
  mutating func hasCaughtUp() { since = nil }

  /// When to look again whether it moves; nil where nothing waits for it.
  func nextLook(_ limit: Nanoseconds) -> Nanoseconds? { since == nil ? nil : look.time &+ limit }

  /// Looks at it. A slow reader that reads is served as it would be without us: where its server has lost patience meanwhile, the
  /// block's CRC shows it. Without a CRC nothing would, and the server's 5 s must not be reached.
  mutating func moves(now: Nanoseconds, owed: Int, limit: Nanoseconds, isChecked: Bool) -> Bool {
    guard let since else { return true }
    defer { look = (now, owed) }
    return owed < look.owed && (isChecked || now < since &+ 2 &* limit)
  }
}
