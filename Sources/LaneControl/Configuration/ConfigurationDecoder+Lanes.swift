import LaneCore

extension ConfigurationDecoder {
  /// Reads `lanes`: `lanes.default` first, then each class over it, whatever their order in the text.
  mutating func lanes(_ entry: YAMLEntry) -> Configuration.Lanes {
    var none: Void = ()
    let names = ["default"] + Self.classNames
    let rest = section(entry.value, at: "lanes", [], open: ["lanes": OpenKeys(names)], into: &none)
    var common = Configuration.Lane()
    for (path, entry) in rest where entry.key == "default" {
      _ = section(entry.value, at: path, ConfigurationFields.lane, into: &common)
    }
    var lanes = Configuration.Lanes()
    for operationClass in OperationClass.allCases {
      var lane = common
      for (path, entry) in rest where entry.key == operationClass.name {
        _ = section(entry.value, at: path, ConfigurationFields.lane, into: &lane)
      }
      check(lane, operationClass)
      lanes[operationClass] = lane
    }
    return lanes
  }

  private mutating func check(_ lane: Configuration.Lane, _ operationClass: OperationClass) {
    let idle = source("idleTimeout", operationClass)
    let lifetime = source("maxLifetime", operationClass)
    if lane.idleTimeout >= lane.maxLifetime {
      // The more special of the two keys is the one to look at.
      guard let place = [idle, lifetime].compactMap({ $0 }).first(where: \.isOwn) ?? idle ?? lifetime else { return }
      error(
        at: place.path, line: lines[place.path] ?? 1, "idleTimeout must be below maxLifetime",
        got: "\(ConfigurationUnits.text(lane.idleTimeout)) and \(ConfigurationUnits.text(lane.maxLifetime))")
    }
    if lane.idleTimeout >= .seconds(30), let idle {
      issues.add(
        ConfigurationIssue(
          severity: .warning, path: idle.path, line: lines[idle.path] ?? 1,
          message: "CubeFS servers and callers drop idle connections at 30s: some leases will find a dead one",
          got: ConfigurationUnits.text(lane.idleTimeout), allowed: "below 30s to be safe"))
    }
  }

  /// The key that decides this class's value; nil where it is the program's own default.
  private func source(_ name: String, _ operationClass: OperationClass) -> (path: String, isOwn: Bool)? {
    let own = "lanes.\(operationClass.name).\(name)"
    if lines[own] != nil { return (own, true) }
    let common = "lanes.default.\(name)"
    return lines[common] != nil ? (common, false) : nil
  }
}
