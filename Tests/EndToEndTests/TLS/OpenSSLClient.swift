import CertificateTestSupport
import Glibc

/// `openssl s_client` towards a port of 127.0.0.1.
struct OpenSSLClient {
  var port: UInt16
  /// What it shows; nil for nothing.
  var identity: TestPKI.Issued?
  var authorities: String
  /// Further arguments.
  var arguments: [String] = []

  /// Runs until the server closes; both outputs.
  func run() throws -> String {
    var all = ["s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", authorities, "-ign_eof", "-nocommands"] + arguments
    if let identity { all += ["-cert", identity.certificate, "-key", identity.key] }
    let output = try OpenSSLTool(directory: "/tmp").run(all)
    return output.stdout + output.stderr
  }
}
