import LaneCore

/// What there is to know about one key.
public struct ConfigurationKey: Sendable, Equatable {
  /// The key, as in `lanes.<class>.idleTimeout`.
  public let path: String
  /// The default as one would write it; nil where there is none.
  public let standard: String?
  /// A value that is accepted: the default, or an example.
  public let example: String
  /// Unit or kind of the value.
  public let unit: String
  /// What is accepted.
  public let allowed: String
  /// What the key does.
  public let meaning: String
}

extension Configuration {
  /// Every key, in the order of the default file.
  public static let documentation: [ConfigurationKey] = {
    let defaults = Configuration(node: "", listeners: [])
    let listener = ConfigurationFields.ListenerDraft()
    var keys = rows(ConfigurationFields.top, defaults)
    keys += rows(ConfigurationFields.listener, listener, below: "outbound.listeners[].")
    keys += rows(ConfigurationFields.outbound, defaults)
    keys += rows(ConfigurationFields.inbound, defaults)
    keys += rows(ConfigurationFields.tunnel, ConfigurationFields.TunnelDraft(), below: "tunnels[].")
    keys += rows(ConfigurationFields.tls, TLSConfiguration(), below: "tls.")
    keys += rows(ConfigurationFields.tlsPeer, nil, below: "tls.outbound.peers[].")
    keys += rows(ConfigurationFields.judge, defaults)
    keys.append(row(ConfigurationFields.judgeClass, nil, path: "judge.classes.<class>"))
    keys += rows(ConfigurationFields.gate, defaults)
    keys += rows(ConfigurationFields.conflicts, defaults)
    keys += rows(ConfigurationFields.lane, Lane(), below: "lanes.default.")
    keys += rows(ConfigurationFields.lane, Lane(), below: "lanes.<class>.")
    keys += rows(ConfigurationFields.limits, defaults)
    keys.append(row(ConfigurationFields.limitsOpcode, nil, path: "limits.<opcode>"))
    keys += rows(ConfigurationFields.timeouts, defaults)
    keys += rows(ConfigurationFields.log, defaults)
    keys += rows(ConfigurationFields.recorder, defaults)
    keys += rows(ConfigurationFields.metrics, defaults)
    return keys
  }()

  private static func rows<Root>(_ fields: [ConfigurationField<Root>], _ defaults: Root?, below prefix: String = "") -> [ConfigurationKey] {
    fields.map { row($0, defaults, path: prefix + $0.name) }
  }

  private static func row<Root>(_ field: ConfigurationField<Root>, _ defaults: Root?, path: String) -> ConfigurationKey {
    let standard = defaults.flatMap(field.write)
    return ConfigurationKey(
      path: path, standard: standard, example: standard ?? field.example, unit: field.unit, allowed: field.allowed, meaning: field.meaning)
  }
}
