import CertificateTestSupport
import Testing

/// One way of being configured for TLS, as a section of the file.
struct TLSSection {
  var certificate: String
  var key: String
  var authorities: String
  var allow = ["dns:*.lane.test"]
  var inbound: String?
  var outbound: String?
  /// Further lines, without indentation.
  var lines: [String] = []

  init(
    identity: TestPKI.Issued, authorities: String, inbound: String? = nil, outbound: String? = nil, lines: [String] = []
  ) {
    self.init(
      certificate: identity.certificate, key: identity.key, authorities: authorities, inbound: inbound, outbound: outbound, lines: lines)
  }

  init(
    certificate: String, key: String, authorities: String, inbound: String? = nil, outbound: String? = nil, lines: [String] = []
  ) {
    self.certificate = certificate
    self.key = key
    self.authorities = authorities
    self.inbound = inbound
    self.outbound = outbound
    self.lines = lines
  }

  var text: String {
    var all = ["tls:", "  certificate: \(certificate)", "  key: \(key)", "  ca: \(authorities)"]
    all.append("  allow: [\(allow.map { "\"\($0)\"" }.joined(separator: ", "))]")
    if let inbound { all.append("  inbound: \(inbound)") }
    if let outbound { all.append("  outbound: \(outbound)") }
    return (all + lines.map { "  " + $0 }).joined(separator: "\n")
  }
}

/// Two sidecars, as on two hosts: callers connect to the near one, which speaks TLS to the far one's inbound port, before its datanode.
struct Hop {
  let near: Sidecar
  let far: Sidecar

  init(
    datanode: UInt16, near nearSection: TLSSection?, far farSection: TLSSection?, outbound: [String] = [], more: [String] = [],
    level: String = "info"
  ) throws {
    far = try Sidecar(peers: [], .init(datanode: datanode, sections: (farSection.map { [$0.text] } ?? []) + more, level: level))
    near = try Sidecar(
      peers: [far.inboundPort], .init(outbound: outbound, sections: (nearSection.map { [$0.text] } ?? []) + more, level: level))
  }

  /// Both, in good order; the near one's accounting.
  @discardableResult func stop() throws -> Sidecar.Accounting {
    let accounting = try near.stop()
    try far.stop()
    return accounting
  }
}

/// The certificates that most tests need, made once.
enum Certificates {
  static let pki = try! TestPKI()
  static let near = try! pki.issue("near.lane.test", uris: ["spiffe://lane.test/near"], addresses: ["127.0.0.1"])
  static let far = try! pki.issue("far.lane.test", uris: ["spiffe://lane.test/far"], addresses: ["127.0.0.1"])

  static func section(_ identity: TestPKI.Issued, inbound: String? = nil, outbound: String? = nil, _ lines: [String] = []) -> TLSSection {
    TLSSection(identity: identity, authorities: pki.caFile, inbound: inbound, outbound: outbound, lines: lines)
  }
}
