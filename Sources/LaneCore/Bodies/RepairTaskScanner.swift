public import NetEndpoint

/// Finds, in the body of a NotifyReplicasToRepair as it passes by, where the reader of tiny-delete records will stop: the task's
/// `LeaderTinyDeleteRecordFileSize` and `LeaderAddr` (PROTOCOL.md section 6, "Bodies"); and which extents the task creates and repairs:
/// `fileId` of each object in `ExtentsToBeCreated` and `ExtentsToBeRepaired` (CubeFS `datanode/data_partition_repair.go`
/// `DataPartitionRepairTask`, `storage/extent.go` `ExtentInfo`). The partition is in the packet's header.
///
/// The body is JSON, up to 64 MiB of it, and comes in pieces of any size from whoever connects.
public struct RepairTaskScanner {
  /// What the body says.
  public enum Outcome: Equatable, Sendable {
    /// The leader's file has that size, bytes; 0 where the task names none.
    case size(UInt64, leader: Endpoint)
    /// It is a task, and names neither a leader nor a file.
    case none
    /// It is not JSON as a leader writes it, or the leader's address is not an IPv4 address and port.
    case unreadable
  }

  /// The extents that a task names.
  public struct Extents: Equatable, Sendable {
    /// Those that the receiver creates.
    public var created: ExtentSet
    /// Those that it creates or repairs.
    public var named: ExtentSet

    /// Extents of a task.
    public init(created: ExtentSet, named: ExtentSet) {
      self.created = created
      self.named = named
    }
  }

  private var json = JSONScanner(TaskReader())

  /// A scanner at the first byte of a body.
  public init() {}

  /// Takes the next piece of the body.
  public mutating func take(_ bytes: UnsafeRawBufferPointer) { json.take(bytes) }

  /// The body is over.
  public func finish() -> Outcome {
    guard json.isDone else { return .unreadable }
    let size = json.reader.size
    guard let leader = json.reader.leader, let endpoint = Endpoint(String(decoding: leader, as: UTF8.self)), endpoint.port > 0 else {
      return size ?? 0 == 0 ? .none : .unreadable
    }
    return .size(size ?? 0, leader: endpoint)
  }

  /// The extents of a body that is over; nil where it is not a task as the receiver reads it, who then does nothing.
  public func extents() -> Extents? {
    let (created, repaired) = (json.reader.created, json.reader.repaired)
    guard json.isDone, !created.isOdd, !repaired.isOdd else { return nil }
    return Extents(created: created.extents(), named: created.extents(and: repaired))
  }
}

private struct TaskReader: JSONReader {
  private enum Member: UInt8 {
    case other, size, leader, created, repaired
  }

  private var member = Member.other
  private(set) var size: UInt64?
  private(set) var leader: [UInt8]?
  private(set) var created = ExtentList()
  private(set) var repaired = ExtentList()

  mutating func name(_ name: JSONToken, depth: Int) {
    switch depth {
    case 1: member = Self.member(name)
    case 3: inList { $0.name(isID: name.isName("fileid")) }
    default: break
    }
  }

  private static func member(_ name: JSONToken) -> Member {
    if name.isName("leadertinydeleterecordfilesize") { return .size }
    if name.isName("leaderaddr") { return .leader }
    if name.isName("extentstobecreated") { return .created }
    return name.isName("extentstoberepaired") ? .repaired : .other
  }

  mutating func value(_ value: JSONValue, depth: Int) -> Bool {
    switch depth {
    case 0:
      // The task itself is an object.
      guard case .object = value else { return false }
    case 1: return ofTask(value)
    case 2: inList { $0.element(value) }
    case 3: inList { $0.member(value) }
    default: break
    }
    return true
  }

  private mutating func ofTask(_ value: JSONValue) -> Bool {
    switch (member, value) {
    case (.other, _): break
    // Go's int64, and no file has a negative size.
    case (.size, .number(let number?)) where number <= UInt64(Int64.max): size = number
    // An empty or odd address is told from none at the end.
    case (.leader, .string(let token)): leader = token.bytes ?? []
    // Go's decoder leaves a number or string as it was.
    case (.size, .null), (.leader, .null): break
    case (.size, _), (.leader, _): return false
    case (.created, _), (.repaired, _): inList { $0.begin(value) }
    }
    return true
  }

  mutating func close(depth: Int) {
    if depth == 2 { inList { $0.elementEnds() } }
  }

  private mutating func inList(_ change: (inout ExtentList) -> Void) {
    switch member {
    case .created: change(&created)
    case .repaired: change(&repaired)
    case .other, .size, .leader: break
    }
  }
}
