/// Extents of one partition that an operation touches.
public struct ExtentSet: Equatable, Sendable {
  private enum Members: Equatable, Sendable {
    case one(UInt64)
    // Ascending, each once.
    case list([UInt64])
    case normal
    case all
  }

  /// The most extents that are kept one by one; of more it is said that all of the partition may be among them.
  public static let mostListed = 65_536
  /// CubeFS `storage/extent_store.go` `TinyExtentStartID` and `TinyExtentCount`: ids up to here are tiny extents.
  public static let lastTiny: UInt64 = 64

  /// The same without the list's ids.
  enum Brief: Equatable {
    case one(UInt64)
    case listed
    case normal
    case all
  }

  private let members: Members

  var brief: Brief {
    switch members {
    case .one(let id): .one(id)
    case .list: .listed
    case .normal: .normal
    case .all: .all
    }
  }

  /// Nil where it is a list.
  init?(brief: Brief) {
    switch brief {
    case .one(let id): members = .one(id)
    case .normal: members = .normal
    case .all: members = .all
    case .listed: return nil
    }
  }

  private init(_ members: Members) { self.members = members }

  /// Every extent of the partition.
  public static let all = ExtentSet(.all)
  /// Every extent that is not a tiny one.
  public static let normal = ExtentSet(.normal)

  /// One extent.
  public init(_ id: UInt64) { members = .one(id) }

  /// These extents, in any order; all where there are more than `mostListed` different ones.
  public init(_ ids: [UInt64]) {
    guard ids.count != 1 else {
      members = .one(ids[0])
      return
    }
    var sorted = ids.sorted()
    var kept = 0
    for id in sorted where kept == 0 || sorted[kept - 1] != id {
      sorted[kept] = id
      kept += 1
    }
    sorted.removeLast(sorted.count - kept)
    members = kept == 1 ? .one(sorted[0]) : kept > Self.mostListed ? .all : .list(sorted)
  }

  /// None.
  public var isEmpty: Bool { members == .list([]) }

  /// How many; nil where they are not known one by one.
  public var count: Int? {
    switch members {
    case .one: 1
    case .list(let ids): ids.count
    case .normal, .all: nil
    }
  }

  /// The lowest id; nil where there is none, or they are not known one by one.
  public var first: UInt64? {
    switch members {
    case .one(let id): id
    case .list(let ids): ids.first
    case .normal, .all: nil
    }
  }

  /// Whether that extent is among them.
  public func contains(_ id: UInt64) -> Bool {
    switch members {
    case .one(let own): own == id
    case .list(let ids): Self.holds(ids, id)
    case .normal: id > Self.lastTiny
    case .all: true
    }
  }

  /// Whether an extent is in both.
  public func intersects(_ other: ExtentSet) -> Bool {
    switch (members, other.members) {
    case (.one(let id), _): other.contains(id)
    case (_, .one(let id)): contains(id)
    case (.list(let one), .list(let two)): one.count <= two.count ? Self.share(one, two) : Self.share(two, one)
    case (.list(let ids), _): ids.contains { other.contains($0) }
    case (_, .list(let ids)): ids.contains { contains($0) }
    case (.normal, .normal), (.normal, .all), (.all, .normal), (.all, .all): true
    }
  }

  private static func holds(_ ids: [UInt64], _ id: UInt64) -> Bool {
    let place = firstPlace(ids, notBelow: id, from: 0)
    return place < ids.count && ids[place] == id
  }

  /// Each search goes on where the last one ended.
  private static func share(_ few: [UInt64], _ many: [UInt64]) -> Bool {
    var place = 0
    for id in few {
      place = firstPlace(many, notBelow: id, from: place)
      if place == many.count { return false }
      if many[place] == id { return true }
    }
    return false
  }

  private static func firstPlace(_ ids: [UInt64], notBelow id: UInt64, from start: Int) -> Int {
    // Steps that double, then halves between the last two: two lists that lie close are each passed through once.
    var low = start
    var step = 1
    while low + step <= ids.count, ids[low + step - 1] < id {
      low += step
      step *= 2
    }
    var high = min(low + step - 1, ids.count)
    while low < high {
      let middle = low + (high - low) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
