internal import LaneCore
internal import LinuxIO

// Two sidecars find each other by ALPN (RFC 7301): the client offers `lanekeeper/1`, and where the server takes it, the client's bytes
// begin with one header of the PROXY protocol, version 2, inside TLS. With anybody else, who does not know that name, they do not.

extension ApplicationProtocol {
  /// What two sidecars speak within TLS.
  static func lanekeeper(opening: [UInt8] = []) -> ApplicationProtocol { ApplicationProtocol("lanekeeper/1", opening: opening) }
}

extension TLSParameters {
  /// For a connection of which a sidecar at the other end is told that.
  func introducing(_ header: ProxyHeader) -> TLSParameters {
    var parameters = self
    parameters.applicationProtocol = .lanekeeper(opening: header.encoded())
    return parameters
  }
}
