import CertificateTestSupport
import CubeFSWire
import Glibc

/// `openssl s_client` whose bytes are the test's: a client with a good certificate that may say anything.
final class OpenSSLTalk {
  private let program: RunningProgram

  /// - Parameters:
  ///   - offers: the protocols that it offers by ALPN; none where nil.
  ///   - endsWithInput: it says goodbye at the end of its input; else when the server ends.
  ///   - more: further arguments.
  init(
    port: UInt16, identity: TestPKI.Issued = Certificates.near, offers: String? = "lanekeeper/1", endsWithInput: Bool = false,
    _ more: [String] = []
  ) throws {
    var arguments = [
      "s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", Certificates.pki.caFile, "-cert", identity.certificate, "-key", identity.key,
      "-quiet", "-nocommands",
    ]
    if endsWithInput { arguments.append("-no_ign_eof") }
    if let offers { arguments += ["-alpn", offers] }
    arguments += more
    program = try RunningProgram(arguments, executable: "/usr/bin/openssl")
  }

  /// Sends, in one record where it is short.
  func send(_ bytes: [UInt8]) throws { try program.feed(bytes) }

  /// Sends in records of that many bytes.
  func send(_ bytes: [UInt8], records: Int) throws { try program.feed(bytes, pieces: records) }

  /// Waits for an answer of that many bytes.
  func receive(_ count: Int) throws -> [UInt8] {
    try program.wait { [program] _, _ in program.outputBytes.count >= count }
    return program.outputBytes
  }

  /// Ends the input and waits for the program's end; all bytes that came.
  func finish() throws -> [UInt8] {
    _ = try program.finish()
    return program.outputBytes
  }
}
