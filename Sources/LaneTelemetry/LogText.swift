/// Text that a peer, a caller or the operating system had a hand in, made fit for a log line.
enum LogText {
  /// Most bytes of such a text, UTF-8, without the ellipsis.
  static let limit = 256

  /// At most `limit` bytes, cut between characters' code points with an ellipsis after them; what could steer a terminal
  /// or turn the reading direction becomes U+FFFD. (ASCII controls are the JSON writer's to escape.)
  static func bounded(_ text: String) -> String {
    var bytes = 0
    var needsWork = false
    for byte in text.utf8 {
      bytes += 1
      if byte >= 0x80 { needsWork = true }
      if bytes > limit || needsWork {
        needsWork = true
        break
      }
    }
    return needsWork ? rebuilt(text) : text
  }

  private static func rebuilt(_ text: String) -> String {
    var result = ""
    var bytes = 0
    for scalar in text.unicodeScalars {
      let safe = steers(scalar) ? "\u{FFFD}" : scalar
      let width = UTF8.width(safe)
      guard bytes + width <= limit else { return result + "…" }
      result.unicodeScalars.append(safe)
      bytes += width
    }
    return result
  }

  private static func steers(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    // C1 controls; marks of direction; line and paragraph separators; overrides and isolates; the byte order mark.
    case 0x80...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
    default: false
    }
  }
}
