import CertificateTestSupport
import Glibc

/// HAProxy with the test's frontends and backends, until the end of the test.
final class HAProxy {
  private let program: RunningProgram
  private let directory: TemporaryDirectory

  /// - Parameter sections: what follows the defaults. `PEM` stands for the identity's file with certificate and key.
  init(identity: TestPKI.Issued, _ sections: String) throws {
    directory = try TemporaryDirectory("lanekeeper-haproxy")
    let path = directory.path
    let ready = try Stunnel.freePort()
    try Self.write("\(path)/identity.pem", Self.text(identity.certificate) + Self.text(identity.key))
    // Every port is bound before the first connection is taken: the one that refuses tells when that is, and touches no other.
    try Self.write(
      "\(path)/haproxy.cfg",
      """
      defaults
        mode tcp
        timeout connect 10s
        timeout client 30s
        timeout server 30s
      frontend ready
        bind 127.0.0.1:\(ready)
        tcp-request connection reject

      """ + sections.replacing("PEM", with: "\(path)/identity.pem") + "\n")
    program = try RunningProgram(["-db", "-q", "-f", "\(path)/haproxy.cfg"], executable: "/usr/sbin/haproxy")
    guard eventually({ (try? StreamSocket(port: ready)) != nil }) else {
      throw ProgramFailure("haproxy does not start: \(try program.finish(deadline: .seconds(1)).stderr)")
    }
  }

  deinit {
    program.send(SIGKILL)
    _ = try? program.finish()
  }

  private static func write(_ path: String, _ text: String) throws {
    guard let file = fopen(path, "w") else { throw ProgramFailure("cannot write \(path)") }
    fputs(text, file)
    fclose(file)
  }

  private static func text(_ path: String) -> String { ProcFile.text(path) }
}
