internal import LaneCore

extension StoredEvidence {
  /// What happened, in order, for a terminal: what was asked, what came, and why it was dropped.
  public var story: String {
    var text = headline + "\n"
    for keys in Self.rows {
      let known = keys.compactMap { key in self[key].map { "\(key) \(Self.printable($0))" } }
      if !known.isEmpty { text += "  \(known.joined(separator: ", "))\n" }
    }
    for key in ["expected", "observed", "belongsTo", "action", "detail"] {
      if let value = self[key] {
        text += "  \(key == "belongsTo" ? "the stray reply belongs to operation" : key) \(Self.printable(value))\n"
      }
    }
    text += packets.isEmpty ? "\nNo packet of it was recorded.\n" : "\n"
    for (index, packet) in packets.enumerated() {
      let (what, fate) = Self.parts(packet.comment)
      text += "\(Self.padded("\(index + 1)", 3))  \(Self.clock(packet.time))  \(Self.way(packet))  \(what)\n"
      if !fate.isEmpty { text += "       \(fate)\n" }
    }
    if let reason = self["reason"].flatMap(Catalogue.entry) {
      text += "\n\(reason.happened)\n\(reason.did)\n"
    }
    if let event = self["event"], Catalogue.entry(event) != nil {
      text += "\nlanekeeper alerts explain \(Self.printable(event)) says what to do.\n"
    }
    return text
  }

  /// Facts that share a line.
  private static let rows = [
    ["ts", "node", "direction"], ["operation", "class", "opcode"], ["partition", "extent", "offset"], ["caller", "origin", "peer"],
  ]

  private var headline: String {
    let words = [self["event"] ?? "evidence", self["reason"].map { "(\($0))" } ?? "", self["severity"] ?? ""]
    return Self.printable(words.filter { !$0.isEmpty }.joined(separator: " "))
  }

  /// What a packet is, and what became of it.
  private static func parts(_ comment: String) -> (what: String, fate: String) {
    let text = printable(comment)
    guard let end = text.utf8.firstIndex(of: UInt8(ascii: ";")) else { return (text, "") }
    return (String(text[..<end]), String(text[end...].dropFirst(2)))
  }

  /// The time of day, UTC, microseconds.
  private static func clock(_ time: UInt64) -> String { String(Timestamp.text(nanoseconds: time).dropFirst(11).dropLast()) }

  private static func way(_ packet: Packet) -> String {
    let side = printable(packet.side)
    return packet.isInbound ? "\(padded(side, 6)) -> lanekeeper" : "lanekeeper -> \(padded(side, 6))"
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
  }

  /// The file may be anybody's: nothing in it may steer the terminal.
  private static func printable(_ text: String) -> String {
    String(decoding: text.utf8.map { $0 < 0x20 || $0 >= 0x7F ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
  }
}
