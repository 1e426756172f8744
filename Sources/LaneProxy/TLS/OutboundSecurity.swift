internal import LaneCore
internal import LinuxIO
internal import NetEndpoint

/// What one reactor knows of TLS towards peers.
final class OutboundSecurity {
  let settings: TLSSettings
  private var downgrades: DowngradeMemory

  init(_ settings: TLSSettings) {
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

  /// For a tunnel to that peer.
  func tunnelParameters(to peer: Endpoint) -> TLSParameters { parameters(settings.outbound.rule(for: peer.address), peer) }

  private func parameters(_ rule: OutboundTLSRule, _ peer: Endpoint) -> TLSParameters {
    let allow = settings.allow
    let serverName: String? = if case .name(let name) = rule.peerName { "\(name)" } else { nil }
    return TLSParameters(settings.certificates.current, serverName: serverName) { certificate in
      let names = CertificateNames(certificate)
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
