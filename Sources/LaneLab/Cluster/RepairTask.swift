/// What a leader asks one replica to do. CubeFS `DataPartitionRepairTask`, v3.3.0.
struct RepairTask: Sendable, Equatable {
  var created: [ExtentWatermark] = []
  var repaired: [ExtentWatermark] = []
  var tinyDeleteFileSize: Int64 = 0
  var leader = ""

  /// The body of NotifyReplicasToRepair.
  /// - Parameter naming: how often each extent to be repaired is named.
  func body(naming: Int = 1) -> [UInt8] {
    let named = repaired.flatMap { Array(repeating: $0, count: naming) }
    let text =
      "{\"TaskType\":1,\"ExtentsToBeCreated\":[\(created.map(\.json).joined(separator: ","))],"
      + "\"ExtentsToBeRepaired\":[\(named.map(\.json).joined(separator: ","))],"
      + "\"LeaderTinyDeleteRecordFileSize\":\(tinyDeleteFileSize),\"LeaderAddr\":\"\(leader)\"}"
    return Array(text.utf8)
  }

  /// The task in a body; nil where it is no JSON object.
  init?(_ body: [UInt8]) {
    guard let json = LabJSON(body), case .object = json else { return nil }
    created = ExtentWatermark.list(json["ExtentsToBeCreated"]) ?? []
    repaired = ExtentWatermark.list(json["ExtentsToBeRepaired"]) ?? []
    tinyDeleteFileSize = Int64(clamping: json["LeaderTinyDeleteRecordFileSize"]?.unsigned ?? 0)
    leader = json["LeaderAddr"]?.text ?? ""
  }

  init() {}

  /// One task for each replica, the leader's own first; nil for a replica whose extents are not known.
  ///
  /// The largest copy of an extent is right; who lacks it creates it, who has less repairs it. CubeFS
  /// `datanode/data_partition_repair.go` `prepareRepairTasks`, v3.3.0.
  /// - Parameters:
  ///   - extents: what each replica says it has; nil where it was not heard.
  ///   - isDeleted: whether the leader knows the extent as deleted.
  static func prepare(_ extents: [[ExtentWatermark]?], isDeleted: (UInt64) -> Bool) -> [RepairTask?] {
    var largest: [UInt64: ExtentWatermark] = [:]
    for mark in extents.compactMap({ $0 }).joined() {
      if let known = largest[mark.extent], known.size >= mark.size { continue }
      largest[mark.extent] = mark
    }
    let right = largest.values.filter { !isDeleted($0.extent) }.sorted { $0.extent < $1.extent }
    return extents.map { list in
      guard let list else { return nil }
      let sizes = Dictionary(list.map { ($0.extent, $0.size) }, uniquingKeysWith: { first, _ in first })
      var task = RepairTask()
      for mark in right {
        guard let size = sizes[mark.extent] else {
          if mark.extent > LabExtent.lastTiny {
            task.created.append(mark)
            task.repaired.append(mark)
          }
          continue
        }
        if size < mark.size { task.repaired.append(mark) }
      }
      return task
    }
  }
}
