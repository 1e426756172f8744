/// Values by address prefix: of all prefixes that hold an address, the longest decides.
public struct PrefixTable<Value> {
  private var values: [AddressPrefix: Value] = [:]
  /// The lengths in use, longest first.
  private var lengths: [UInt8] = []

  /// An empty table.
  public init() {}

  /// How many prefixes there are.
  public var count: Int { values.count }

  /// All prefixes with their values, longest first, then by address.
  public var entries: [(prefix: AddressPrefix, value: Value)] {
    values.map { (prefix: $0.key, value: $0.value) }
      .sorted { ($1.prefix.length, $0.prefix.address) < ($0.prefix.length, $1.prefix.address) }
  }

  /// Adds a prefix.
  /// - Returns: false where the table has it already; the table then stays as it is.
  public mutating func insert(_ value: Value, for prefix: AddressPrefix) -> Bool {
    guard values[prefix] == nil else { return false }
    values[prefix] = value
    if let place = lengths.firstIndex(where: { $0 <= prefix.length }) {
      if lengths[place] != prefix.length { lengths.insert(prefix.length, at: place) }
    } else {
      lengths.append(prefix.length)
    }
    return true
  }

  /// The value of the longest prefix that holds the address (host byte order); nil where none does.
  public func value(for address: UInt32) -> Value? {
    for length in lengths {
      if let value = values[AddressPrefix(around: address, length: length)] { return value }
    }
    return nil
  }
}

extension PrefixTable: Sendable where Value: Sendable {}
extension PrefixTable: Equatable where Value: Equatable {}
