internal import NetEndpoint

/// A sidecar that the lab has started.
protocol RunningSidecar {
  /// True while it runs.
  var isRunning: Bool { get }
  /// Everything it wrote so far, standard error included.
  var log: String { get }
  /// The whole lines in that many last bytes of it.
  func logTail(_ bytes: Int) -> String
  /// SIGTERM, and up to that many seconds for the end.
  /// - Returns: the exit status, negative for a signal's number, nil where it did not end and was killed.
  func stop(withinSeconds seconds: Int64) -> Int32?
}

/// The sidecar as a child process, with one explicit listener for each datanode, and its log in a file.
final class SidecarProcess: RunningSidecar {
  typealias Failure = ChildProcess.Failure

  /// Where callers connect, one for each peer, in order.
  let listeners: [Endpoint]
  private let directory: LabDirectory
  private let child: ChildProcess
  private let far: FarSides?

  /// Starts `run --config FILE` of the options' program.
  /// - Parameter extra: further lines of the configuration.
  init(_ options: LabOptions, peers datanodes: [Endpoint], settings extra: String = "") throws(Failure) {
    let (program, tls) = (options.program, options.tls)
    directory = try LabDirectory()
    var free = try LabListener.freeEndpoints(tls ? 2 * datanodes.count : datanodes.count)
    listeners = Array(free.prefix(datanodes.count))
    free.removeFirst(datanodes.count)
    far = tls ? try FarSides(program: program, datanodes: datanodes, listening: free) : nil
    let peers = far?.endpoints ?? datanodes
    // YAML 1.2, 7.3.2: in single quotes only these are special.
    let evidence = options.evidence.map { path in
      "recorder: {directory: '\(path.map { $0 == "'" ? "''" : String($0) }.joined())'}\n"
    }
    let settings = extra + (evidence ?? "") + (far?.settings ?? "")
    let lines = zip(listeners, peers).map { "    - listen: \($0)\n      peer: \($1)\n" }.joined()
    let text = "node: lab\ncubefsRelease: auto\noutbound:\n  listeners:\n\(lines)log:\n  level: info\n\(settings)"
    try LabDirectory.write(text, to: directory.file("config.yaml"))
    child = try ChildProcess(
      program: program,
      words: ["run", "--config", directory.file("config.yaml")] + (options.sabotage.map { ["--sabotage", $0.rawValue] } ?? []),
      logPath: directory.file("sidecar.log"))
  }

  /// Waits until every listener accepts.
  func waitUntilReady() throws(Failure) {
    let deadline = LabClock.nanoseconds + 10_000_000_000
    for listener in listeners + (far?.endpoints ?? []) {
      while (try? LabSocket.connect(to: listener)) == nil {
        if let far, !far.areRunning { throw Failure(description: "a sidecar before a datanode ended:\n\(far.lastWords)") }
        if let status = child.exitStatus() {
          throw Failure(description: "the sidecar ended with status \(status) before it listened:\n\(log.suffix(2_000))")
        }
        guard LabClock.nanoseconds < deadline else { throw Failure(description: "the sidecar does not listen at \(listener)") }
        LabClock.sleep(milliseconds: 20)
      }
    }
  }

  /// True while the child runs.
  var isRunning: Bool { child.isRunning && far?.areRunning ?? true }

  func stop(withinSeconds seconds: Int64) -> Int32? {
    let status = child.stop(withinSeconds: seconds)
    let others = far.map { $0.stop(withinSeconds: seconds) } ?? 0
    return status == 0 ? others : status
  }

  var log: String { child.log }

  func logTail(_ bytes: Int) -> String { child.logTail(bytes) }

  /// Removes the directory with configuration and log.
  func removeFiles() {
    directory.remove()
    far?.removeFiles()
  }

  /// Where configuration and log lie, for a message to a person.
  var files: String { directory.path }
}
