/// What a datanode says of one extent.
struct ExtentWatermark: Sendable, Equatable {
  let extent: UInt64
  var size: Int64
  /// Who holds that many bytes of it, as `address:port`.
  var source = ""

  /// The members that CubeFS reads, and those it writes besides. CubeFS `storage.ExtentInfo`; from v3.4.0 on an extent tells
  /// where its snapshot data begin, and a task whose extent does not say so is answered with 17 in place of 09.
  var json: String {
    "{\"fileId\":\(extent),\"size\":\(size),\"Crc\":0,\"deleted\":false,\"modTime\":1700000000,\"accessTime\":0,\"src\":\"\(source)\","
      + "\"snapSize\":134217728}"
  }

  /// The list of a JSON text; nil where CubeFS's `json.Unmarshal` into a slice of structures fails.
  static func list(_ value: LabJSON?) -> [ExtentWatermark]? {
    guard case .array(let items) = value else { return nil }
    var list: [ExtentWatermark] = []
    for item in items {
      guard case .object = item else { return nil }
      list.append(
        ExtentWatermark(
          extent: item["fileId"]?.unsigned ?? 0, size: Int64(clamping: item["size"]?.unsigned ?? 0), source: item["src"]?.text ?? ""))
    }
    return list
  }
}
