import CertificateTestSupport
import Glibc

/// stunnel4 with one service, until the end of the test.
final class Stunnel {
  /// Where it accepts, on 127.0.0.1.
  let port: UInt16
  private let program: RunningProgram
  private let path: String

  init(isClient: Bool, identity: TestPKI.Issued, authorities: String, connect: UInt16) throws {
    port = try Self.freePort()
    path = "/tmp/lanekeeper-stunnel-\(getpid())-\(port).conf"
    guard let file = fopen(path, "w") else { throw ProgramFailure("cannot write \(path)") }
    fputs(
      """
      foreground = yes
      pid =
      [lane]
      client = \(isClient ? "yes" : "no")
      accept = 127.0.0.1:\(port)
      connect = 127.0.0.1:\(connect)
      cert = \(identity.certificate)
      key = \(identity.key)
      CAfile = \(authorities)
      verifyChain = yes
      requireCert = yes
      sslVersionMin = TLSv1.3

      """, file)
    fclose(file)
    program = try RunningProgram([path], executable: "/usr/bin/stunnel4")
    // It accepts once this is said.
    try program.wait { _, errors in errors.contains("Configuration successful") }
  }

  deinit {
    program.send(SIGKILL)
    _ = try? program.finish()
    unlink(path)
  }

  /// A plain connection to it.
  func connected() throws -> StreamSocket { try StreamSocket(port: port) }

  /// A port that nobody listens on.
  static func freePort() throws -> UInt16 {
    let peer = try ScriptedPeer { _, _ in }
    defer { peer.stop() }
    return peer.port
  }
}
