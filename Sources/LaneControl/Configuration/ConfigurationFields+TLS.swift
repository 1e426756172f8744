import LaneCore
import NetEndpoint

extension ConfigurationFields {
  /// What a mapping of `tls.outbound.peers` said.
  struct TLSPeerDraft: Sendable {
    var prefix: AddressPrefix?
    var rule = OutboundTLSRule()
  }

  /// Most entries of a list in `tls`.
  static let tlsListLimit = 1024

  private static func tlsFile(
    _ name: String, _ path: ConfigurationField<TLSConfiguration>.Path<String>, example: String, _ meaning: String
  )
    -> ConfigurationField<TLSConfiguration>
  {
    .text(name, path, allowed: pathAllowed, example: example, hasDefault: false, "\(meaning) Required where a tls mode is not off.") {
      pathProblem($0)
    }
  }

  /// `tls`, but for the rules of peers.
  static let tls: [ConfigurationField<TLSConfiguration>] = tlsIdentity + tlsLimits + tlsDirections

  private static let tlsIdentity: [ConfigurationField<TLSConfiguration>] = [
    tlsFile(
      "certificate", \.certificate, example: "/etc/lanekeeper/tls/tls.crt",
      "PEM file with this node's certificate and, after it, the intermediate ones."),
    tlsFile("key", \.key, example: "/etc/lanekeeper/tls/tls.key", "PEM file with the certificate's private key."),
    tlsFile("ca", \.ca, example: "/etc/lanekeeper/tls/ca.crt", "PEM file with the authorities that peers' certificates must lead to."),
    .optionalPath(
      "crl", \.crl, example: "/etc/lanekeeper/tls/crl.pem",
      "PEM file with the authorities' revocation lists. No key: revocation is not checked."),
    .choice(
      "minVersion", \.minVersion, "The oldest TLS that is spoken. 1.2 is for peers that cannot do better; its ciphers are AEAD only."),
    .list(
      "allow", \.allow.patterns, 1...tlsListLimit, unit: "names", allowed: "dns:NAME, dns:*.SUFFIX, uri:URI or trustDomain:NAME",
      example: "[\"dns:*.storage.example\"]",
      "The peers that may speak, by a name in their certificates. dns:*.SUFFIX is any DNS name with one label or more before the suffix; "
        + "trustDomain:NAME is any SPIFFE id of that trust domain. Required where a tls mode is not off.",
      parse: { try AllowList.Pattern($0) }),
  ]

  private static let tlsLimits: [ConfigurationField<TLSConfiguration>] = [
    .duration(
      "handshakeTimeout", \.handshakeTimeout, .milliseconds(10)...(.seconds(60)), "A handshake that takes longer ends its connection."),
    .count(
      "maxHandshakes", \.maxHandshakes, 1...65_536, unit: "handshakes",
      "Most handshakes in flight, for each listener."),
    .count(
      "maxHandshakesPerSource", \.maxHandshakesPerSource, 1...65_536, unit: "handshakes",
      "Most of them from one address, so that one host that does not finish its own keeps nobody else out."),
    .duration(
      "reloadInterval", \.reloadInterval, .seconds(1)...(.seconds(86_400)), zero: "on SIGHUP only",
      "How often certificate, key, authorities and revocation lists are looked at; what has changed is used for new connections."),
    .duration(
      "maxConnectionAge", \.maxConnectionAge, .seconds(1)...(.seconds(7 * 86_400)), zero: "no limit",
      "A connection of this age is not used for further operations, so that none outlives its certificate for long."),
    .list(
      "expiryWarning", \.expiryWarning, 0...16, unit: "days", allowed: "a whole number of days from 1 to 3650", example: "[30, 7, 1]",
      "Days before the end of a certificate's validity at which there is an alert. An empty list: none ahead of it.",
      parse: { text in
        guard let days = ConfigurationUnits.whole(text) else { throw FieldProblem(description: "not a whole number") }
        guard (1...3650).contains(days) else { throw FieldProblem(description: "out of range") }
        return days
      }),
    .duration(
      "downgradeMemory", \.downgradeMemory, .milliseconds(10)...(.seconds(86_400)), zero: "TLS is tried each time",
      "How long outbound mode prefer speaks plain to a peer that was found not to speak TLS."),
  ]

  private static let tlsDirections: [ConfigurationField<TLSConfiguration>] = [
    .choice(
      "inbound.mode", \.inbound.mode,
      "What those who connect to inbound.listen speak. off: plain. permissive: TLS or plain, by the first byte. "
        + "strict: TLS, where they come from an address of tls.inbound.requireFrom."),
    .list(
      "inbound.requireFrom", \.inbound.requireFrom, 1...tlsListLimit, unit: "addresses", allowed: "a.b.c.d/length or a.b.c.d",
      example: "[10.0.12.0/24]", "In mode strict, the sources that must speak TLS. No key: all of them.",
      parse: { try AddressPrefix($0) }),
    .choice(
      "inbound.others", \.inbound.others,
      "In mode strict, what becomes of sources outside tls.inbound.requireFrom. plain: they may speak plain or TLS, as clients, metanodes "
        + "and the master must that share the port. refuse: they cannot connect."),
    .choice("outbound.mode", \.outbound.standard.mode, outboundMode),
    outboundPort("outbound.port", \.outbound.standard.port),
    outboundName("outbound.peerName", \.outbound.standard.peerName),
  ]

  /// `tls.outbound.peers[]`.
  static let tlsPeer: [ConfigurationField<TLSPeerDraft>] = [
    .parsed(
      "prefix", \.prefix, unit: "addresses", allowed: "a.b.c.d/length or a.b.c.d", example: "10.0.12.0/24",
      "The peers of this rule, by address; of several rules, the one with the longest prefix decides. Required in each rule.",
      parse: { try AddressPrefix($0) }, write: { $0.map { "\($0)" } }),
    .choice("mode", \.rule.mode, outboundMode),
    outboundPort("port", \.rule.port),
    outboundName("peerName", \.rule.peerName),
  ]

  private static let outboundMode =
    "What is spoken to peers. off: plain. prefer: TLS, or plain for tls.downgradeMemory where the peer does not speak TLS; each time an "
    + "alert; anyone on the way can bring that about. strict: TLS or not at all."

  private static func outboundPort<Root>(_ name: String, _ path: ConfigurationField<Root>.Path<UInt16>) -> ConfigurationField<Root> {
    .count(
      name, path, 0...UInt16.max, unit: "port", zero: "the one the caller asked for",
      "The port on which peers take TLS, where it is another one than that for plain.")
  }

  private static func outboundName<Root>(_ name: String, _ path: ConfigurationField<Root>.Path<RequiredName>) -> ConfigurationField<Root> {
    .parsed(
      name, path, unit: "name", allowed: "any, address or dns:NAME", example: "address",
      "The name that a peer's certificate must bear, besides what tls.allow says: the address that was dialled, this DNS name, or none "
        + "in particular.", parse: { try RequiredName($0) }, write: { "\($0)" })
  }
}

/// What is wrong with a text, for readers that have no error of their own.
private struct FieldProblem: Error, CustomStringConvertible {
  var description: String
}
