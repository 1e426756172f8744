import Foundation
import Testing

/// What a manifest says of one packet that the real code wrote.
struct GoldenPacket {
  /// The header's fields by CubeFS's names, flags and optional parts included; 0 where a part is not on the wire.
  var fields: [String: Int128]
  /// Ver, DelTime and Status of each entry.
  var versions: [[Int128]]
  var argument: String
  /// Of a payload that is text.
  var text: String?
}

/// A stream of bytes that the real code wrote in one direction, and its packets.
struct GoldenStream {
  var name: String
  var bytes: [UInt8]
  var packets: [GoldenPacket]
  var isRequest: Bool
}

/// One exchange with a running datanode.
struct GoldenExchange {
  var request: GoldenStream
  var replies: GoldenStream
}

/// Tests/Fixtures, read through its manifests alone.
enum GoldenManifest {
  static let built = ["v3.3.0", "v3.4.0", "v3.5.3"]
  static let live = ["live-v3.3.0", "live-v3.5.3"]

  /// The release that wrote a folder's packets, as the dissector's preference has it.
  static func release(_ folder: String) -> String { String(folder.drop { $0 != "v" }.dropFirst()) }

  static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Fixtures"

  /// All streams of a folder.
  static func streams(_ folder: String) throws -> [GoldenStream] {
    if live.contains(folder) { return try exchanges(folder).flatMap { [$0.request, $0.replies] } }
    let entries = try #require((json(folder) as? [String: Any])?["entries"] as? [[String: Any]])
    return try entries.map { entry in
      let packets = try #require(entry["packets"] as? [[String: Any]]).map(packet)
      let file = try #require(entry["file"] as? String)
      return try GoldenStream(
        name: "\(folder)/\(file)", bytes: read("\(folder)/\(file)"), packets: packets, isRequest: packets[0].fields["ResultCode"] == 0)
    }
  }

  /// All exchanges of a folder of live ones.
  static func exchanges(_ folder: String) throws -> [GoldenExchange] {
    let entries = try #require(json(folder) as? [[String: Any]])
    return try entries.map { entry in
      let path = "\(folder)/\(try #require(entry["name"] as? String))"
      let request = try #require(entry["request"] as? [String: Any])
      let replies = entry["replies"] as? [[String: Any]] ?? []
      return try GoldenExchange(
        request: GoldenStream(name: path + ".req.bin", bytes: read(path + ".req.bin"), packets: [packet(request)], isRequest: true),
        replies: GoldenStream(name: path + ".rsp.bin", bytes: read(path + ".rsp.bin"), packets: replies.map(packet), isRequest: false))
    }
  }

  /// CubeFS's own names of the opcodes of a folder's packets.
  static func opcodeNames(_ folder: String) throws -> [(opcode: Int128, name: String)] {
    let json = try json(folder)
    if let entries = (json as? [String: Any])?["entries"] as? [[String: Any]] {
      return try entries.compactMap { entry in
        // The answers of 0x14 and 0x17 bear other opcodes than what they answer.
        guard let name = entry["opcode"] as? String, name.hasPrefix("Op"), let first = (entry["packets"] as? [[String: Any]])?.first else {
          return nil
        }
        let opcode = try number(#require(first["Opcode"]))
        return try number(#require(entry["opcode_hex"])) == opcode ? (opcode, name) : nil
      }
    }
    return try (json as? [[String: Any]] ?? []).compactMap { entry in
      guard let request = entry["request"] as? [String: Any], let name = request["OpMsg"] as? String, name.hasPrefix("Op") else {
        return nil
      }
      return (try number(#require(request["Opcode"])), name)
    }
  }

  private static func json(_ folder: String) throws -> Any {
    try JSONSerialization.jsonObject(with: Data(read("\(folder)/manifest.json")))
  }

  private static func read(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(path)"))) }

  private static func packet(_ json: [String: Any]) throws -> GoldenPacket {
    let notOfTheHeader: Set<String> = ["Data_len", "body_len"]
    var fields: [String: Int128] = ["Magic": 255]
    for (name, value) in json where !notOfTheHeader.contains(name) {
      if let number = value as? NSNumber {
        fields[name] = Int128(number.stringValue)
      } else if name == "Opcode" || name == "ResultCode" {
        fields[name] = try number(value)
      }
    }
    let versions = try (json["VerList"] as? [[String: Any]] ?? []).map { entry in
      try ["Ver", "DelTime", "Status"].map { try number(#require(entry[$0])) }
    }
    return GoldenPacket(
      fields: fields, versions: versions, argument: json["Arg_hex"] as? String ?? "",
      text: json["Data_text"] as? String ?? json["body"] as? String)
  }

  /// A number, or "0x" and hexadecimal digits.
  private static func number(_ value: Any) throws -> Int128 {
    if let text = value as? String { return try #require(Int128(text.dropFirst(2), radix: 16)) }
    return try #require((value as? NSNumber).flatMap { Int128($0.stringValue) })
  }
}
