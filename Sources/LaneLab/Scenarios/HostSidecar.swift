internal import Glibc
internal import NetEndpoint

/// The sidecar of one of several hosts, with a listener for each datanode and the way to its own. The hosts' sidecars lead to each other.
final class HostSidecar: RunningSidecar {
  typealias Failure = ChildProcess.Failure

  let number: Int
  /// Where its callers reach each datanode, in order.
  let listeners: [Endpoint]
  /// Where the others reach its datanode.
  let door: Endpoint
  private let child: ChildProcess
  private let path: String
  private let head: String
  private var loaded = 0

  /// Starts one before each datanode, and waits until all of them listen.
  /// - Parameters:
  ///   - directory: where their files go: configurations and logs.
  ///   - settings: further lines of each configuration.
  static func start(
    _ program: String, _ directory: LabDirectory, before datanodes: [Endpoint], settings: String, sabotage: String? = nil
  ) throws(Failure) -> [HostSidecar] {
    let count = datanodes.count
    let ports = try LabListener.freeEndpoints(count + count * count)
    let doors = Array(ports[..<count])
    var hosts: [HostSidecar] = []
    for (number, datanode) in datanodes.enumerated() {
      hosts.append(
        try HostSidecar(
          number, program, directory, datanode: datanode, doors, listeners: Array(ports[(count + number * count)...].prefix(count)),
          settings, sabotage))
    }
    for host in hosts { try host.waitUntilReady() }
    return hosts
  }

  private init(
    _ number: Int, _ program: String, _ directory: LabDirectory, datanode: Endpoint, _ doors: [Endpoint], listeners: [Endpoint],
    _ settings: String, _ sabotage: String?
  ) throws(Failure) {
    self.number = number
    self.listeners = listeners
    door = doors[number]
    path = directory.file("host-\(number).yaml")
    let lines = zip(listeners, doors).map { "    - {listen: \"\($0)\", peer: \"\($1)\"}\n" }.joined()
    head =
      "node: host-\(number)\noutbound:\n  listeners:\n\(lines)inbound: {listen: \"\(door)\", datanode: \"\(datanode)\"}\n"
      + "log: {level: info}\n"
    try LabDirectory.write(head + settings, to: path)
    child = try ChildProcess(
      program: program, words: ["run", "--config", path] + (sabotage.map { ["--sabotage", $0] } ?? []),
      logPath: directory.file("host-\(number).log"))
  }

  var isRunning: Bool { child.isRunning }
  var log: String { child.log }
  func logTail(_ bytes: Int) -> String { child.logTail(bytes) }
  func stop(withinSeconds seconds: Int64) -> Int32? { child.stop(withinSeconds: seconds) }

  private func waitUntilReady() throws(Failure) {
    for endpoint in listeners + [door] {
      try wait("it does not listen at \(endpoint)") { (try? LabSocket.connect(to: endpoint)) != nil }
    }
  }

  /// Gives it other settings as an operator does: the file, then SIGHUP.
  func load(_ settings: String) throws(Failure) {
    try LabDirectory.write(head + settings, to: path)
    loaded += 1
    child.send(SIGHUP)
    let wanted = loaded
    try wait("it has not loaded its configuration") { (SidecarLog(self.log).events["configuration.loaded"] ?? 0) >= wanted }
  }

  private func wait(_ complaint: String, until done: () -> Bool) throws(Failure) {
    let deadline = LabClock.nanoseconds + 10_000_000_000
    while !done() {
      guard isRunning, LabClock.nanoseconds < deadline else {
        throw Failure(description: "host \(number): \(complaint): \(logTail(2_000))")
      }
      LabClock.sleep(milliseconds: 20)
    }
  }
}
