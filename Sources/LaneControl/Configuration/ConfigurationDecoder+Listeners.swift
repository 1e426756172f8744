import NetEndpoint

extension ConfigurationDecoder {
  /// Reads `outbound.listeners`.
  mutating func listeners(_ entry: YAMLEntry) -> [Configuration.Listener] {
    let path = "outbound.listeners"
    guard case .sequence(let items) = entry.value.content, !items.isEmpty else {
      error(
        at: path, line: entry.position.line, "at least one listener is required", got: entry.value.excerpt,
        allowed: "a list of one listener or more, as in [{listen: 0.0.0.0:15310, intercept: true}]")
      return []
    }
    var listeners: [Configuration.Listener] = []
    var taken: [(path: String, endpoint: Endpoint)] = []
    for (index, item) in items.enumerated() {
      let inside = "\(path)[\(index)]"
      guard let draft = draft(item, at: inside) else { continue }
      if let listen = draft.listen {
        checkConflict(listen, at: "\(inside).listen", taken)
        taken.append(("\(inside).listen", listen))
      }
      if let listener = listener(draft, at: inside, line: item.position.line) { listeners.append(listener) }
    }
    for (index, listener) in listeners.enumerated() {
      guard case .peer(let peer) = listener.destination, let own = taken.first(where: { $0.endpoint == peer }) else { continue }
      let place = "\(path)[\(index)].peer"
      error(at: place, line: lines[place] ?? entry.position.line, "the peer is this sidecar's own \(own.path)", got: "\"\(peer)\"")
    }
    return listeners
  }

  /// The keys of one listener; nil after an error in them.
  private mutating func draft(_ item: YAMLNode, at path: String) -> ConfigurationFields.ListenerDraft? {
    var draft = ConfigurationFields.ListenerDraft()
    let before = issues.issues.count
    if item.isNull {
      error(at: "\(path).listen", line: item.position.line, "a required key is missing", allowed: "a.b.c.d:port")
      return nil
    }
    _ = section(item, at: path, ConfigurationFields.listener, into: &draft)
    guard case .mapping(let entries) = item.content else { return nil }
    if !entries.contains(where: { $0.key == "listen" }) {
      error(at: "\(path).listen", line: item.position.line, "a required key is missing", allowed: "a.b.c.d:port")
    }
    let hasPeer = entries.contains { $0.key == "peer" }
    // A wrong value has been reported; what it would have meant is not known.
    let interceptUnclear = draft.intercept == nil && entries.contains { $0.key == "intercept" }
    if !interceptUnclear, hasPeer == (draft.intercept ?? false) {
      let line = lines["\(path).intercept"] ?? item.position.line
      error(
        at: path, line: line, hasPeer ? "both intercept: true and peer are set" : "neither intercept: true nor peer is set",
        allowed: "exactly one of intercept: true and peer: a.b.c.d:port")
    }
    return issues.issues.count == before || draft.listen != nil ? draft : nil
  }

  private func listener(_ draft: ConfigurationFields.ListenerDraft, at path: String, line: Int) -> Configuration.Listener? {
    guard let listen = draft.listen else { return nil }
    if let peer = draft.peer { return Configuration.Listener(listen: listen, destination: .peer(peer)) }
    return draft.intercept == true ? Configuration.Listener(listen: listen, destination: .original) : nil
  }

  /// What was found of `outbound.listeners` must be left its ports; listeners among themselves were checked while they were read.
  mutating func checkAddresses(_ configuration: Configuration) {
    var taken = configuration.outbound.listeners.enumerated().map { (path: "outbound.listeners[\($0)].listen", endpoint: $1.listen) }
    var further: [(path: String, endpoint: Endpoint)] = []
    if let listen = configuration.inbound.listen { further.append(("inbound.listen", listen)) }
    further += configuration.tunnels.enumerated().map { ("tunnels[\($0)].listen", $1.listen) }
    if let listen = configuration.metrics.listen { further.append(("metrics.listen", listen)) }
    for own in further {
      checkConflict(own.endpoint, at: own.path, taken)
      taken.append(own)
    }
    var targets: [(path: String, endpoint: Endpoint)] = []
    if let datanode = configuration.inbound.datanode { targets.append(("inbound.datanode", datanode)) }
    targets += configuration.tunnels.enumerated().map { ("tunnels[\($0)].peer", $1.peer) }
    for target in targets {
      guard let own = taken.first(where: { leadsBack(target.endpoint, to: $0.endpoint) }) else { continue }
      error(at: target.path, line: lines[target.path] ?? 1, "that is this sidecar's own \(own.path)", got: "\"\(target.endpoint)\"")
    }
  }

  /// Whether a dial of `target` comes back to the listener: at its very address, or by loopback at one for all addresses.
  private func leadsBack(_ target: Endpoint, to listen: Endpoint) -> Bool {
    guard listen.port != 0, target.port == listen.port else { return false }
    return target.address == listen.address || (listen.address == 0 && target.isLoopback)
  }

  private mutating func checkConflict(_ listen: Endpoint, at path: String, _ taken: [(path: String, endpoint: Endpoint)]) {
    // Each port 0 becomes another port.
    guard listen.port != 0 else { return }
    for other in taken where other.endpoint.port == listen.port {
      guard other.endpoint.address == listen.address || other.endpoint.address == 0 || listen.address == 0 else { continue }
      let reason = other.endpoint == listen ? "the same as" : "0.0.0.0 stands for all addresses; conflicts with"
      error(at: path, line: lines[path] ?? 1, "\(reason) \(other.path) (\(other.endpoint))", got: "\"\(listen)\"")
      return
    }
  }
}
