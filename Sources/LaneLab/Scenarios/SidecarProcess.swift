internal import Glibc
internal import NetEndpoint

/// The sidecar as a child process, with one explicit listener for each datanode, and its log in a file.
final class SidecarProcess {
  typealias Failure = ChildProcess.Failure

  /// Where callers connect, one for each peer, in order.
  let listeners: [Endpoint]
  private let directory: LabDirectory
  private let child: ChildProcess

  /// Starts `program run --config FILE`.
  /// - Parameter settings: further lines of the configuration.
  init(program: String, peers: [Endpoint], sabotage: String?, settings: String = "") throws(Failure) {
    directory = try LabDirectory()
    // Bound and let go again: nobody else in the lab asks the kernel for a port in between.
    let held = peers.compactMap { _ in try? LabListener(Endpoint(address: 0x7F00_0001, port: 0)) }
    guard held.count == peers.count else { throw Failure(description: "no free loopback ports") }
    listeners = held.map(\.endpoint)
    for listener in held { listener.close() }
    let lines = zip(listeners, peers).map { "    - listen: \($0)\n      peer: \($1)\n" }.joined()
    let text = "node: lab\ncubefsRelease: auto\noutbound:\n  listeners:\n\(lines)log:\n  level: info\n\(settings)"
    try Self.write(text, to: directory.file("config.yaml"))
    child = try ChildProcess(
      program: program, words: ["run", "--config", directory.file("config.yaml")] + (sabotage.map { ["--sabotage", $0] } ?? []),
      logPath: directory.file("sidecar.log"))
  }

  /// Waits until every listener accepts.
  func waitUntilReady() throws(Failure) {
    let deadline = LabClock.nanoseconds + 10_000_000_000
    for listener in listeners {
      while (try? LabSocket.connect(to: listener)) == nil {
        if let status = child.exitStatus() {
          throw Failure(description: "the sidecar ended with status \(status) before it listened:\n\(log.suffix(2_000))")
        }
        guard LabClock.nanoseconds < deadline else { throw Failure(description: "the sidecar does not listen at \(listener)") }
        LabClock.sleep(milliseconds: 20)
      }
    }
  }

  /// True while the child runs.
  var isRunning: Bool { child.isRunning }

  /// SIGTERM, and up to that many seconds for the end.
  /// - Returns: the exit status, negative for a signal's number, nil where it did not end and was killed.
  func stop(withinSeconds seconds: Int64 = 15) -> Int32? { child.stop(withinSeconds: seconds) }

  /// Everything the child wrote so far, standard error included.
  var log: String { child.log }

  /// The whole lines in that many last bytes of it.
  func logTail(_ bytes: Int) -> String { child.logTail(bytes) }

  /// Removes the directory with configuration and log.
  func removeFiles() { directory.remove() }

  /// Where configuration and log lie, for a message to a person.
  var files: String { directory.path }

  private static func write(_ text: String, to path: String) throws(Failure) {
    guard let file = fopen(path, "w") else { throw Failure(description: "cannot write \(path): errno \(errno)") }
    fputs(text, file)
    fclose(file)
  }
}
