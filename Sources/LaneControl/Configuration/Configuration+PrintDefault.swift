import CubeFSWire
import LaneCore

extension Configuration {
  /// A commented YAML text with every key, its default, its unit and what is allowed. It passes `parse` and yields the
  /// defaults, with one listener. `#key: value`, without a space, is a key that is not set.
  public static func printDefault() -> String {
    var printer = DefaultFilePrinter()
    printer.header()
    for key in documentation { printer.add(key) }
    return printer.text
  }
}

/// Writes keys as nested YAML.
private struct DefaultFilePrinter {
  private static let width = 110
  /// What stands for each placeholder.
  private static let stand = ["<class>": "repair-stream", "<opcode>": "OpWrite"]

  private(set) var text = ""
  private var open: [String] = []

  mutating func header() {
    comment(
      "Lanekeeper: every key with its default. Lines such as #mark: 1 are keys that are not set; remove the # to set them.", indent: 0)
    comment("Durations are whole numbers with ms, s, m or h; sizes are bytes, or whole numbers with KiB, MiB or GiB.", indent: 0)
    comment("Classes: \(OperationClass.allCases.map(\.name).joined(separator: ", ")).", indent: 0)
  }

  mutating func add(_ key: ConfigurationKey) {
    var parts = key.path.split(separator: ".").map(String.init)
    guard let leaf = parts.popLast() else { return }
    // A key below a placeholder or in an item of a list is not set, nor is one without a default; the first listener is the exception.
    let isItem = parts.last?.hasSuffix("[]") ?? false
    let isSet = !key.path.contains("<") && (key.standard != nil && !isItem || parts.last == "listeners[]" && leaf != "peer")
    let isFirst = isItem && parts != open
    enter(parts)
    // The keys of a list's item stand beside its dash, but for the first.
    let indent = parts.count * 2 + (isItem && !isFirst ? 2 : 0)
    if !key.path.hasPrefix("lanes.<") {
      comment(key.meaning, indent: indent)
      comment("\(key.unit.prefix(1).uppercased())\(key.unit.dropFirst()); \(standard(key)); allowed: \(key.allowed).", indent: indent)
    } else if key.path.hasSuffix(".maxConnections") {
      comment("The same keys for one class. Default: what lanes.default says.", indent: indent)
    }
    if leaf == "<opcode>" { payloadLimits(indent: indent) }
    let line = "\(isFirst ? "- " : "")\(Self.stand[leaf] ?? leaf): \(key.example)\n"
    text += spaces(indent) + (isSet ? "" : "#") + line
  }

  private func standard(_ key: ConfigurationKey) -> String {
    switch (key.standard, key.path) {
    case (let standard?, _): "default: \(standard)"
    case (nil, "node"): "default: the host name"
    case (nil, "judge.classes.<class>"): "default: judge.mode"
    case (nil, "limits.<opcode>"): "default: by opcode, see below"
    case (nil, let path) where path.hasPrefix("tls.outbound.peers[].") && !path.hasSuffix(".prefix"):
      "default: \(path.replacing("peers[].", with: ""))"
    case (nil, _): "no default"
    }
  }

  /// Writes the lines of the sections that are new.
  private mutating func enter(_ parts: [String]) {
    var common = 0
    while common < min(parts.count, open.count), parts[common] == open[common] { common += 1 }
    if common == 0 { text += "\n" }
    for (depth, part) in parts.enumerated().dropFirst(common) {
      let name = part.hasSuffix("[]") ? String(part.dropLast(2)) : Self.stand[part] ?? part
      let isSet = !part.hasPrefix("<") && part != "classes" && part != "tunnels[]" && part != "peers[]"
      text += "\(spaces(depth * 2))\(isSet ? "" : "#")\(name):\n"
    }
    open = parts
  }

  /// The protocol's own limits, opcodes with equal ones on one line.
  private mutating func payloadLimits(indent: Int) {
    let limits = FrameLimits()
    var groups: [(limits: String, names: [String])] = []
    for opcode in Opcode.known {
      let request = ConfigurationUnits.text(bytes: Int(limits.payload(opcode, .request)))
      let reply = ConfigurationUnits.text(bytes: Int(limits.payload(opcode, .reply)))
      let both = "\(request) in requests, \(reply) in replies"
      if let index = groups.firstIndex(where: { $0.limits == both }) {
        groups[index].names.append(opcode.name)
      } else {
        groups.append((both, [opcode.name]))
      }
    }
    for group in groups { comment("\(group.limits): \(group.names.joined(separator: " ")).", indent: indent) }
  }

  private mutating func comment(_ prose: String, indent: Int) {
    var line = spaces(indent) + "#"
    for word in prose.split(separator: " ") {
      if line.utf8.count + 1 + word.utf8.count > Self.width {
        text += line + "\n"
        line = spaces(indent) + "#"
      }
      line += " \(word)"
    }
    text += line + "\n"
  }

  private func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
}
