/// The registered handlers, by slot. A slot's generation grows each time it is freed, so that an event that was already taken from the kernel
/// for a closed descriptor cannot reach the handler that has the slot now.
struct HandlerTable: ~Copyable {
  struct Slot {
    var handler: Unmanaged<EventHandler>?
    var generation: UInt32
    var interest: ReadyEvents
    var suspended: Bool
    var nextFree: UInt32
  }

  private var slots: UnsafeMutablePointer<Slot>
  private var capacity: Int
  private var firstFree: UInt32
  private(set) var used = 0

  private static let endOfList = UInt32.max

  init() {
    capacity = 0
    slots = .allocate(capacity: 1)
    firstFree = HandlerTable.endOfList
    grow()
  }

  private mutating func grow() {
    let larger = max(64, capacity * 2)
    let memory = UnsafeMutablePointer<Slot>.allocate(capacity: larger)
    memory.moveInitialize(from: slots, count: capacity)
    slots.deallocate()
    slots = memory
    for index in stride(from: larger - 1, through: capacity, by: -1) {
      (slots + index).initialize(
        to: Slot(handler: nil, generation: 1, interest: [], suspended: false, nextFree: firstFree))
      firstFree = UInt32(truncatingIfNeeded: index)
    }
    capacity = larger
  }

  mutating func insert(_ handler: Unmanaged<EventHandler>, _ interest: ReadyEvents) -> Registration {
    if firstFree == HandlerTable.endOfList { grow() }
    let index = firstFree
    let slot = slots + Int(index)
    firstFree = slot.pointee.nextFree
    slot.pointee.handler = handler
    slot.pointee.interest = interest
    slot.pointee.suspended = false
    used += 1
    return Registration(slot: index, generation: slot.pointee.generation)
  }

  /// The live slot of a registration, nil where it is gone.
  @inline(__always)
  subscript(registration: Registration) -> UnsafeMutablePointer<Slot>? {
    let index = Int(registration.slot)
    guard index < capacity else { return nil }
    let slot = slots + index
    guard slot.pointee.generation == registration.generation, slot.pointee.handler != nil else { return nil }
    return slot
  }

  mutating func remove(_ registration: Registration) -> Unmanaged<EventHandler>? {
    guard let slot = self[registration] else { return nil }
    let handler = slot.pointee.handler
    slot.pointee.handler = nil
    slot.pointee.generation &+= 1
    slot.pointee.nextFree = firstFree
    firstFree = registration.slot
    used -= 1
    return handler
  }

  /// Releases every handler and the memory. Nothing may be called afterwards.
  mutating func destroy() {
    for index in 0..<capacity { slots[index].handler?.release() }
    slots.deallocate()
    slots = .allocate(capacity: 1)
    capacity = 0
  }

  deinit { slots.deallocate() }
}

extension Registration {
  /// What the kernel carries for us in `epoll_data`.
  @inline(__always)
  var token: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}
