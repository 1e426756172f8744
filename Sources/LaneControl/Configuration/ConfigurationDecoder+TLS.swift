import LaneCore
import NetEndpoint

extension ConfigurationDecoder {
  /// Reads `tls`.
  /// - Parameters:
  ///   - entry: nil where there is none.
  ///   - hasInbound: there is an `inbound` for `tls.inbound` to speak of.
  ///   - tunnels: which may ask for TLS, too.
  ///   - first: the document's first line.
  /// - Returns: nil where nothing asks for TLS.
  mutating func tls(_ entry: YAMLEntry?, hasInbound: Bool, tunnels: [Configuration.Tunnel], line first: Int) -> TLSConfiguration? {
    var tls = TLSConfiguration()
    var rest: [(path: String, entry: YAMLEntry)] = []
    if let entry {
      let open = ["tls.outbound": OpenKeys(["peers"])]
      rest = section(entry.value, at: "tls", ConfigurationFields.tls, open: open, into: &tls)
    }
    for (path, peers) in rest { tls.outbound.peers = tlsPeers(peers, at: path, tls.outbound.standard) }
    tls.expiryWarning.sort(by: >)
    checkInboundTLS(tls.inbound, hasInbound: hasInbound)
    guard let reason = reason(for: tls, tunnels) else { return nil }
    let line = lines[reason.path] ?? rest.first?.entry.position.line ?? entry?.position.line ?? first
    let keys: [YAMLEntry] = if case .mapping(let entries)? = entry?.value.content { entries } else { [] }
    for key in ["certificate", "key", "ca", "allow"] where !keys.contains(where: { $0.key == key }) {
      let allowed = ConfigurationFields.tls.first { $0.name == key }?.allowed
      error(at: "tls.\(key)", line: line, "required where \(reason.path) is \(reason.mode)", allowed: allowed)
    }
    return tls
  }

  /// Each rule begins as a copy of the standard one.
  private mutating func tlsPeers(_ entry: YAMLEntry, at path: String, _ standard: OutboundTLSRule) -> PrefixTable<OutboundTLSRule> {
    var table = PrefixTable<OutboundTLSRule>()
    if entry.value.isNull { return table }
    let example = "a list of at most \(ConfigurationFields.tlsListLimit), as in [{prefix: 10.0.12.0/24, mode: strict}]"
    guard case .sequence(let items) = entry.value.content, items.count <= ConfigurationFields.tlsListLimit else {
      error(at: path, line: entry.position.line, "a list is wanted here", got: entry.value.excerpt, allowed: example)
      return table
    }
    var places: [AddressPrefix: String] = [:]
    for (index, item) in items.enumerated() {
      let inside = "\(path)[\(index)]"
      var draft = ConfigurationFields.TLSPeerDraft(rule: standard)
      _ = section(item, at: inside, ConfigurationFields.tlsPeer, into: &draft)
      let entries: [YAMLEntry] = if case .mapping(let entries) = item.content { entries } else { [] }
      if !entries.isEmpty || item.isNull, !entries.contains(where: { $0.key == "prefix" }) {
        error(at: "\(inside).prefix", line: item.position.line, "a required key is missing", allowed: "a.b.c.d/length or a.b.c.d")
      }
      guard let prefix = draft.prefix else { continue }
      if table.insert(draft.rule, for: prefix) {
        places[prefix] = "\(inside).prefix"
      } else {
        error(
          at: "\(inside).prefix", line: lines["\(inside).prefix"] ?? item.position.line,
          "the same addresses as \(places[prefix] ?? path)", got: "\(prefix)")
      }
    }
    return table
  }

  private mutating func checkInboundTLS(_ inbound: InboundTLSPolicy, hasInbound: Bool) {
    let path = "tls.inbound.mode"
    guard inbound.mode != .off, let line = lines[path] else { return }
    guard hasInbound else {
      return error(
        at: path, line: line, "there is no inbound.listen to speak TLS on", got: "\"\(inbound.mode.rawValue)\"",
        allowed: "off, or inbound.listen and inbound.datanode beside it")
    }
    guard inbound.mode == .strict, inbound.requireFrom.isEmpty else { return }
    guard let others = lines["tls.inbound.others"] else {
      return issues.add(
        ConfigurationIssue(
          severity: .warning, path: path, line: line,
          message: "every source must speak TLS, and CubeFS clients, metanodes and the master, who share this port, cannot; list the "
            + "addresses of the nodes with a sidecar in tls.inbound.requireFrom, or write tls.inbound.others: refuse if nobody else connects"
        ))
    }
    if inbound.others == .plain {
      error(
        at: "tls.inbound.others", line: others, "without tls.inbound.requireFrom there are no others: every source must speak TLS",
        got: "\"plain\"", allowed: "refuse, or addresses in tls.inbound.requireFrom, or tls.inbound.mode: permissive")
    }
  }

  /// The first key that asks for TLS.
  private func reason(for tls: TLSConfiguration, _ tunnels: [Configuration.Tunnel]) -> (path: String, mode: String)? {
    if tls.inbound.mode != .off { return ("tls.inbound.mode", tls.inbound.mode.rawValue) }
    if tls.outbound.standard.mode != .off { return ("tls.outbound.mode", tls.outbound.standard.mode.rawValue) }
    if tls.outbound.isActive { return ("tls.outbound.peers", "not off for some") }
    return tunnels.enumerated().first { $0.element.tls != .off }.map { ("tunnels[\($0.offset)].tls", $0.element.tls.rawValue) }
  }
}
