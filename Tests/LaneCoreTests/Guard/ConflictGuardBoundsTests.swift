import LaneCore
import Testing

/// What hostile or broken peers can make the conflict guard keep.
@Suite struct ConflictGuardBoundsTests {
  private func task(_ number: Int, _ extents: ExtentSet, created: ExtentSet) -> ConflictGuard.Request {
    let operation = LaneEvent.Operation(
      .repairControl, opcode: 8, stamp: Int64(number), callerReqID: 0, partitionID: 7, extentID: 0, extentOffset: 0)
    return .init(operation, .init(owner: nil, partition: 7, role: .repairTask), extents, created: created)
  }

  /// A million ids are known one by one; of tasks that come then it is known that they may touch anything.
  @Test func extentsOfTasksAreBounded() {
    var machine = ConflictGuard(mode: .serialize)
    let extents = ExtentSet((0..<UInt64(60_000)).map { $0 + 1025 })
    let tickets = (0..<60).map { machine.arrive(task($0, extents, created: extents), now: 0).ticket }
    #expect(machine.leftovers <= 1_048_576 + 200)
    let operation = LaneEvent.Operation(
      .deletion, opcode: 2, stamp: 99, callerReqID: 0, partitionID: 7, extentID: 5, extentOffset: 0)
    let delete = machine.arrive(.init(operation, .init(owner: nil, partition: 7, role: .delete), ExtentSet(5)), now: 1)
    #expect(delete.isHeld)
    let released = tickets.flatMap { machine.end($0, now: 2) ?? [] }
    #expect(released == [delete.ticket])
    #expect(machine.end(delete.ticket, now: 3) == nil)
    #expect(machine.leftovers == 0)
  }
}
