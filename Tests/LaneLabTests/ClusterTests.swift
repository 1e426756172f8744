import CubeFSWire
import NetEndpoint
import Testing

@testable import LaneLab

@Suite struct RepairTaskTests {
  private func mark(_ extent: UInt64, _ size: Int64, _ source: String = "a") -> ExtentWatermark {
    ExtentWatermark(extent: extent, size: size, source: source)
  }

  @Test func aTaskSurvivesItsBody() {
    var task = RepairTask()
    task.created = [mark(1_025, 9)]
    task.repaired = [mark(1_025, 9), mark(1_026, 10, "127.0.2.3:17310")]
    task.tinyDeleteFileSize = 4_800_000
    task.leader = "127.0.2.2:17310"
    #expect(RepairTask(task.body()) == task)
    #expect(RepairTask(task.body(naming: 4))?.repaired.count == 8)
    #expect(RepairTask(Array("[]".utf8)) == nil)
  }

  @Test func theLargestCopyIsRight() {
    let tasks = RepairTask.prepare([[mark(1_025, 10), mark(1_026, 5)], [mark(1_025, 4)], []], isDeleted: { _ in false })
    #expect(tasks[0]?.repaired == [])
    #expect(tasks[1]?.created.map(\.extent) == [1_026])
    #expect(tasks[1]?.repaired.map(\.size) == [10, 5])
    #expect(tasks[2]?.created.map(\.extent) == [1_025, 1_026])
  }

  @Test func whoWasNotHeardAndWhatWasDeletedIsLeftAlone() {
    let tasks = RepairTask.prepare([[mark(1_025, 10), mark(1_026, 5)], nil, []], isDeleted: { $0 == 1_026 })
    #expect(tasks[1] == nil)
    #expect(tasks[2]?.repaired.map(\.extent) == [1_025])
  }

  @Test func tinyExtentsAreNotCreated() {
    let tasks = RepairTask.prepare([[mark(3, 10)], [], [mark(3, 0)]], isDeleted: { _ in false })
    #expect(tasks[1]?.created == [] && tasks[1]?.repaired == [])
    #expect(tasks[2]?.created == [] && tasks[2]?.repaired == [mark(3, 10)])
  }

  @Test(arguments: ["[1]", "{}", "[{}", "[[]]"]) func whatIsNoListOfExtentsFails(_ text: String) {
    #expect(ExtentWatermark.list(LabJSON(Array(text.utf8))) == nil)
  }
}

@Suite struct ReplyLedgerTests {
  private func reply(_ serial: UInt64, _ payload: [UInt8], reader: UInt8 = 0) -> LabPacket {
    var packet = LabPacket.request(0x09, partition: 7, extent: 1_025, payload: payload)
    packet.header.kernelOffset = serial
    packet.header.remainingFollowers = reader
    return packet
  }

  @Test func anEchoTellsItsOperation() {
    let ledger = ReplyLedger()
    let (one, two) = (ledger.nextSerial(), ledger.nextSerial())
    ledger.sends(reply(one, [1]), for: one)
    ledger.sends(reply(two, [1]), for: two)
    #expect(ledger.verdict(reply(one, [1]), for: one, at: 0) == .own)
    #expect(ledger.verdict(reply(one, [1]), for: two, at: 0) == .stale)
    #expect(ledger.verdict(reply(two, [2]), for: two, at: 0) == .wrongBytes)
    #expect(ledger.verdict(reply(two, [1]), for: two, at: 1) == .stale)
    #expect(ledger.isForeign(reply(one, []), to: two) && !ledger.isForeign(reply(two, []), to: two))
  }

  @Test func blocksThatAreAlikeAreToldApart() {
    let ledger = ReplyLedger()
    let key = ExtentKey(partition: 7, extent: 1_025)
    let (one, two) = (ledger.nextSerial(), ledger.nextSerial())
    let readers = (ledger.begin(one, key), ledger.begin(two, key))
    ledger.sends(reply(0, [5], reader: readers.0), for: one)
    ledger.sends(reply(0, [5], reader: readers.1), for: two)
    #expect(ledger.verdict(reply(0, [5], reader: readers.1), for: two, at: 0) == .own)
    #expect(ledger.verdict(reply(0, [5], reader: readers.0), for: two, at: 0) == .stale)
    #expect(ledger.verdict(reply(0, [5]), for: two, at: 0) == .stale)
  }
}

@Suite struct ReplicaStoreTests {
  private let plan = ClusterPlan(.decommission, release: .v3_3_0, seed: 3, number: 0)
  private let contents = Contents(seed: 3)

  /// A new replica of the first partition, repaired but for what a test does to it.
  private func store(deleted: Set<UInt64> = [], changing change: ((ExtentKey, [UInt8]) -> [UInt8])? = nil) throws -> ReplicaStore {
    let store = ReplicaStore(contents)
    let partition = plan.partitions[0]
    store.install(partition, whole: false)
    for (extent, size) in partition.extents where !deleted.contains(extent) {
      let key = ExtentKey(partition: partition.id, extent: extent)
      let bytes = ReplicaStore.right(key, at: 0, count: Int(size), contents)
      store.create(key)
      try store.append(change?(key, bytes) ?? bytes, to: key, at: 0)
    }
    for extent in partition.tinyExtents {
      let key = ExtentKey(partition: partition.id, extent: extent)
      let end = contents.tinyRuns(partition: partition.id, extent: extent).last?.end ?? 0
      try store.append(ReplicaStore.right(key, at: 0, count: Int(end), contents), to: key, at: 0)
    }
    return store
  }

  @Test func aWholeReplicaHasNoFault() throws {
    #expect(try store().faults(plan.partitions[0], deleted: []) == [])
    let whole = ReplicaStore(contents)
    whole.install(plan.partitions[0], whole: true)
    #expect(whole.faults(plan.partitions[0], deleted: []) == [])
  }

  @Test func oneByteIsSeen() throws {
    let found = try store { key, bytes in
      var bytes = bytes
      if key.extent == 1_027 { bytes[bytes.count - 1] ^= 1 }
      return bytes
    }
    #expect(found.faults(plan.partitions[0], deleted: []).count == 1)
  }

  @Test func whatIsMissingShortOrTooMuchIsSeen() throws {
    #expect(try store(deleted: [1_026]).faults(plan.partitions[0], deleted: []).count == 1)
    #expect(try store(deleted: [1_026]).faults(plan.partitions[0], deleted: [1_026]) == [])
    #expect(try store().faults(plan.partitions[0], deleted: [1_026]).count == 1)
    #expect(try store { $1.dropLast() }.faults(plan.partitions[0], deleted: []).count == plan.partitions[0].extents.count)
    let more = try store()
    more.create(ExtentKey(partition: plan.partitions[0].id, extent: 9_000))
    #expect(more.faults(plan.partitions[0], deleted: []).count == 1)
  }

  @Test func whoWaitsForADeleteSeesItOrItsDeadline() throws {
    let store = try store()
    let key = ExtentKey(partition: plan.partitions[0].id, extent: 1_026)
    #expect(!store.waitUntilDeleted(key, deadline: LabClock.nanoseconds))
    #expect(!store.waitUntilDeleted(key, deadline: LabClock.nanoseconds + 1_000_000))
    let thread = LabThread { store.delete(key) }
    #expect(store.waitUntilDeleted(key, deadline: LabClock.nanoseconds + 60_000_000_000))
    thread.join()
    #expect(!store.has(key) && store.isDeleted(key))
  }

  @Test func anAppendIsAtTheEndOrFails() throws {
    let store = try store()
    let key = ExtentKey(partition: plan.partitions[0].id, extent: 1_026)
    #expect(throws: ReplicaStore.Failure.self) { try store.append([1], to: key, at: 0) }
    store.delete(key)
    #expect(throws: ReplicaStore.Failure.self) { try store.append([1], to: key, at: 0) }
    #expect(store.ghosts(key.partition) == 0)
    store.create(key)
    #expect(store.ghosts(key.partition) == 1)
  }
}

@Suite struct ClusterPlanTests {
  @Test func theSameSeedIsTheSamePlan() {
    let one = ClusterPlan(.decommission, release: .v3_5_3, seed: 12, number: 1)
    let two = ClusterPlan(.decommission, release: .v3_5_3, seed: 12, number: 1)
    #expect(one.troubles == two.troubles && one.partitions.map(\.extents) == two.partitions.map(\.extents))
    #expect(one.troubles != ClusterPlan(.decommission, release: .v3_5_3, seed: 13, number: 1).troubles)
  }

  @Test(arguments: 0..<20 as Range<UInt64>) func clientsDeleteInTheMiddleOfReadsAndBeforeNotifies(_ seed: UInt64) {
    for release in [CubeFSRelease.v3_3_0, .v3_5_3] {
      let plan = ClusterPlan(.decommissionWithClients, release: release, seed: seed, number: 0)
      let early = plan.troubles.filter { $0.value == .deletedBeforeNotify }
      #expect(plan.hasClients && !early.isEmpty && early.keys.allSatisfy { plan.isVictim($0) }, "seed \(seed)")
      #expect(plan.troubles.keys.contains { plan.isVictim($0) && early[$0] == nil }, "seed \(seed)")
      // No replica is told to create a tiny extent.
      #expect(early.keys.allSatisfy { $0.extent > LabExtent.lastTiny }, "seed \(seed)")
      let other = ClusterPlan(.decommission, release: release, seed: seed, number: 0)
      #expect(!other.hasClients && !other.troubles.values.contains(.deletedBeforeNotify), "seed \(seed)")
    }
  }

  @Test func aListOfExtentsPassesForRecords() throws {
    for partition in 65_537..<65_637 as Range<UInt64> {
      let list = ClusterPlan.list(partition: partition)
      #expect(list.count % Int(ClusterPlan.recordLength) == 0)
      #expect(ExtentWatermark.list(LabJSON(list))?.count == 3)
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>) func eachReleaseMeetsItsOwnTroubles(_ seed: UInt64) {
    for (key, trouble) in ClusterPlan(.decommission, release: .v3_3_0, seed: seed, number: 0).troubles {
      if case .detached = trouble { Issue.record("v3.3.0 does not look whether \(key) is detached") }
    }
    let later = ClusterPlan(.decommission, release: .v3_5_3, seed: seed, number: 0)
    for (key, trouble) in later.troubles {
      if case .diskFull = trouble { Issue.record("v3.5.3 does not ask the disk before it reads \(key)") }
    }
    #expect(later.troubles.keys.contains { later.isVictim($0) })
  }
}

/// The judge of the two columns: each thing that may be wrong is a complaint.
@Suite struct ComparisonTests {
  private func report(_ change: (inout ClusterOracle.Findings, inout ClusterOracle.Findings) -> Void = { _, _ in }) -> LabReport {
    var direct = ClusterOracle.Findings()
    direct.stale = [.notify: 3]
    direct.repairsCompleted = 5
    var sidecar = ClusterOracle.Findings()
    (sidecar.repairsCompleted, sidecar.leftBehind, sidecar.deletesDone) = (5, 4, 2)
    change(&direct, &sidecar)
    var report = LabReport(scenario: "decommission-delete", seed: 1, rounds: 1)
    report.show(direct, sidecar)
    report.judge(direct, sidecar, victims: 2)
    return report
  }

  @Test func allAsItMustBe() {
    let report = report()
    #expect(report.ok && report.staleDirect == 3 && report.staleSidecar == 0)
    #expect(report.table.contains("stale replies accepted: notify"))
  }

  @Test func eachFaultIsAComplaint() {
    #expect(!report { direct, _ in direct.stale = [:] }.ok)
    #expect(!report { direct, _ in direct.started = 1 }.ok)
    #expect(!report { _, sidecar in sidecar.stale = [.sizes: 1] }.ok)
    #expect(!report { _, sidecar in sidecar.wrongBytes = 1 }.ok)
    #expect(!report { _, sidecar in sidecar.unparsed = ["unmarshal json": 1] }.ok)
    #expect(!report { _, sidecar in sidecar.refused = 1 }.ok)
    #expect(!report { _, sidecar in sidecar.started = 1 }.ok)
    #expect(!report { _, sidecar in sidecar.extentsWrong = 1 }.ok)
    #expect(!report { _, sidecar in sidecar.repairsCompleted = 0 }.ok)
    #expect(!report { _, sidecar in sidecar.leftBehind = 0 }.ok)
    #expect(!report { _, sidecar in sidecar.deletesDone = 1 }.ok)
  }
}

/// The judge of the conflict guard.
@Suite struct GuardJudgeTests {
  private func isAccepted(
    _ mode: LabGuardMode, ghosts: Int = 0, aborted: Int = 0, _ reasons: [String: Int] = [:], held: Int = 0, atLimit: Int = 0
  ) -> Bool {
    var sidecar = ClusterOracle.Findings()
    (sidecar.ghosts, sidecar.abortedRepairs) = (ghosts, aborted)
    var report = LabReport(scenario: "decommission-delete", seed: 1, rounds: 1)
    report.judge(mode, sidecar, SidecarLog.Conflicts(reasons: reasons, held: held, atLimit: atLimit))
    return report.ok
  }

  private let seen = ["delete-during-repair": 3]

  @Test func offShowsWhatGoesWrong() {
    #expect(isAccepted(.off, ghosts: 1, aborted: 1))
    #expect(!isAccepted(.off, aborted: 1))
    #expect(!isAccepted(.off, ghosts: 1))
    #expect(!isAccepted(.off, ghosts: 1, aborted: 1, seen))
  }

  @Test func detectTells() {
    #expect(isAccepted(.detect, seen))
    #expect(isAccepted(.detect, ghosts: 4, aborted: 5, seen))
    #expect(!isAccepted(.detect))
    #expect(!isAccepted(.detect, seen, held: 1))
    #expect(!isAccepted(.detect, seen, atLimit: 1))
  }

  @Test func serializeHoldsAndKeepsAllRight() {
    #expect(isAccepted(.serialize, seen, held: 3))
    #expect(isAccepted(.serialize, seen, held: 2, atLimit: 1))
    #expect(!isAccepted(.serialize, seen))
    #expect(!isAccepted(.serialize, ghosts: 1, seen, held: 3))
    #expect(!isAccepted(.serialize, aborted: 1, seen, held: 3))
  }

  @Test func itsFiguresAreInTableAndJSON() throws {
    var report = LabReport(scenario: "decommission-delete", seed: 1, rounds: 1)
    report.guardMode = .serialize
    var direct = ClusterOracle.Findings()
    direct.abortedRepairs = 9
    report.show(direct, .init(), .init(reasons: seen, held: 2, atLimit: 1, heldMicroseconds: 7_654_321, limitExample: "{the line}"))
    let json = try #require(LabJSON(Array(report.json.utf8)))
    #expect(json["guard"]?.text == "serialize")
    let columns = try #require(json["columns"])
    #expect(columns["abortedRepairs"]?["direct"]?.unsigned == 9 && columns["abortedRepairs"]?["sidecar"]?.unsigned == 0)
    let figures = ["conflicts", "held", "heldMilliseconds", "atLimit"].map { columns[$0]?["sidecar"]?.unsigned }
    #expect(figures == [3, 2, 7_654, 1])
    #expect(report.table.hasPrefix("scenario decommission-delete, guard serialize, seed 1"))
    #expect(report.table.contains("delete-during-repair 3") && report.table.contains("{the line}"))
  }
}

/// What the sidecar's log says of its gate.
@Suite struct GateLogTests {
  private func isAccepted(_ line: String, _ sabotage: LabSabotage? = nil) -> Bool {
    var report = LabReport(scenario: "decommission-delete", seed: 1, rounds: 1)
    report.judgeGate(SidecarLog(line), sabotage)
    return report.ok
  }

  @Test func aBlindSpotIsAComplaint() {
    #expect(isAccepted(#"{"event":"caller.slow-stream","alert":"caller.slow-stream"}"#))
    #expect(!isAccepted(#"{"event":"caller.blind","alert":"caller.blind"}"#))
    #expect(!isAccepted(#"{"event":"gate.disabled","alert":"gate.disabled"}"#))
    #expect(isAccepted(#"{"event":"gate.disabled","alert":"gate.disabled"}"#, .gate))
  }
}

/// A cluster over direct connections, in small.
@Suite struct ClusterPassTests {
  @Test func withoutTroublesNothingIsStale() throws {
    let seed = UInt64(5)
    let cluster = try Cluster(ClusterPlan(.repeatedNotify, release: .v3_5_3, seed: seed, number: 0, naming: 1), seed: seed)
    ClusterPass(cluster: cluster).run()
    cluster.stop()
    let found = cluster.oracle.findings
    #expect(found.staleAccepted == 0 && found.wrongBytes == 0 && found.lost == 0 && found.extentsWrong == 0, "seed \(seed)")
    #expect(found.outcomes == [.delivered: found.started] && found.retries == 0, "seed \(seed)")
    #expect(found.repairsCompleted == cluster.plan.partitions.reduce(0) { $0 + $1.extents.count }, "seed \(seed)")
  }

  /// Nobody holds the deletes here: some extents are created again, and some reads end in the middle.
  @Test(arguments: [CubeFSRelease.v3_3_0, .v3_5_3]) func deletesOfClientsSpoilRepairs(_ release: CubeFSRelease) throws {
    let seed = UInt64(7)
    let cluster = try Cluster(ClusterPlan(.decommissionWithClients, release: release, seed: seed, number: 0), seed: seed)
    ClusterPass(cluster: cluster).run()
    cluster.stop()
    let found = cluster.oracle.findings
    #expect(found.ghosts > 0 && found.abortedRepairs > 0 && found.deletesDone > 0, "seed \(seed)")
    #expect(found.wrongBytes == 0 && found.lost == 0 && found.stale[.deletion] == nil, "seed \(seed)")
  }

  @Test(arguments: [ClusterPlan.Story.decommission, .repeatedNotify]) func abandonedStreamsAreBelieved(_ story: ClusterPlan.Story) throws {
    let seed = UInt64(6)
    let cluster = try Cluster(ClusterPlan(story, release: .v3_3_0, seed: seed, number: 0), seed: seed)
    ClusterPass(cluster: cluster).run()
    cluster.stop()
    let found = cluster.oracle.findings
    #expect(found.staleAccepted > 0 && found.leftBehind > 0, "seed \(seed)")
    #expect(found.wrongBytes == 0 && found.lost == 0, "seed \(seed)")
  }
}
