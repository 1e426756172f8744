import CertificateTestSupport
import Glibc

extension TemporaryDirectory {
  /// The path of a file in it.
  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file of that text.
  func write(_ text: String, to name: String) throws {
    guard let stream = fopen(file(name), "w") else { throw ProgramFailure("cannot write \(file(name))") }
    fputs(text, stream)
    fclose(stream)
  }
}
