internal import Glibc
internal import NetEndpoint

/// The sidecars of the other hosts: one before each datanode, to which the one under test speaks TLS. They only observe replies: what the
/// datanodes do wrong is for the one under test to find.
final class FarSides {
  typealias Failure = ChildProcess.Failure

  /// Where they accept, one for each datanode, in order.
  let endpoints: [Endpoint]
  /// The section `tls` of the one under test.
  let settings: String
  private let directory: LabDirectory
  private var children: [ChildProcess] = []

  /// Makes an authority and one certificate for all, and starts them.
  init(program: String, datanodes: [Endpoint], listening endpoints: [Endpoint]) throws(Failure) {
    self.endpoints = endpoints
    directory = try LabDirectory()
    let identity = try directory.makeIdentity(program)
    settings = identity + "  outbound: {mode: strict}\n"
    for (number, (listen, datanode)) in zip(endpoints, datanodes).enumerated() {
      let path = directory.file("far-\(number).yaml")
      try LabDirectory.write(
        "node: far-\(number)\ninbound: {listen: \"\(listen)\", datanode: \"\(datanode)\"}\njudge: {mode: observe}\nlog: {level: warning}\n"
          + identity + "  inbound: {mode: strict, requireFrom: [127.0.0.0/8]}\n", to: path)
      children.append(
        try ChildProcess(program: program, words: ["run", "--config", path], logPath: directory.file("far-\(number).log")))
    }
  }

  /// True while all of them run.
  var areRunning: Bool { children.allSatisfy(\.isRunning) }

  /// What the first that has ended wrote last.
  var lastWords: String { children.first { !$0.isRunning }?.logTail(2_000) ?? "" }

  /// SIGTERM to each, and up to that many seconds for its end.
  /// - Returns: the first exit status that is not 0; nil where one did not end.
  func stop(withinSeconds seconds: Int64) -> Int32? {
    var worst: Int32? = 0
    for child in children {
      let status = child.stop(withinSeconds: seconds)
      if worst == 0 { worst = status }
    }
    return worst
  }

  /// Removes configurations, certificates and logs.
  func removeFiles() { directory.remove() }
}

extension LabDirectory {
  /// Makes an authority and one certificate for all, as an operator does for a trial.
  /// - Returns: the start of a section `tls` that names them.
  func makeIdentity(_ program: String) throws(ChildProcess.Failure) -> String {
    let certificates = file("tls")
    let issue = try ChildProcess(
      program: program, words: ["certs", "init", certificates, "--name", "lab", "--dns", "lab.test"], logPath: file("certs.log"))
    guard issue.wait(forSeconds: 10) == 0 else { throw ChildProcess.Failure(description: "lanekeeper certs init: \(issue.log)") }
    return """
      tls:
        certificate: \(certificates)/lab.pem
        key: \(certificates)/lab.key
        ca: \(certificates)/ca.pem
        allow: ["dns:lab.test"]

      """
  }
}
