internal import LaneCore
internal import LaneProxy
internal import LinuxIO

/// The configuration in force, and the certificates that its `tls` names.
///
/// What is read again takes the place of what was only where all of it can be used.
final class Identity {
  private(set) var keeper: CertificateKeeper?
  private var configuration: Configuration
  private let sink: any EventSink

  /// - Throws: `Service.Failure` where the certificates cannot be used.
  init(_ configuration: Configuration, sink: any EventSink, now: Nanoseconds) throws {
    self.configuration = configuration
    self.sink = sink
    keeper = try configuration.tls.map { try CertificateKeeper($0, sink: sink, now: now) }
  }

  /// As the proxy takes them.
  var settings: ProxySettings {
    var settings = ProxySettings(configuration)
    if let tls = configuration.tls, let keeper { settings.tls = TLSSettings(tls, keeper.certificates) }
    return settings
  }

  /// Reads the configuration again, and the certificates.
  /// - Returns: whether `settings` are others than before.
  func reread(now: Nanoseconds, _ load: () throws(ConfigurationFailure) -> Configuration) -> Bool {
    let fresh: Configuration
    let before = configuration.tls
    do {
      fresh = try load()
      if fresh.tls.map(CertificateKeeper.Rules.init) == before.map(CertificateKeeper.Rules.init) {
        keeper?.reload(now: now)
      } else {
        keeper = try fresh.tls.map { try CertificateKeeper($0, sink: sink, now: now) }
        keeper?.announce()
      }
    } catch {
      refuse("\(error)")
      keeper?.reload(now: now)
      return false
    }
    let waiting = configuration.othersThanTLS(fresh)
    configuration.tls = fresh.tls
    var event = LaneEvent(.configurationLoaded)
    event.detail =
      (before == fresh.tls ? "tls is as it was" : "tls is in force for new connections")
      + (waiting.isEmpty ? "" : "; after a restart: \(waiting.joined(separator: ", "))")
    sink.record(event)
    return before != fresh.tls
  }

  private func refuse(_ why: String) {
    var event = LaneEvent(.configurationRefused)
    event.detail = why.split(separator: "\n").joined(separator: "; ")
    sink.record(event)
  }
}

extension Configuration {
  /// The sections beside `tls` in which the other one differs.
  fileprivate func othersThanTLS(_ other: Configuration) -> [String] {
    var sections: [String] = []
    if node != other.node { sections.append("node") }
    if cubefsRelease != other.cubefsRelease { sections.append("cubefsRelease") }
    if outbound != other.outbound { sections.append("outbound") }
    if inbound != other.inbound { sections.append("inbound") }
    if tunnels != other.tunnels { sections.append("tunnels") }
    if judge != other.judge { sections.append("judge") }
    if gate != other.gate { sections.append("gate") }
    if conflicts != other.conflicts { sections.append("guard") }
    if lanes != other.lanes { sections.append("lanes") }
    if limits != other.limits { sections.append("limits") }
    if timeouts != other.timeouts { sections.append("timeouts") }
    if log != other.log { sections.append("log") }
    if recorder != other.recorder { sections.append("recorder") }
    if metrics != other.metrics { sections.append("metrics") }
    return sections
  }
}
