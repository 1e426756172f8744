/// The partitions of one datanode, extents and all. Bytes of a replica that was always whole are computed; what a repair
/// brought is kept, to be compared in the end.
final class ReplicaStore: @unchecked Sendable {
  /// Why an extent does not take bytes.
  enum Failure: Error {
    case deleted
    case offset(size: Int64)
  }

  private struct Extent {
    var size: Int64 = 0
    /// Nil: as the contents have it.
    var bytes: [UInt8]?
  }

  private struct Partition {
    var extents: [UInt64: Extent] = [:]
    var deleted: Set<UInt64> = []
    var tinyDeleteFileSize: Int64 = 0
    var tinyDeletes: [UInt8]?
    var isAttached = true
  }

  private let contents: Contents
  private let lock = LabLock()
  private var partitions: [UInt64: Partition] = [:]
  private var full = false

  init(_ contents: Contents) { self.contents = contents }

  /// Gives the datanode a replica, whole or new and empty. A new one has its tiny extents, empty.
  func install(_ plan: ClusterPlan.Partition, whole: Bool) {
    var partition = Partition()
    if whole {
      for (extent, size) in plan.extents { partition.extents[extent] = Extent(size: size) }
      partition.tinyDeleteFileSize = plan.tinyDeleteFileSize
    } else {
      partition.tinyDeletes = []
    }
    for extent in plan.tinyExtents {
      let size = contents.tinyRuns(partition: plan.id, extent: extent).last?.end ?? 0
      partition.extents[extent] = whole ? Extent(size: size) : Extent(size: 0, bytes: [])
    }
    lock.withLock { partitions[plan.id] = partition }
  }

  func has(_ key: ExtentKey) -> Bool { lock.withLock { partitions[key.partition]?.extents[key.extent] != nil } }

  func isDeleted(_ key: ExtentKey) -> Bool { lock.withLock { partitions[key.partition]?.deleted.contains(key.extent) ?? false } }

  /// The size of an extent, 0 where it does not exist.
  func size(_ key: ExtentKey) -> Int64 { lock.withLock { partitions[key.partition]?.extents[key.extent]?.size ?? 0 } }

  /// The ids of a partition's extents.
  func extents(_ partition: UInt64) -> Set<UInt64> { lock.withLock { Set(partitions[partition]?.extents.keys ?? [:].keys) } }

  /// Creates an empty extent where there is none. It does not ask whether the extent was deleted, as CubeFS does not
  /// (PROTOCOL.md section 7).
  func create(_ key: ExtentKey) {
    lock.withLock {
      guard partitions[key.partition]?.extents[key.extent] == nil else { return }
      partitions[key.partition]?.extents[key.extent] = Extent(size: 0, bytes: [])
    }
  }

  /// Appends to an extent. CubeFS `storage/extent.go` `Write`, v3.3.0: an append at any other place than the end fails.
  func append(_ bytes: [UInt8], to key: ExtentKey, at offset: Int64) throws(Failure) {
    let failure = lock.withLock { () -> Failure? in
      guard let size = partitions[key.partition]?.extents[key.extent]?.size else { return .deleted }
      guard size == offset else { return .offset(size: size) }
      partitions[key.partition]?.extents[key.extent]?.bytes?.append(contentsOf: bytes)
      partitions[key.partition]?.extents[key.extent]?.size += Int64(bytes.count)
      return nil
    }
    if let failure { throw failure }
  }

  /// Deletes an extent, also one that is not there.
  func delete(_ key: ExtentKey) {
    lock.change {
      partitions[key.partition]?.extents[key.extent] = nil
      _ = partitions[key.partition]?.deleted.insert(key.extent)
    }
  }

  /// Waits until an extent was deleted, but not beyond `deadline`, nanoseconds of `LabClock`.
  /// - Returns: true where it was.
  @discardableResult
  func waitUntilDeleted(_ key: ExtentKey, deadline: Int64) -> Bool {
    lock.wait(until: { partitions[key.partition]?.deleted.contains(key.extent) ?? true }, deadline: deadline)
  }

  /// What GetAllWatermarks answers: all normal extents, or those tiny ones.
  func watermarks(_ partition: UInt64, tiny: [UInt64]?, source: String) -> [ExtentWatermark] {
    let all = lock.withLock { partitions[partition]?.extents.mapValues(\.size) ?? [:] }
    let chosen = all.filter { extent, _ in tiny?.contains(extent) ?? (extent > LabExtent.lastTiny) }
    return chosen.sorted { $0.key < $1.key }.map { ExtentWatermark(extent: $0.key, size: $0.value, source: source) }
  }

  /// The largest id of a normal extent, and the bytes of all extents up to an id.
  func sizes(_ partition: UInt64, upTo last: UInt64 = .max) -> (largest: UInt64, bytes: UInt64) {
    let all = lock.withLock { partitions[partition]?.extents.mapValues(\.size) ?? [:] }
    return (all.keys.max() ?? 0, all.reduce(0) { $0 + ($1.key <= last ? UInt64(clamping: $1.value) : 0) })
  }

  /// The bytes of a whole replica's extent; nil where it was deleted or ends before.
  func read(_ key: ExtentKey, at offset: Int64, count: Int64) -> [UInt8]? {
    guard offset >= 0, offset &+ count <= size(key) else { return nil }
    return Self.right(key, at: offset, count: Int(count), contents)
  }

  /// The bytes that an extent has wherever it is whole; zeros where a tiny one has a hole.
  static func right(_ key: ExtentKey, at offset: Int64, count: Int, _ contents: Contents) -> [UInt8] {
    if ClusterPlan.isList(key.extent) { return Array(ClusterPlan.list(partition: key.partition).dropFirst(Int(offset)).prefix(count)) }
    var bytes = contents.bytes(partition: key.partition, extent: key.extent, offset: offset, count: count)
    guard key.extent <= LabExtent.lastTiny else { return bytes }
    for run in contents.tinyRuns(partition: key.partition, extent: key.extent) where run.isHole {
      let hole = max(run.offset, offset)..<max(run.offset, offset, min(run.end, offset + Int64(count)))
      for position in hole { bytes[Int(position - offset)] = 0 }
    }
    return bytes
  }

  // MARK: Tiny deletes

  /// Length of the file of tiny deletes, bytes.
  func tinyDeleteFileSize(_ partition: UInt64) -> Int64 { lock.withLock { partitions[partition]?.tinyDeleteFileSize ?? 0 } }

  /// A whole replica's file grows by further records.
  func growTinyDeletes(_ partition: UInt64, by count: Int64) {
    lock.withLock { partitions[partition]?.tinyDeleteFileSize += count }
  }

  /// A new replica's file takes what was read of its leader's.
  func appendTinyDeletes(_ bytes: [UInt8], _ partition: UInt64) {
    lock.withLock {
      partitions[partition]?.tinyDeletes?.append(contentsOf: bytes)
      partitions[partition]?.tinyDeleteFileSize += Int64(bytes.count)
    }
  }

  // MARK: The datanode's own state

  /// Whether the partition is in the datanode's space.
  func isAttached(_ partition: UInt64) -> Bool { lock.withLock { partitions[partition]?.isAttached ?? false } }

  func setAttached(_ attached: Bool, _ partition: UInt64) { lock.withLock { partitions[partition]?.isAttached = attached } }

  /// Whether the disk takes no more.
  var isFull: Bool {
    get { lock.withLock { full } }
    set { lock.withLock { full = newValue } }
  }

  // MARK: Afterwards

  /// What is wrong with a replica that was repaired, as sentences; every byte is compared.
  /// - Parameter deleted: extents that were deleted while the repair ran.
  func faults(_ plan: ClusterPlan.Partition, deleted: Set<UInt64>) -> [String] {
    guard let partition = lock.withLock({ partitions[plan.id] }) else { return ["partition \(plan.id) is not there"] }
    var found: [String] = []
    var expected = plan.extents.filter { !deleted.contains($0.key) }
    for extent in plan.tinyExtents { expected[extent] = contents.tinyRuns(partition: plan.id, extent: extent).last?.end ?? 0 }
    for (extent, size) in expected.sorted(by: { $0.key < $1.key }) {
      let name = "partition \(plan.id) extent \(extent)"
      guard let copy = partition.extents[extent] else {
        found.append("\(name) is missing")
        continue
      }
      if copy.size != size { found.append("\(name) has \(copy.size) bytes, expected \(size)") }
      if let bytes = copy.bytes,
        bytes != Self.right(ExtentKey(partition: plan.id, extent: extent), at: 0, count: Int(copy.size), contents)
      {
        found.append("\(name) has wrong bytes")
      }
    }
    for (extent, copy) in partition.extents where expected[extent] == nil && !(deleted.contains(extent) && copy.size == 0) {
      found.append("partition \(plan.id) extent \(extent) with \(copy.size) bytes should not be there")
    }
    if let bytes = partition.tinyDeletes,
      bytes != contents.bytes(partition: plan.id, extent: 0, offset: 0, count: bytes.count)
    {
      found.append("partition \(plan.id): the file of tiny deletes has wrong bytes")
    }
    return found
  }

  /// Deleted extents that a later notify created again, empty (PROTOCOL.md section 7).
  func ghosts(_ partition: UInt64) -> Int {
    lock.withLock {
      guard let partition = partitions[partition] else { return 0 }
      return partition.deleted.count { partition.extents[$0] != nil }
    }
  }

  /// Frees what a partition holds.
  func remove(_ partition: UInt64) { lock.withLock { partitions[partition] = nil } }
}
