import CubeFSWire
import Glibc
import Testing

/// Operations on one extent that must not run at the same time, through the program.
@Suite struct ConflictGuardTests {
  typealias Stage = GuardStage

  /// PROTOCOL.md section 7, "delete / repair at the destination": the delete comes after the repair.
  @Test func aDeleteWaitsForTheRepairOfItsExtent() throws {
    let stage = try Stage(peer: [0x09])
    let repair = try stage.runRepair()
    let client = try stage.client()
    client.send(Stage.delete())
    stage.expectHeld(1)
    try stage.passes()
    #expect(!stage.datanode.opcodes.contains(0x02))
    let hold = try HTTP.get(stage.metrics, "/holds").text
    #expect(hold.contains("\"opcode\":\"OpMarkDelete\"") && hold.contains("\"waitsFor\":{"), "\(hold)")
    #expect(hold.contains("\"opcode\":\"OpExtentRepairRead\"") && hold.contains("\"reason\":\"delete-during-repair\""), "\(hold)")
    // Another extent's goes on.
    #expect(try stage.client().ask(Stage.delete(1_026)) == Exemplar.reply(to: Stage.delete(1_026)))
    stage.endRepair(repair)
    #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete()))
    let line = try #require(try stage.sidecar.waitFor("conflict.held").first)
    #expect(line["reason"] == "delete-during-repair" && line["direction"] == "inbound" && line["opcode"] == "OpMarkDelete")
    #expect(line["conflictsWith"] != nil && line["conflictsWith"] != line["operation"] && line["alert"] == nil)
    try stage.stop()
    #expect(stage.sidecar.log("conflict.held").count == 1 && stage.sidecar.log("conflict.detected").isEmpty)
  }

  /// The other way round: the repair comes after the delete that runs.
  @Test func aRepairWaitsForADeleteThatRuns() throws {
    let stage = try Stage(datanode: [0x02])
    let client = try stage.client()
    client.send(Stage.delete())
    #expect(eventually { stage.datanode.opcodes == [0x02] })
    let repair = try stage.caller()
    repair.send(Stage.read())
    stage.expectHeld(1)
    #expect(stage.peer.opcodes.isEmpty)
    stage.datanode.answer(0x02)
    #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete()))
    #expect(repair.receivePacket() == Exemplar.reply(to: Stage.read()))
    #expect(try stage.sidecar.waitFor("conflict.held").first?["direction"] == "outbound")
    let accounting = try stage.stop()
    #expect(accounting.delivered == 2 && accounting.started == 2)
  }

  /// "delete / 09 at the source", both ways; a delete that is answered only after its followers holds no read.
  @Test func readsOfOthersAndDeletes() throws {
    let stage = try Stage(datanode: [0x09])
    let reader = try stage.client()
    reader.send(Stage.read())
    #expect(eventually { stage.datanode.opcodes == [0x09] })
    let client = try stage.client()
    client.send(Stage.delete())
    stage.expectHeld(1)
    stage.datanode.hold(0x02)
    stage.datanode.answer(0x09)
    #expect(reader.receivePacket() == Exemplar.reply(to: Stage.read()))
    #expect(eventually { stage.datanode.opcodes == [0x09, 0x02] })
    reader.send(Stage.read(reqID: 32))
    stage.expectHeld(1)
    stage.datanode.answer(0x02)
    #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete()))
    #expect(reader.receivePacket() == Exemplar.reply(to: Stage.read(reqID: 32)))
    #expect(try stage.sidecar.waitFor("conflict.held", reason: "delete-during-repair-read", count: 2).count == 2)
    stage.datanode.hold(0x02)
    client.send(Stage.delete(reqID: 23, followers: 2))
    #expect(eventually { stage.datanode.opcodes.count == 4 })
    #expect(try stage.client().ask(Stage.read(reqID: 33)) == Exemplar.reply(to: Stage.read(reqID: 33)))
    stage.datanode.answer(0x02)
    #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete(reqID: 23, followers: 2)))
    try stage.stop()
  }

  /// "delete, then 08 that names the extent": from the leader's question to the answer to its task no delete goes in between.
  @Test func aDeleteWaitsForTheRoundAndItsTask() throws {
    let stage = try Stage(datanode: [0x08])
    let leader = try stage.client()
    #expect(leader.ask(Stage.watermarks()) == Exemplar.reply(to: Stage.watermarks()))
    let batch = Stage.batch([1_030, Stage.extent, 1_027])
    let client = try stage.client()
    client.send(batch)
    stage.expectHeld(1)
    let task = Stage.task(creating: [Stage.extent], repairing: [])
    leader.send(task)
    #expect(eventually { stage.datanode.opcodes == [0x07, 0x08] })
    try stage.passes()
    #expect(try stage.held() == 1)
    // The repair that the task leads to goes past the delete.
    #expect(try stage.caller().ask(Stage.read()) == Exemplar.reply(to: Stage.read()))
    #expect(try HTTP.get(stage.metrics, "/holds").text.contains("\"reason\":\"delete-during-repair-task\""))
    stage.endTask(task, at: stage.datanode, leader)
    #expect(client.receivePacket() == Exemplar.reply(to: batch))
    #expect(stage.datanode.opcodes.filter { $0 != 0x10 } == [0x07, 0x08, 0x75])
    try stage.stop()
  }

  /// Who answers a task has done its repairs: a reader that leaves replies unread is in no delete's way until its connection is used again.
  @Test func aTasksAnswerEndsItsRepairs() throws {
    let stage = try Stage(datanode: [0x08], peer: [0x09])
    let (leader, task) = stage.runTask(at: stage.datanode, from: try stage.client())
    let repair = try stage.runRepair()
    let client = try stage.client()
    client.send(Stage.delete())
    stage.expectHeld(1)
    stage.endTask(task, at: stage.datanode, leader)
    #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete()))
    stage.endRepair(repair)
    try stage.stop()
    #expect(stage.sidecar.log("conflict.limit").isEmpty)
    #expect(stage.sidecar.log("conflict.held").map { $0["reason"] } == ["delete-during-repair-task"])
  }

  /// A task comes too late for the guard: it is never held, and told of.
  @Test(arguments: [true, false]) func aTaskThatBringsBackTheDeadIsAnAlert(runs: Bool) throws {
    let stage = try Stage(datanode: runs ? [0x02] : [])
    let client = try stage.client()
    client.send(Stage.delete())
    #expect(eventually { stage.datanode.opcodes == [0x02] })
    if !runs { #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete())) }
    let task = Stage.task(creating: [1_100, Stage.extent], repairing: [])
    #expect(try stage.client().ask(task) == Exemplar.reply(to: task))
    let line = try #require(try stage.sidecar.waitFor("conflict.detected").first)
    #expect(line["reason"] == "ghost-extent" && line["severity"] == "warning" && line["opcode"] == "OpNotifyReplicasToRepair")
    stage.datanode.answer(0x02)
    if runs { #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete())) }
    // One that names it among those to be repaired only creates nothing.
    let other = Stage.task(creating: [1_100], repairing: [Stage.extent], reqID: 52)
    #expect(try stage.client().ask(other) == Exemplar.reply(to: other))
    try stage.stop()
    #expect(stage.sidecar.log("conflict.detected").count == 1)
  }

  /// The same on the way to a peer: its extents, its tasks, whether or not a sidecar stands there.
  @Test func aPeersExtentsAreGuardedOutbound() throws {
    let stage = try Stage(peer: [0x08])
    let (leader, task) = stage.runTask(at: stage.peer, from: try stage.caller())
    let follower = try stage.caller()
    // A pipeline: what comes before goes on, what comes behind waits, too.
    let pipeline = [Stage.delete(1_030, reqID: 1), Stage.delete(Stage.extent, reqID: 2), Stage.delete(1_031, reqID: 3)]
    follower.send(pipeline.flatMap(\.bytes))
    #expect(follower.receivePacket() == Exemplar.reply(to: pipeline[0]))
    stage.expectHeld(1)
    // The local datanode's own extents are others.
    #expect(try stage.client().ask(Stage.delete()) == Exemplar.reply(to: Stage.delete()))
    #expect(stage.peer.opcodes == [0x08, 0x02])
    stage.endTask(task, at: stage.peer, leader)
    #expect(follower.receivePacket() == Exemplar.reply(to: pipeline[1]))
    #expect(follower.receivePacket() == Exemplar.reply(to: pipeline[2]))
    try stage.stop()
  }

  /// At the limit of two seconds it goes on all the same.
  @Test func atTheLimitADeleteGoesOn() throws {
    let stage = try Stage(peer: [0x09])
    let repair = try stage.runRepair()
    let begun = ContinuousClock.now
    #expect(try stage.client().ask(Stage.delete()) == Exemplar.reply(to: Stage.delete()))
    #expect(ContinuousClock.now - begun >= .seconds(2))
    let line = try #require(try stage.sidecar.waitFor("conflict.limit").first)
    #expect(line["severity"] == "warning" && line["action"] == "forwarded" && line["reason"] == "delete-during-repair")
    #expect(line["observed"]?.hasPrefix("OpExtentRepairRead, running for 2.") == true, "\(line.text)")
    stage.endRepair(repair)
    try stage.stop()
  }

  /// Or its caller is told to try again; the datanode never sees it.
  @Test func atTheLimitADeleteIsRefused() throws {
    let stage = try Stage(atLimit: "refuse", datanode: [0x08])
    let (leader, task) = stage.runTask(at: stage.datanode, from: try stage.client())
    let request = Stage.delete()
    let client = try stage.client()
    client.send(Stage.delete(1_040, reqID: 20).bytes + request.bytes)
    #expect(client.receivePacket() == Exemplar.reply(to: Stage.delete(1_040, reqID: 20)))
    let answer = try #require(client.receivePacket())
    #expect(answer.isBusyReply(to: request), "\(answer)")
    #expect(client.receiveToEnd().ending == .end)
    #expect(try stage.sidecar.waitFor("conflict.limit").first?["action"] == "error-reply")
    stage.endTask(task, at: stage.datanode, leader)
    #expect(stage.datanode.opcodes == [0x08, 0x02])
    try stage.stop()
  }

  /// Outbound the connection goes on: a repair that was refused is a repair that failed.
  @Test func atTheLimitAnOutboundDeleteIsRefused() throws {
    let stage = try Stage(atLimit: "refuse", peer: [0x08])
    let (leader, task) = stage.runTask(at: stage.peer, from: try stage.caller())
    let follower = try stage.caller()
    follower.send(Stage.delete().bytes + Stage.delete(1_041, reqID: 22).bytes)
    let answer = try #require(follower.receivePacket())
    #expect(answer.isBusyReply(to: Stage.delete()), "\(answer)")
    #expect(follower.receivePacket() == Exemplar.reply(to: Stage.delete(1_041, reqID: 22)))
    #expect(stage.peer.opcodes == [0x08, 0x02])
    stage.endTask(task, at: stage.peer, leader)
    try stage.stop()
  }

  @Test func detectTellsAndHoldsNothing() throws {
    let stage = try Stage("detect", peer: [0x09])
    let repair = try stage.runRepair()
    #expect(try stage.client().ask(Stage.delete()) == Exemplar.reply(to: Stage.delete()))
    let line = try #require(try stage.sidecar.waitFor("conflict.detected").first)
    #expect(line["reason"] == "delete-during-repair" && line["alert"] == "conflict.detected" && line["action"] == "forwarded")
    stage.endRepair(repair)
    try stage.stop()
    #expect(stage.sidecar.log("conflict.detected").count == 1 && stage.sidecar.log("conflict.held").isEmpty)
  }

  @Test func offDoesNothing() throws {
    let stage = try Stage("off", peer: [0x09])
    let repair = try stage.runRepair()
    #expect(try stage.client().ask(Stage.delete()) == Exemplar.reply(to: Stage.delete()))
    stage.endRepair(repair)
    try stage.sidecar.stop()
    #expect(stage.sidecar.log("conflict.detected").isEmpty && stage.sidecar.log("conflict.held").isEmpty)
  }

  /// Who gives up while it is held leaves the queue, and the datanode never sees what it asked for.
  @Test(arguments: [true, false]) func whoLeavesIsForgotten(byReset: Bool) throws {
    let stage = try Stage(datanode: [0x08])
    let (leader, task) = stage.runTask(at: stage.datanode, from: try stage.client())
    var client: StreamSocket? = try stage.client()
    client?.send(Stage.batch([Stage.extent]))
    stage.expectHeld(1)
    if byReset { client?.resetOnClose() }
    client = nil
    #expect(eventually(within: .seconds(20)) { (try? stage.held()) == 0 })
    stage.endTask(task, at: stage.datanode, leader)
    #expect(stage.datanode.opcodes == [0x08])
    let accounting = try stage.stop()
    #expect(accounting.abandoned == 1 && accounting.delivered == 1)
  }

  /// A body of many reads: its last bytes are what is held.
  @Test func aBodyLargerThanAReadWaitsAtItsEnd() throws {
    let stage = try Stage(datanode: [0x08])
    let (leader, task) = stage.runTask(at: stage.datanode, from: try stage.client())
    let batch = Stage.batch(Array(2_000..<12_000) + [Stage.extent])
    let next = Stage.delete(1_050, reqID: 60)
    let client = try stage.client()
    let sender = BlockingThread { client.send(batch.bytes + next.bytes) }
    stage.expectHeld(1)
    stage.endTask(task, at: stage.datanode, leader)
    #expect(client.receivePacket() == Exemplar.reply(to: batch))
    #expect(client.receivePacket() == Exemplar.reply(to: next))
    sender.join()
    let isUnchanged = stage.datanode.seen.now.dropFirst() == [batch, next]
    #expect(isUnchanged)
    try stage.stop()
  }

  /// A body that does not parse is passed on, told of, and conflicts with nothing.
  @Test func aBodyThatDoesNotParseIsPassedOn() throws {
    let stage = try Stage(datanode: [0x08])
    let (leader, task) = stage.runTask(at: stage.datanode, from: try stage.client())
    var batch = Stage.batch([Stage.extent])
    batch.payload[0] = UInt8(ascii: "{")
    #expect(try stage.client().ask(batch) == Exemplar.reply(to: batch))
    #expect(try stage.sidecar.waitFor("delete.unreadable").first?["alert"] == "delete.unreadable")
    stage.endTask(task, at: stage.datanode, leader)
    try stage.stop()
  }

  /// The master takes a partition away on which operations run: told of, never held.
  @Test func aPartitionThatGoesIsToldOf() throws {
    let stage = try Stage(peer: [0x09])
    let repair = try stage.runRepair()
    let removal = Exemplar.request(0x61, reqID: 70, partition: Stage.partition)
    #expect(try stage.client().ask(removal) == Exemplar.reply(to: removal))
    #expect(try stage.sidecar.waitFor("conflict.detected").first?["reason"] == "partition-removal")
    stage.endRepair(repair)
    try stage.stop()
  }

  /// On its way to a peer, too; and when it is over the guard has forgotten it.
  @Test func aRemovalIsForgotten() throws {
    let stage = try Stage()
    for (number, opcode) in [UInt8(0x61), 0x6B].enumerated() {
      let removal = Exemplar.request(opcode, reqID: Int64(71 + number), partition: Stage.partition)
      #expect(try stage.caller().ask(removal) == Exemplar.reply(to: removal))
      #expect(try stage.client().ask(removal) == Exemplar.reply(to: removal))
    }
    try stage.stop()
  }
}

extension WirePacket {
  /// Whether this is the sidecar's `OpAgain` to that request.
  fileprivate func isBusyReply(to request: WirePacket) -> Bool {
    header.resultCode.rawValue == 0xF9 && header.opcode == request.header.opcode && header.reqID == request.header.reqID
      && header.partitionID == request.header.partitionID && header.extentID == request.header.extentID
      && header.extentOffset == request.header.extentOffset && header.crc == request.header.crc && header.argLength == 0
      && String(decoding: payload, as: UTF8.self).contains("try again")
  }
}
