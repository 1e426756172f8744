/// The extents that the objects of one JSON array name, as the array passes by.
///
/// It keeps at most twice `ExtentSet.mostListed` ids: of more different ones than that it is known only that there are many.
struct ExtentList {
  private static let mostKept = 2 * ExtentSet.mostListed

  /// It is nothing that Go's decoder takes for an array of objects with that member.
  private(set) var isOdd = false
  private var ids: [UInt64] = []
  private var isOver = false
  private var isID = false
  private var id: UInt64 = 0

  /// How many ids it keeps.
  var kept: Int { ids.count }

  /// The array itself begins, or there is something in its place. What a later one of the same name says counts.
  mutating func begin(_ value: JSONValue) {
    ids.removeAll(keepingCapacity: true)
    isOver = false
    switch value {
    case .array, .null: break
    case .object, .string, .number, .boolean: isOdd = true
    }
  }

  /// An element of the array.
  mutating func element(_ value: JSONValue) {
    isID = false
    id = 0
    switch value {
    case .object, .null: break
    case .array, .string, .number, .boolean: isOdd = true
    }
  }

  /// A member of an element begins; the last of that name counts.
  mutating func name(isID: Bool) { self.isID = isID }

  /// The value of that member. Go's decoder leaves the id as it was where it is null.
  mutating func member(_ value: JSONValue) {
    guard isID else { return }
    switch value {
    case .number(let number?): id = number
    case .null: break
    case .object, .array, .string, .number(nil), .boolean: isOdd = true
    }
  }

  /// The element is over. One that names no extent has the id 0, as no extent has.
  mutating func elementEnds() {
    guard id != 0, !isOver, ids.last != id else { return }
    ids.append(id)
    guard ids.count == Self.mostKept else { return }
    ids.sort()
    var kept = 0
    for id in ids where kept == 0 || ids[kept - 1] != id {
      ids[kept] = id
      kept += 1
    }
    isOver = kept > ExtentSet.mostListed
    ids.removeLast(ids.count - (isOver ? 0 : kept))
  }

  /// All of them.
  func extents() -> ExtentSet { isOver ? .all : ExtentSet(ids) }

  /// All of these and the others.
  func extents(and other: ExtentList) -> ExtentSet { isOver || other.isOver ? .all : ExtentSet(ids + other.ids) }
}
