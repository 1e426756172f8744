import NetEndpoint

extension ConfigurationDecoder {
  /// Whether `inbound` has an address, right or wrong: then it is what the sidecar is for.
  func saysInbound(_ root: YAMLNode) -> Bool { inboundEntry(root).map { hasKey("listen", $0) || hasKey("datanode", $0) } ?? false }

  private func inboundEntry(_ root: YAMLNode) -> YAMLEntry? {
    guard case .mapping(let entries) = root.content else { return nil }
    return entries.first { $0.key == "inbound" }
  }

  private func hasKey(_ key: String, _ entry: YAMLEntry) -> Bool {
    guard case .mapping(let entries) = entry.value.content else { return false }
    return entries.contains { $0.key == key }
  }

  /// `inbound.listen` and `inbound.datanode` are of use together only.
  mutating func checkInbound(_ configuration: Configuration, _ root: YAMLNode) {
    guard let entry = inboundEntry(root) else { return }
    for (key, other) in [("listen", "datanode"), ("datanode", "listen")] where hasKey(key, entry) && !hasKey(other, entry) {
      error(
        at: "inbound.\(other)", line: lines["inbound.\(key)"] ?? entry.position.line, "missing beside inbound.\(key)",
        allowed: "a.b.c.d:port")
    }
  }

  /// Reads `tunnels`.
  mutating func tunnels(_ entry: YAMLEntry) -> [Configuration.Tunnel] {
    if entry.value.isNull { return [] }
    guard case .sequence(let items) = entry.value.content else {
      error(
        at: "tunnels", line: entry.position.line, "a list is wanted here", got: entry.value.excerpt,
        allowed: "a list, as in [{listen: 0.0.0.0:15330, peer: 127.0.0.1:17330}]")
      return []
    }
    var tunnels: [Configuration.Tunnel] = []
    for (index, item) in items.enumerated() {
      let path = "tunnels[\(index)]"
      var draft = ConfigurationFields.TunnelDraft()
      _ = section(item, at: path, ConfigurationFields.tunnel, into: &draft)
      let entries: [YAMLEntry] = if case .mapping(let entries) = item.content { entries } else { [] }
      if !entries.isEmpty || item.isNull {
        for key in ["listen", "peer"] where !entries.contains(where: { $0.key == key }) {
          error(at: "\(path).\(key)", line: item.position.line, "a required key is missing", allowed: "a.b.c.d:port")
        }
      }
      if let listen = draft.listen, let peer = draft.peer {
        tunnels.append(Configuration.Tunnel(listen: listen, peer: peer, tls: draft.tls))
      }
    }
    return tunnels
  }
}
