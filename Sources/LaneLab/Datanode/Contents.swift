internal import CubeFSWire
internal import Glibc

/// What the datanodes of one lab hold, as a function of (seed, partition, extent, offset): nothing is stored, and any block
/// can be recomputed by whoever wants to know whether it is the right one.
final class Contents: Sendable {
  /// Bytes between two marks that no other place has.
  private static let page = 4_096
  private static let baseLength = 1 << 20

  let seed: UInt64
  private let base: [UInt8]

  init(seed: UInt64) {
    self.seed = seed
    var random = LabRandom(seed: seed)
    base = [UInt8](unsafeUninitializedCapacity: Self.baseLength) { buffer, initialized in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for offset in stride(from: 0, to: Self.baseLength, by: 8) {
        raw.storeBytes(of: random.next().littleEndian, toByteOffset: offset, as: UInt64.self)
      }
      initialized = Self.baseLength
    }
  }

  /// One word that depends on everything given.
  func hash(_ partition: UInt64, _ extent: UInt64 = 0, _ salt: UInt64 = 0) -> UInt64 {
    LabRandom.mix(LabRandom.mix(LabRandom.mix(seed ^ partition) &+ extent) &+ salt)
  }

  /// The bytes of an extent from `offset`. Every 4 KiB begin with a word that occurs nowhere else, so a block of another
  /// extent, partition or offset never compares equal.
  func bytes(partition: UInt64, extent: UInt64, offset: Int64, count: Int) -> [UInt8] {
    guard count > 0, offset >= 0 else { return [] }
    let start = Int(hash(partition, extent, 1) % UInt64(Self.baseLength))
    let first = Int(offset)
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      base.withUnsafeBytes { source in
        var done = 0
        while done < count {
          let position = (start + first + done) % Self.baseLength
          let piece = min(count - done, Self.baseLength - position)
          memcpy(buffer.baseAddress! + done, source.baseAddress! + position, piece)
          done += piece
        }
      }
      for mark in stride(from: first / Self.page * Self.page, to: first + count, by: Self.page) {
        let word = hash(partition, extent, UInt64(mark) << 1)
        for byte in 0..<8 where mark + byte >= first && mark + byte < first + count {
          buffer[mark + byte - first] = UInt8(truncatingIfNeeded: word >> UInt64(byte * 8))
        }
      }
      initialized = count
    }
  }

  /// Raft's applied id of a partition.
  func appliedID(_ partition: UInt64) -> UInt64 { hash(partition, 0, 2) >> 16 }
  /// Bytes a partition uses, as GetPartitionSize tells them.
  func partitionSize(_ partition: UInt64) -> UInt64 { hash(partition, 0, 3) >> 24 }
  /// The largest extent id of a partition.
  func maxExtentID(_ partition: UInt64) -> UInt64 { 1_025 + hash(partition, 0, 4) % 100_000 }

  /// Length of a partition's file of tiny deletes, a multiple of 24; one in 64 takes two replies of 14.
  func tinyDeleteFileSize(_ partition: UInt64) -> Int64 {
    let records = partition % 64 == 5 ? 100_000 + partition % 1_000 : 1 + hash(partition, 0, 5) % 400
    return Int64(records) * 24
  }

  /// A normal extent's size; `LabExtent.short` ends in the middle of its third block, as the live capture's.
  func extentSize(_ extent: UInt64) -> Int64 { extent == LabExtent.short ? 263_168 : 1 << 27 }

  /// The data and hole runs of a tiny extent, in order, beginning and ending with data; lengths are multiples of 4 KiB.
  func tinyRuns(partition: UInt64, extent: UInt64) -> [TinyRun] {
    var random = LabRandom(seed: hash(partition, extent, 6))
    let pairs = random.below(3)
    var runs: [TinyRun] = []
    var offset: Int64 = 0
    for index in 0..<(2 * pairs + 1) {
      let isHole = index % 2 == 1
      let pages = isHole ? 1 + random.below(16) : (random.below(8) == 0 ? 33 + random.below(8) : 1 + random.below(8))
      runs.append(TinyRun(offset: offset, length: Int64(pages * Self.page), isHole: isHole))
      offset += Int64(pages * Self.page)
    }
    return runs
  }

  /// What GetAllWatermarks answers: every extent of the partition, or those asked for. Names and order of the members as in
  /// the live captures of either release.
  func watermarks(partition: UInt64, tiny: [UInt64]?, release: CubeFSRelease) -> [UInt8] {
    let extents = tiny ?? (0..<(hash(partition, 0, 7) % 40)).map { 1_025 + $0 + partition % 7 }
    let items = extents.map { extent -> String in
      let size = tiny == nil ? hash(partition, extent, 8) % (1 << 27) : hash(partition, extent, 8) % (1 << 20)
      let time = 1_700_000_000 + hash(partition, extent, 9) % 1_000_000
      if release == .v3_3_0 {
        return "{\"fileId\":\(extent),\"size\":\(size),\"Crc\":0,\"deleted\":false,\"modTime\":\(time),\"accessTime\":\(time),\"src\":\"\"}"
      }
      return "{\"deleted\":false,\"Crc\":0,\"fileId\":\(extent),\"size\":\(size),\"modTime\":\(time),\"snapSize\":134217728,"
        + "\"snapPreAllocSize\":0,\"applyID\":\(partition)}"
    }
    return Array("[\(items.joined(separator: ","))]".utf8)
  }
}

/// A stretch of a tiny extent.
struct TinyRun: Sendable {
  let offset: Int64
  let length: Int64
  let isHole: Bool
  var end: Int64 { offset + length }
}

/// Extents and partitions with a meaning of their own in the lab.
enum LabExtent {
  /// On every datanode, deleted.
  static let absent: UInt64 = 888_888
  /// On every datanode, 263,168 bytes long.
  static let short: UInt64 = 777_777
  /// Ids up to here are tiny extents. CubeFS `storage.IsTinyExtent`, v3.3.0.
  static let lastTiny: UInt64 = 64

  /// True for the partitions that no datanode has: operations on them end in an error, as they do in a real cluster.
  static func isAbsent(partition: UInt64) -> Bool { partition % 50 == 49 }
  /// True for the partitions of volumes with snapshots, whose write replies carry a version list from v3.4.0 on.
  static func isSnapshotVolume(partition: UInt64) -> Bool { partition % 32 == 7 }
}
