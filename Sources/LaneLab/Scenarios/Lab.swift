internal import Glibc
internal import NetEndpoint

/// What the lab is to do.
public struct LabOptions: Sendable {
  /// Which scenario.
  public var scenario: LabScenario
  /// Everything random follows from it.
  public var seed: UInt64
  /// How many times the scenario's amount of work; where callers leave operations, how many of these.
  public var rounds: Int
  /// What the sidecar is told to leave out, to see the lab fail.
  public var sabotage: LabSabotage?
  /// Threads that keep the processors busy meanwhile, where callers leave operations.
  public var stress: Int
  /// Another sidecar stands before each datanode, and the hop between is TLS.
  public var tls: Bool
  /// In the scenario decommission-delete: clients delete, each datanode is behind a sidecar of its own, and this is `guard.mode` of those;
  /// nil: one sidecar, with its defaults.
  public var guardMode: LabGuardMode?
  /// The directory in which the sidecar leaves evidence of what it drops; nil: it leaves none.
  public var evidence: String?
  /// Where each datanode is, in a cluster scenario, behind a sidecar that is there already; none: all are on this host, and the lab
  /// starts its sidecar itself.
  public var hosts: [LabHost] = []
  /// The program whose `run` is the sidecar.
  public var program: String

  /// The default scenario, once, by the program that is running.
  public init(
    scenario: LabScenario = .default, seed: UInt64? = nil, rounds: Int? = nil, sabotage: LabSabotage? = nil, stress: Int = 0,
    tls: Bool = false, program: String? = nil
  ) {
    self.scenario = scenario
    self.seed = seed ?? UInt64(truncatingIfNeeded: LabClock.nanoseconds) % 1_000_000
    self.rounds = rounds ?? scenario.abandons?.defaultRounds ?? 1
    self.sabotage = sabotage
    self.stress = stress
    self.tls = tls
    self.program = program ?? Self.ownPath
  }

  /// Read here and not in the child, whose own `/proc/self/exe` it would be.
  private static var ownPath: String {
    var path = [UInt8](repeating: 0, count: 4_096)
    let count = path.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
    return count > 0 ? String(decoding: path[..<count], as: UTF8.self) : "/proc/self/exe"
  }
}

/// What the sidecar can be told to leave out, so that a run of the lab must fail.
public enum LabSabotage: String, CaseIterable, Sendable {
  /// It judges nothing.
  case judge
  /// It does not give the caller's ReqID back.
  case restore
  /// It completes replies without looking at their reader.
  case gate
  /// Nothing: in the scenario tls-rollout the hosts go to strict before their peers take TLS.
  case order
}

/// What the sidecars are told to do about operations that conflict, by the names of the configuration.
public enum LabGuardMode: String, CaseIterable, Sendable {
  /// Nothing.
  case off
  /// To tell of them.
  case detect
  /// To hold the later one.
  case serialize
}

/// A named course of events.
public enum LabScenario: String, CaseIterable, Sendable {
  /// Every class, every fault, direct and through the sidecar.
  case `default`
  /// Two callers whose ReqIDs are equal, at once.
  case sameReqIDs = "same-reqids"
  /// Connections of every class held open and counted.
  case classes
  /// Hundreds of requests in flight on one connection, and an error that overtakes.
  case pipeline
  /// Datanodes that die in mid-stream and come back.
  case peerKill = "peer-kill"
  /// Callers that die in mid-stream.
  case callerKill = "caller-kill"
  /// Callers leave streams at every possible place.
  case abandonEverywhere = "abandon-everywhere"
  /// Callers leave streams after the request.
  case abandonBeforeFirstRead = "abandon-before-first-read"
  /// Senders of tiny-delete records that go on where their reader stops.
  case tinyDeleteOverread = "tiny-delete-overread"
  /// The reply after the last one of a SnapshotExtentRepairRead.
  case snapshotExtraReply = "snapshot-extra-reply"
  /// The story of CubeFS issue 3337, directly connected and through the sidecar.
  case decommissionDelete = "decommission-delete"
  /// Partitions that are detached while they are repaired.
  case detachedPartition = "detached-partition"
  /// Each extent named four times in a notify.
  case duplicateNotify = "duplicate-notify"
  /// Repairers that read once in ten seconds.
  case slowRepair = "slow-repair"
  /// TLS comes to three hosts, one after the other, under load.
  case tlsRollout = "tls-rollout"

  /// How callers leave replies unread in it; nil where that is not its subject.
  var abandons: AbandonPlan? { AbandonPlan(rawValue: rawValue) }

  /// How many hosts `LabOptions.hosts` may name; nil where the scenario knows nothing of hosts.
  public var hostCount: Int? {
    switch self {
    case .decommissionDelete, .detachedPartition, .duplicateNotify: ClusterPlan.nodeCount
    default: nil
    }
  }

  /// The most rounds that make sense.
  public var mostRounds: Int { abandons == nil ? 1_000 : 100_000_000 }

  /// One line for `--list`.
  public var summary: String {
    switch self {
    case .default: "every class and every fault, direct and through the sidecar"
    case .sameReqIDs: "two callers with equal ReqIDs at once: each gets its own answers"
    case .classes: "connections per class, as the datanodes and the kernel count them"
    case .pipeline: "hundreds in flight on one connection, classes mixed, an error that overtakes"
    case .peerKill: "datanodes reset everything in mid-stream and come back"
    case .callerKill: "callers vanish in mid-stream"
    case .abandonEverywhere: "callers leave streams anywhere, pool the connection and believe what they read next"
    case .abandonBeforeFirstRead: "the same, between the request and the first read only"
    case .tinyDeleteOverread: "the sender of tiny-delete records goes on where its reader stops"
    case .snapshotExtraReply: "the reply after the last one of a snapshot read, and its doubled error"
    case .decommissionDelete: "partitions repaired while a node is decommissioned, and deletes of the very extents in flight"
    case .detachedPartition: "partitions detached while they are repaired (v3.5.3)"
    case .duplicateNotify: "each extent named four times in a notify: three of four repairs fail in mid-stream"
    case .slowRepair: "repairers that read once in 10 s (played faster): each finishes, an alert tells of it, nothing is reset"
    case .tlsRollout: "TLS comes to three hosts one by one under load, off to strict: no caller sees an error for it"
    }
  }
}

/// Scripted datanodes, faithful callers, the sidecar between them, and an oracle that believes nobody.
public enum Lab {
  /// Runs a scenario.
  /// - Parameters:
  ///   - options: what to run.
  ///   - progress: gets a line now and then.
  /// - Returns: what was found; a lab that could not even run says so in its complaints.
  public static func run(_ options: LabOptions, progress: @escaping @Sendable (String) -> Void) -> LabReport {
    let start = LabClock.nanoseconds
    progress("scenario \(options.scenario.rawValue), seed \(options.seed), rounds \(options.rounds)")
    var report = LabReport(scenario: options.scenario.rawValue, seed: options.seed, rounds: options.rounds)
    report.guardMode = options.guardMode
    report.evidence = options.evidence
    do {
      switch options.scenario {
      case .default: try DefaultScenario(options: options, progress: progress).run(&report)
      case .sameReqIDs: try SameReqIDsScenario(options: options).run(&report)
      case .classes: try ClassesScenario(options: options).run(&report)
      case .pipeline: try PipelineScenario(options: options).run(&report)
      case .peerKill: try KillScenario(options: options, progress: progress).runPeerKill(&report)
      case .callerKill: try KillScenario(options: options, progress: progress).runCallerKill(&report)
      case .abandonEverywhere, .abandonBeforeFirstRead, .tinyDeleteOverread, .snapshotExtraReply:
        guard let plan = options.scenario.abandons else { break }
        try AbandonScenario(plan: plan, options: options, progress: progress).run(&report)
      case .decommissionDelete:
        let story: ClusterPlan.Story = options.guardMode == nil ? .decommission : .decommissionWithClients
        try ClusterScenario(options: options, story: story, progress: progress).run(&report)
      case .detachedPartition: try ClusterScenario(options: options, story: .detached, progress: progress).run(&report)
      case .duplicateNotify: try ClusterScenario(options: options, story: .repeatedNotify, progress: progress).run(&report)
      case .slowRepair: try SlowRepairScenario(options: options, progress: progress).run(&report)
      case .tlsRollout: try RolloutScenario(options: options, progress: progress).run(&report)
      }
    } catch {
      report.complaints.append("the lab could not go on: \(error)")
    }
    report.seconds = Double(LabClock.nanoseconds - start) / 1_000_000_000
    return report
  }

  /// Is the callers of a scenario in which they leave operations: what `run` starts as a process of its own.
  /// - Parameter targets: addresses with commas between, one for each release that the scenario has.
  /// - Returns: what they found, as one line of JSON; nil where scenario and targets do not go together.
  public static func runCallers(_ options: LabOptions, targets: String) -> String? {
    let endpoints = targets.split(separator: ",").compactMap { Endpoint(String($0)) }
    guard let plan = options.scenario.abandons, endpoints.count == plan.releases.count else { return nil }
    return AbandonCallers(plan: plan, targets: endpoints, seed: options.seed, rounds: options.rounds).run().json
  }
}
