internal import CubeFSWire

/// One extent of one partition.
struct ExtentKey: Hashable, Sendable {
  let partition: UInt64
  let extent: UInt64
}

/// What happens to a repairer in the middle of a read, once for each extent that is to meet it.
enum RepairTrouble: Sendable, Equatable {
  /// v3.3.0: the disk is full before a read. CubeFS `datanode/data_partition_repair.go:537`.
  case diskFull(beforeRead: Int)
  /// v3.5.3: the partition is detached before a read. CubeFS `datanode/data_partition_repair.go:846`.
  case detached(beforeRead: Int)
  /// The extent is deleted while that reply is written to it.
  case deleted(atReply: Int)
  /// The extent is deleted after a replica has said that it lacks it, and before the notify that has it created.
  case deletedBeforeNotify
}

/// Partitions of a node that is decommissioned, each with a new and empty replica, and what happens while they are repaired.
/// The same for the same seed.
struct ClusterPlan: Sendable {
  /// Which of the stories is told.
  enum Story: Sendable {
    /// Every way to abandon a stream that the release has, and deletes of the extents in flight.
    case decommission
    /// The same, but it is clients that have the leader delete, and some of the deletes come before the notify.
    case decommissionWithClients
    /// Partitions are detached while they are repaired.
    case detached
    /// Each extent is named four times in a notify.
    case repeatedNotify

    var isDecommission: Bool { self == .decommission || self == .decommissionWithClients }
  }

  struct Partition: Sendable {
    let id: UInt64
    /// Indices of datanodes: the leader first, the new and empty replica last.
    let replicas: [Int]
    /// Sizes of the normal extents, bytes.
    let extents: [UInt64: Int64]
    let tinyExtents: [UInt64]
    /// Length of the leader's file of tiny deletes, bytes.
    let tinyDeleteFileSize: Int64
    /// Bytes that this file grows by between the notify that names its size and the read.
    let tinyDeleteGrowth: Int64
    /// v3.5.3: a stop signal ends the first read of the file before its first reply.
    let stopsTinyDelete: Bool

    var leader: Int { replicas[0] }
    var newReplica: Int { replicas[replicas.count - 1] }
  }

  static let nodeCount = 4
  /// In the place of a node's index: a client.
  static let client = 4
  static let blockLength: Int64 = 128 << 10
  /// A file of tiny deletes that fills two replies of 14 to the last byte: any growth is a third that its reader never reads.
  static let twoChunks: Int64 = 4_800_000
  /// Bytes of one record of a tiny delete.
  static let recordLength: Int64 = 24

  let release: CubeFSRelease
  let partitions: [Partition]
  let troubles: [ExtentKey: RepairTrouble]
  /// How often a notify names each extent.
  let naming: Int
  /// Clients ask the leader for each delete.
  let hasClients: Bool

  /// - Parameters:
  ///   - number: tells the plans of a run apart.
  ///   - naming: how often a notify names each extent, where that is not the story's.
  init(_ story: Story, release: CubeFSRelease, seed: UInt64, number: Int, naming: Int? = nil) {
    var random = LabRandom(seed: LabRandom.mix(seed &+ UInt64(number)) ^ (release == .v3_3_0 ? 330 : 353))
    self.release = release
    self.naming = naming ?? (story == .repeatedNotify ? 4 : 1)
    hasClients = story == .decommissionWithClients
    var partitions: [Partition] = []
    var troubles: [ExtentKey: RepairTrouble] = [:]
    for (place, replicas) in Self.placements.enumerated() {
      let id = UInt64(number + 1) << 16 | UInt64(place + 1)
      let tiny: [UInt64] = story.isDecommission ? [1 + UInt64(random.below(64))] : []
      var extents: [UInt64: Int64] = [:]
      for extent in Self.firstExtent..<Self.firstExtent + 4 + UInt64(random.below(3)) {
        let key = ExtentKey(partition: id, extent: extent)
        let blocks = 3 + random.below(8)
        extents[extent] =
          Self.isList(extent)
          ? Int64(Self.list(partition: id).count) : Int64(blocks) * Self.blockLength - Int64(random.below(100_000))
        troubles[key] = Self.trouble(story, release, extent, blocks, &random)
      }
      for extent in tiny {
        troubles[ExtentKey(partition: id, extent: extent)] = Self.trouble(story, release, extent, 2, &random)
      }
      let hasRecords = story.isDecommission
      partitions.append(
        Partition(
          id: id, replicas: replicas, extents: extents, tinyExtents: tiny, tinyDeleteFileSize: hasRecords ? Self.twoChunks : 0,
          tinyDeleteGrowth: Self.recordLength * Int64(1 + random.below(50)),
          stopsTinyDelete: release == .v3_5_3 && hasRecords && place % 4 == 0))
    }
    self.partitions = partitions
    self.troubles = troubles
  }

  /// Node 2 is decommissioned: its partitions get a new replica on each of the others in turn, while it still leads some.
  private static let placements: [[Int]] = [
    [0, 1, 3], [1, 0, 3], [2, 0, 3], [0, 3, 1], [3, 0, 1], [2, 3, 1], [1, 3, 0], [3, 1, 0], [2, 1, 0],
  ]

  /// CubeFS `storage.MinExtentID`, and the next: each partition counts its normal extents from here.
  static let firstExtent: UInt64 = 1_025

  /// True for the extent whose contents are a list of extents in JSON: users' files may be anything, this included.
  static func isList(_ extent: UInt64) -> Bool { extent == firstExtent }

  /// The contents of that extent, with spaces up to a whole number of records: v3.3.0's reader of tiny deletes, which
  /// compares no ReqID, takes it for such.
  static func list(partition: UInt64) -> [UInt8] {
    let items = (0..<3).map { (number: UInt64) in
      "{\"fileId\":\(9_000 + partition % 100 + number),\"size\":\(131_072 * (number + 1)),\"Crc\":0,\"deleted\":false}"
    }
    let text = Array("[\(items.joined(separator: ","))]".utf8)
    let rest = text.count % Int(recordLength)
    return text + [UInt8](repeating: UInt8(ascii: " "), count: rest == 0 ? 0 : Int(recordLength) - rest)
  }

  /// True where the trouble ends in a delete.
  func isVictim(_ key: ExtentKey) -> Bool {
    switch troubles[key] {
    case .deleted, .deletedBeforeNotify: true
    case .diskFull, .detached, nil: false
    }
  }

  private static func trouble(
    _ story: Story, _ release: CubeFSRelease, _ extent: UInt64, _ blocks: Int, _ random: inout LabRandom
  ) -> RepairTrouble? {
    let isFirst = random.below(3) == 0
    let place = isFirst || isList(extent) ? 0 : random.below(blocks)
    let leave: RepairTrouble = release == .v3_3_0 ? .diskFull(beforeRead: place) : .detached(beforeRead: place)
    switch story {
    case .repeatedNotify: return nil
    case .detached: return random.below(2) == 0 || isList(extent) ? leave : nil
    case .decommission:
      if isList(extent) { return leave }
      switch random.below(10) {
      case 0..<3: return leave
      case 3..<6 where extent > LabExtent.lastTiny: return .deleted(atReply: random.below(blocks - 1))
      default: return nil
      }
    case .decommissionWithClients:
      if isList(extent) { return leave }
      switch random.below(10) {
      case 0..<2: return leave
      case 2..<5 where extent > LabExtent.lastTiny: return .deleted(atReply: random.below(blocks - 1))
      case 5..<8 where extent > LabExtent.lastTiny: return .deletedBeforeNotify
      default: return nil
      }
    }
  }
}
