internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// What one reactor knows of TLS towards peers.
final class OutboundSecurity {
  private(set) var settings: TLSSettings
  private var downgrades: DowngradeMemory

  init(_ settings: TLSSettings) {
    self.settings = settings
    downgrades = DowngradeMemory(duration: settings.downgradeMemory)
  }

  /// From now on so; who was found not to speak TLS is tried again.
  func apply(_ settings: TLSSettings) {
    self.settings = settings
    downgrades = DowngradeMemory(duration: settings.downgradeMemory)
  }

  /// How a peer is dialled.
  struct Way {
    let endpoint: Endpoint
    let tls: TLSParameters?
    /// Plain may be tried where TLS is not spoken.
    let mayDowngrade: Bool
  }

  func way(to peer: Endpoint, now: Nanoseconds) -> Way {
    let rule = settings.outbound.rule(for: peer.address)
    let plain = Way(endpoint: peer, tls: nil, mayDowngrade: false)
    switch rule.mode {
    case .off: return plain
    case .prefer where !downgrades.shouldTryTLS(peer, now: now): return plain
    case .prefer, .strict:
      return Way(
        endpoint: rule.endpoint(of: peer), tls: parameters(rule, peer), mayDowngrade: rule.mode == .prefer)
    }
  }

  /// For a tunnel to that peer, with a connection of that caller's.
  func tunnelParameters(to peer: Endpoint, for caller: Endpoint) -> TLSParameters {
    // There are no operations in it that an id would be needed for.
    parameters(settings.outbound.rule(for: peer.address), peer)
      .introducing(ProxyHeader(addresses: ProxyHeader.Addresses(source: caller, destination: peer)))
  }

  private func parameters(_ rule: OutboundTLSRule, _ peer: Endpoint) -> TLSParameters {
    let allow = settings.allow
    let serverName: String? = if case .name(let name) = rule.peerName { "\(name)" } else { nil }
    return TLSParameters(settings.certificates.current, serverName: serverName) { names in
      let names = CertificateNames(names)
      guard rule.peerName.accepts(names, address: peer.address) else {
        return switch rule.peerName {
        case .address: "\(names.text): none of them is the address \(peer.addressText)"
        case .name(let name): "\(names.text): none of them is dns:\(name)"
        case .any: "\(names.text)"
        }
      }
      return allow.refusal(of: names)
    }
  }

  /// The peer does not speak TLS.
  func downgraded(_ peer: Endpoint, now: Nanoseconds) { downgrades.failed(peer, now: now) }

  /// The peer speaks TLS.
  func succeeded(_ peer: Endpoint) { downgrades.succeeded(peer) }
}
