internal import Glibc
internal import NetEndpoint

/// TLS comes to three hosts, one host after the other, while callers of each work with the datanodes of all, and clients without a
/// sidecar with each: nobody may see an I/O error or an error reply for it.
struct RolloutScenario {
  /// How far one host is.
  enum Stage: String, CaseIterable {
    case off, permissive, prefer, strictOutbound, strictInbound

    /// What its section `tls` says beside the certificates.
    var directions: String {
      let outbound = self == .off || self == .permissive ? "off" : self == .prefer ? "prefer" : "strict"
      let inbound =
        switch self {
        case .off: "{mode: off}"
        case .strictInbound: "{mode: strict, requireFrom: [\(RolloutScenario.hosts)/32], others: plain}"
        default: "{mode: permissive}"
        }
      return "  outbound: {mode: \(outbound)}\n  inbound: \(inbound)\n"
    }
  }

  /// The hosts' own address, from which their sidecars dial.
  private static let hosts = "127.0.0.1"
  /// The address of the clients.
  private static let clients = Endpoint(address: 0x7F00_0901, port: 0)
  private static let operationsEach = 40
  private static let patience: Int64 = 60_000_000_000

  let options: LabOptions
  let progress: @Sendable (String) -> Void

  /// In which order each host goes through them.
  private var stages: [Stage] { options.sabotage == .order ? [.off, .strictOutbound] : Stage.allCases }

  func run(_ report: inout LabReport) throws {
    let world = try LabWorld(seed: options.seed)
    let directory = try LabDirectory()
    let identity = try directory.makeIdentity(options.program)
    let hosts = try HostSidecar.start(
      options.program, directory, before: world.endpoints, settings: identity + stages[0].directions)
    let doors = hosts.map(\.door)

    let load = Load(world, hosts.map(\.listeners), doors, from: Self.clients, options.seed, Self.operationsEach * options.rounds)
    load.start(progress)
    do {
      for stage in stages {
        for host in hosts {
          if stage != stages[0] { try host.load(identity + stage.directions) }
          try load.waitForTurn(Self.patience)
        }
        progress("every host is at \(stage.rawValue): \(load.findings.started) operations so far")
      }
    } catch {
      report.complaints.append("\(error)")
    }
    load.stop()

    let findings = load.findings
    report.add(findings)
    report.expectNoFailure(findings)
    let failed = findings.failedOperations.count
    report.notes.append(
      "I/O errors and error replies for which no datanode had a reason, as the callers counted them: \(failed)"
        + (failed == 0 ? "" : " (\(findings.failureNotes.joined(separator: "; ")))"))
    if options.sabotage == nil { for door in doors { expectRefused(door, &report) } }
    for host in hosts {
      let log = report.expectOrderlyEnd(of: host)
      // One for the attempt in plain above.
      let refused = log.events["tls.refused"] ?? 0
      report.expect(refused <= 1, "host \(host.number): \(refused) connections were refused for TLS")
      report.expect(log.events["tls.downgraded"] == nil, "host \(host.number) spoke plain to a peer that takes TLS")
    }
    world.stop()
    if report.ok { directory.remove() } else { report.notes.append("the sidecars' configurations and logs are in \(directory.path)") }
  }

  /// At the end, plain from a host's address is not served.
  private func expectRefused(_ door: Endpoint, _ report: inout LabReport) {
    let answer: String
    do throws(LabIOError) {
      let socket = try LabSocket.connect(to: door)
      defer { socket.close() }
      try socket.write(LabPacket.request(0x10, partition: 1 << 40).bytes, deadline: LabClock.nanoseconds + 5_000_000_000)
      _ = try socket.read(1, deadline: LabClock.nanoseconds + 5_000_000_000)
      answer = "a reply"
    } catch {
      answer = "\(error)"
    }
    report.expect(
      answer == "\(LabIOError.failed(errno: ECONNRESET))", "a host that spoke plain to \(door) got \(answer), expected a reset")
  }

  /// What the callers of each host and the clients do, over and over.
  private final class Load: @unchecked Sendable {
    private let world: LabWorld
    private let routes: [[Endpoint]]
    private let doors: [Endpoint]
    private let source: Endpoint
    private let seed: UInt64
    /// Operations of a turn, of each class.
    private let amount: Int
    private let enough = LabFlag()
    private let lock = LabLock()
    private let clients = Oracle()
    private var found = Oracle.Findings()
    /// Turns that were finished, by host and then by door.
    private var turns: [Int]
    private var threads: [LabThread] = []

    init(_ world: LabWorld, _ routes: [[Endpoint]], _ doors: [Endpoint], from source: Endpoint, _ seed: UInt64, _ amount: Int) {
      self.world = world
      self.routes = routes
      self.doors = doors
      self.source = source
      self.seed = seed
      self.amount = amount
      turns = Array(repeating: 0, count: routes.count + doors.count)
    }

    var findings: Oracle.Findings { lock.withLock { found } + clients.findings }

    func start(_ progress: @escaping @Sendable (String) -> Void) {
      for host in routes.indices {
        threads.append(
          LabThread { [self] in
            var turn = 0
            while !enough.isRaised {
              let pass = LabPass(
                world: world, routes: routes[host], seed: seed, number: UInt64(100 + turn * routes.count + host),
                perClass: amount)
              let result = pass.run(progress: progress)
              turn += 1
              lock.change {
                found = found + result
                turns[host] += 1
              }
            }
          })
      }
      for door in doors.indices {
        let rules = world.datanodes[door].rules
        let caller = FaithfulCaller(CallerOptions(release: rules.release), pool: CallerPool(source: source))
        let first = Workload(
          seed: seed, firstKey: 20 << 28 | UInt64(door) << 24, contents: world.contents, release: rules.release)
        threads.append(
          LabThread { [self] in
            var workload = first
            while !enough.isRaised {
              for _ in 0..<amount {
                let operation = workload.operation(.read)
                clients.started(operation)
                clients.ended(caller.run(operation, to: doors[door]), rules: rules)
              }
              lock.change { turns[routes.count + door] += 1 }
            }
          })
      }
    }

    /// Until each host's callers and each door's clients have begun a turn after now, and finished it.
    func waitForTurn(_ patience: Int64) throws(ChildProcess.Failure) {
      let before = lock.withLock { turns }
      let deadline = LabClock.nanoseconds + patience
      while !lock.withLock({ zip(turns, before).allSatisfy { $0 >= $1 + 2 } }) {
        guard LabClock.nanoseconds < deadline else { throw ChildProcess.Failure(description: "the load stands still") }
        LabClock.sleep(milliseconds: 20)
      }
    }

    func stop() {
      enough.raise()
      for thread in threads { thread.join() }
    }
  }
}
