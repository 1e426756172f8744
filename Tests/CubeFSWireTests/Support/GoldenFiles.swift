import CubeFSWire
import Foundation
import Testing

/// One stream of bytes that the real code wrote, and what its manifest says of it.
struct GoldenStream: CustomTestStringConvertible {
  var folder: String
  var name: String
  var path: String
  var direction: FrameDirection
  var release: CubeFSRelease
  /// The packets as the manifest has them, names and radix normalised to `RawReader`'s.
  var packets: [GoldenPacket]
  var byteCount: Int
  /// Of the first packet; the live manifests do not say.
  var headerLength: Int?

  var testDescription: String { "\(folder)/\(name)" }

  func bytes() throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }
}

/// A manifest's packet: its fields, and what it tells of the parts behind them.
struct GoldenPacket {
  var fields: [String: Int128]
  var versions: [[Int128]]
  var argument: [UInt8]?
  var payloadLength: Int?
  var payload: [UInt8]?
  var opcodeName: String?
}

enum GoldenFiles {
  static let folders = ["v3.3.0", "v3.4.0", "v3.5.3", "live-v3.3.0", "live-v3.5.3"]

  /// Tests/Fixtures.
  static var fixtures: String { repository + "/Tests/Fixtures" }

  /// The whole collection: where LANEKEEPER_GOLDEN says, else beside the repository; nil where there is none.
  static var collection: String? {
    if let given = ProcessInfo.processInfo.environment["LANEKEEPER_GOLDEN"] { return given }
    let beside = repository + "/../shared/golden"
    return FileManager.default.fileExists(atPath: beside) ? beside : nil
  }

  private static var repository: String {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { url.deleteLastPathComponent() }
    return url.path
  }

  /// All streams of a collection, in the manifests' order.
  static func streams(_ root: String) throws -> [GoldenStream] {
    try folders.flatMap { folder -> [GoldenStream] in
      let base = "\(root)/\(folder)"
      let release: CubeFSRelease = folder.hasSuffix("v3.3.0") ? .v3_3_0 : folder.hasSuffix("v3.4.0") ? .v3_4_0 : .v3_5_3
      let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: base + "/manifest.json")))
      if let entries = json as? [[String: Any]] { return try entries.flatMap { try live($0, folder, base, release) } }
      let entries = try #require((json as? [String: Any])?["entries"] as? [[String: Any]])
      return try entries.map { try built($0, folder, base, release) }
    }
  }

  private static func built(_ entry: [String: Any], _ folder: String, _ base: String, _ release: CubeFSRelease) throws -> GoldenStream {
    let packets = try #require(entry["packets"] as? [[String: Any]])
    let file = try #require(entry["file"] as? String)
    return GoldenStream(
      folder: folder, name: try #require(entry["name"] as? String), path: "\(base)/\(file)",
      direction: try #require(packets.first?["ResultCode"] as? Int) == 0 ? .request : .reply, release: release,
      packets: try packets.map(packet), byteCount: try #require(entry["bytes"] as? Int),
      headerLength: try #require(entry["header_len"] as? Int))
  }

  private static func live(_ entry: [String: Any], _ folder: String, _ base: String, _ release: CubeFSRelease) throws -> [GoldenStream] {
    let name = try #require(entry["name"] as? String)
    let request = try #require(entry["request"] as? [String: Any])
    let replies = entry["replies"] as? [[String: Any]] ?? []
    return [
      GoldenStream(
        folder: folder, name: "\(name).req", path: "\(base)/\(name).req.bin", direction: .request, release: release,
        packets: [try packet(request)], byteCount: try #require(entry["request_bytes"] as? Int), headerLength: nil),
      GoldenStream(
        folder: folder, name: "\(name).rsp", path: "\(base)/\(name).rsp.bin", direction: .reply, release: release,
        packets: try replies.map(packet), byteCount: try #require(entry["response_bytes"] as? Int), headerLength: nil),
    ]
  }

  private static func packet(_ json: [String: Any]) throws -> GoldenPacket {
    var fields: [String: Int128] = [:]
    for name in RawReader.layout.map(\.0) + ["VerSeq", "ProtoVersion"] {
      if let value = json[name] { fields[name] = try number(value) }
    }
    // The live manifests leave out what their reader had already checked.
    if fields["Magic"] == nil { fields["Magic"] = 0xFF }
    let versions = try (json["VerList"] as? [[String: Any]] ?? []).map { entry in
      try ["Ver", "DelTime", "Status"].map { try number(#require(entry[$0])) }
    }
    let text = json["body"] as? String ?? json["Data_text"] as? String
    return GoldenPacket(
      fields: fields, versions: versions, argument: (json["Arg_hex"] as? String).map(hexadecimal),
      payloadLength: json["body_len"] as? Int ?? json["Data_len"] as? Int,
      payload: text.map { Array($0.utf8) } ?? (json["Data_hex"] as? String).map(hexadecimal), opcodeName: json["OpMsg"] as? String)
  }

  /// A number, or a string of hexadecimal digits with `0x`.
  private static func number(_ value: Any) throws -> Int128 {
    if let text = value as? String { return try #require(Int128(text.dropFirst(2), radix: 16)) }
    let number = try #require(value as? NSNumber)
    return try #require(Int128(number.stringValue))
  }

  private static func hexadecimal(_ text: String) -> [UInt8] {
    let digits = Array(text)
    return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
  }
}
