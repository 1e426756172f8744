import CubeFSWire
import LaneCore
import NetEndpoint

extension Configuration {
  /// Reads a configuration from YAML or JSON text.
  /// - Parameters:
  ///   - text: UTF-8, at most 1 MiB.
  ///   - hostName: the name of a node whose configuration has none; by default this host's.
  /// - Returns: the configuration, nil where an issue is an error; and every issue, in the order of the text.
  public static func parse(_ text: [UInt8], hostName: String = HostName.current) -> (Configuration?, [ConfigurationIssue]) {
    let document = YAMLParser.parse(text)
    var decoder = ConfigurationDecoder()
    for failure in document.failures {
      decoder.error(at: "", line: failure.position.line, "\(failure) (column \(failure.position.column))")
    }
    // After anything but duplicate keys there is no document, and "listeners missing" would lead astray.
    guard document.failures.isEmpty || document.root != nil else { return (nil, decoder.issues.sorted) }
    let root = document.root ?? YAMLNode(content: .mapping([]), position: YAMLPosition(line: 1, column: 1))
    let configuration = decoder.decode(root, hostName: hostName)
    return (decoder.issues.hasErrors ? nil : configuration, decoder.issues.sorted)
  }
}

extension ConfigurationDecoder {
  static let classNames = OperationClass.allCases.map(\.name)

  fileprivate mutating func decode(_ root: YAMLNode, hostName: String) -> Configuration {
    var configuration = Configuration(node: hostName, listeners: [])
    let open = [
      "": OpenKeys(["lanes", "tunnels", "tls"]),
      "outbound": OpenKeys(["listeners"]),
      "judge": OpenKeys(["classes"]),
      "limits": OpenKeys(Opcode.known.map(\.name)) { Opcode(named: $0) != nil },
    ]
    let rest = section(root, at: "", ConfigurationFields.fixed, open: open, into: &configuration)
    var hasListeners = false
    var opcodes: [Opcode: String] = [:]
    for (path, entry) in rest where path != "tls" {
      switch path {
      case "outbound.listeners":
        hasListeners = true
        configuration.outbound.listeners = listeners(entry)
      case "judge.classes": configuration.judge.classes = judgeClasses(entry)
      case "lanes": configuration.lanes = lanes(entry)
      case "tunnels": configuration.tunnels = tunnels(entry)
      default: opcodeLimit(entry, at: path, &opcodes, into: &configuration.limits.payloads)
      }
    }
    // What it must hold hangs on the others.
    configuration.tls = tls(
      rest.first { $0.path == "tls" }?.entry, hasInbound: saysInbound(root), tunnels: configuration.tunnels, line: root.position.line)
    // A sidecar that only stands before its datanode, or only carries raft, is one, too.
    if !hasListeners, !saysInbound(root), !rest.contains(where: { $0.path == "tunnels" }) {
      error(
        at: "outbound.listeners", line: root.position.line, "a required key is missing",
        allowed: "a list of one listener or more, as in [{listen: 0.0.0.0:15310, intercept: true}]")
    }
    checkBackOff(configuration.outbound.backOff)
    checkInbound(configuration, root)
    checkAddresses(configuration)
    checkReplyAliases(opcodes)
    return configuration
  }

  private mutating func judgeClasses(_ entry: YAMLEntry) -> [OperationClass: Configuration.Judge.Mode] {
    var none: Void = ()
    let rest = section(entry.value, at: "judge.classes", [], open: ["judge.classes": OpenKeys(Self.classNames)], into: &none)
    var modes: [OperationClass: Configuration.Judge.Mode] = [:]
    for (path, entry) in rest {
      guard let operationClass = OperationClass(name: entry.key) else { continue }
      var mode = Configuration.Judge.Mode.enforce
      scalar(entry.value, at: path, line: entry.position.line, ConfigurationFields.judgeClass, into: &mode)
      if lines[path] != nil { modes[operationClass] = mode }
    }
    return modes
  }

  private mutating func opcodeLimit(
    _ entry: YAMLEntry, at path: String, _ given: inout [Opcode: String], into payloads: inout [Opcode: Int]
  ) {
    guard let opcode = Opcode(named: entry.key) else { return }
    if let earlier = given.updateValue(path, forKey: opcode) {
      error(at: path, line: entry.position.line, "the same opcode is already limited as \(earlier)")
    }
    var bytes = 0
    scalar(entry.value, at: path, line: entry.position.line, ConfigurationFields.limitsOpcode, into: &bytes)
    if lines[path] != nil { payloads[opcode] = bytes }
  }

  /// A limit of 0x14 is also that of its replies, which bear 0xF0; likewise 0x17 and 0x18 (`FrameLimits`): two different
  /// numbers for one entry would leave it open which one counts.
  private mutating func checkReplyAliases(_ given: [Opcode: String]) {
    for (request, reply) in [(Opcode(0x14), Opcode(0xF0)), (Opcode(0x17), Opcode(0x18))] {
      guard let first = given[request], let second = given[reply], let line = lines[second] else { continue }
      error(at: second, line: line, "\(first) limits these replies already; set one of the two")
    }
  }

  private mutating func checkBackOff(_ backOff: Configuration.BackOff) {
    guard backOff.initial > backOff.maximum else { return }
    let path = lines["outbound.backOff.maximum"] != nil ? "outbound.backOff.maximum" : "outbound.backOff.initial"
    error(
      at: path, line: lines[path] ?? 1, "outbound.backOff.initial is above outbound.backOff.maximum",
      got: "\(ConfigurationUnits.text(backOff.initial)) and \(ConfigurationUnits.text(backOff.maximum))")
  }
}
