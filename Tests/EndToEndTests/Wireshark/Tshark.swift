import Foundation
import TestBytes
import Testing

/// A `cubefs` layer of tshark's JSON: a packet, or bytes of no packet.
struct Dissected: Equatable {
  /// The frame that completes it.
  var frame: Int
  /// The caller's port of its connection.
  var port: Int
  /// Values by name, the names without "cubefs."; several where a field is there several times.
  var fields: [String: [String]] = [:]
  /// Messages of expert infos by name, the names without "cubefs.".
  var experts: [String: String] = [:]

  /// A field's first value.
  subscript(_ name: String) -> String? { fields[name]?.first }

  /// A field of bytes.
  func bytes(_ name: String) -> [UInt8] {
    // "0a:ff", by hand: there are megabytes of it.
    let text = Array((self[name] ?? "").utf8)
    func digit(_ character: UInt8) -> UInt8 { character < 0x3A ? character - 0x30 : character - 0x57 }
    return stride(from: 0, to: text.count, by: 3).map { digit(text[$0]) << 4 | digit(text[$0 + 1]) }
  }

  /// A field of a number, of whatever base.
  func number(_ name: String) -> Int128? {
    self[name].flatMap { $0.hasPrefix("0x") ? Int128($0.dropFirst(2), radix: 16) : Int128($0) }
  }
}

/// The real tshark with the dissector under Deploy.
enum Tshark {
  static let script = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/") + "/Deploy/wireshark/cubefs.lua"

  /// What tshark prints of a capture; it must not complain, and the script must not fail.
  static func run(_ capture: Capture, _ options: [String]) throws -> [UInt8] {
    let result = try capture.withFile { path in
      // Settings and plugins of whoever runs the tests are left out.
      try RunningProgram(
        ["WIRESHARK_CONFIG_DIR=/nonexistent", "/usr/bin/tshark", "-r", path, "-X", "lua_script:\(script)"] + options,
        executable: "/usr/bin/env"
      ).finish(deadline: .seconds(120))
    }
    // As root it warns of that, and runs scripts all the same (init.lua, run_user_scripts_when_superuser).
    let complaints = result.stderr.split(separator: "\n").filter { !$0.hasPrefix("Running as user") }
    #expect(result.status == 0 && complaints.isEmpty, "\(complaints.prefix(5))")
    #expect(!holds(result.output, Array("Lua Error".utf8)))
    #expect(!holds(result.output, Array("[Malformed Packet: CUBEFS".utf8)))
    return result.output
  }

  /// The lines that tshark prints.
  static func lines(_ capture: Capture, _ options: [String]) throws -> [String] {
    String(decoding: try run(capture, options), as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// The column of information of each frame of CubeFS, by frame number.
  static func information(_ capture: Capture, _ options: [String] = []) throws -> [Int: String] {
    let lines = try lines(capture, options + ["-Y", "cubefs", "-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info"])
    return try Dictionary(
      uniqueKeysWithValues: lines.map { line in
        let parts = line.split(separator: "\t", maxSplits: 1)
        return (try #require(Int(parts[0])), String(parts.last ?? ""))
      })
  }

  /// Every `cubefs` layer of a capture, in order.
  static func layers(_ capture: Capture, _ options: [String] = []) throws -> [Dissected] {
    let output = try run(
      capture, options + ["-Y", "cubefs", "-T", "json", "--no-duplicate-keys", "-J", "cubefs frame"])
    let frames = try #require(JSONSerialization.jsonObject(with: Data(output)) as? [[String: Any]])
    return try frames.flatMap { frame -> [Dissected] in
      let layers = try #require((frame["_source"] as? [String: Any])?["layers"] as? [String: Any])
      let number = try #require(((layers["frame"] as? [String: Any])?["frame.number"] as? String).flatMap { Int($0) })
      let found = layers["cubefs"] as? [Any] ?? layers["cubefs"].map { [$0] } ?? []
      return found.map { layer in
        var result = Dissected(frame: number, port: capture.callerPorts[number - 1])
        collect(layer, into: &result)
        return result
      }
    }
  }

  private static func collect(_ json: Any, into result: inout Dissected) {
    if let list = json as? [Any] {
      for element in list { collect(element, into: &result) }
    }
    for (key, value) in json as? [String: Any] ?? [:] {
      if key == "_ws.expert" {
        for expert in value as? [[String: Any]] ?? (value as? [String: Any]).map({ [$0] }) ?? [] {
          let message = expert["_ws.expert.message"] as? String ?? ""
          for name in expert.keys where name.hasPrefix("cubefs.") { result.experts[String(name.dropFirst(7))] = message }
        }
      } else if key.hasSuffix("_tree") {
        collect(value, into: &result)
      } else if key.hasPrefix("cubefs.") {
        result.fields[String(key.dropFirst(7)), default: []] += (value as? [Any] ?? [value]).compactMap { $0 as? String }
        // A field without a value is shown by what it holds.
        collect(value, into: &result)
      }
    }
  }
}
