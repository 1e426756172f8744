internal import LinuxIO

/// The end of a reply that the delivery gate has set free, for as long as it takes to see whether the next reply is there to take it along.
struct OwedTail: ~Copyable {
  /// As long as the tail of a packet with the longest header that has no version list; longer ones go out alone. A read's headroom
  /// holds it, and a head that was carried over.
  static let capacity = 16

  private var bytes = InlineArray<16, UInt8>(repeating: 0)
  private(set) var count = 0

  init() {
    precondition(CarriedBytes.capacity + Self.capacity <= Reactor.readHeadroom, "a tail and a head must fit the headroom")
  }

  /// False where it is too long.
  mutating func take(_ tail: [UInt8]) -> Bool {
    guard count == 0, tail.count <= Self.capacity else { return false }
    for index in tail.indices { bytes[index] = tail[index] }
    count = tail.count
    return true
  }

  /// Moves the bytes to the start of `room`, and returns them there.
  mutating func drain(into room: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
    let length = min(count, room.count)
    for index in 0..<length { room[index] = bytes[index] }
    count = 0
    return UnsafeRawBufferPointer(rebasing: room[..<length])
  }
}
