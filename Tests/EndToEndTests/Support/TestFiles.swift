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

extension RunningProgram {
  /// `lanekeeper run` with that configuration in a namespace, once it listens.
  static func sidecar(_ configuration: String, in namespace: NetworkNamespace) throws -> RunningProgram {
    let directory = try TemporaryDirectory("lanekeeper-run")
    try directory.write(configuration, to: "lanekeeper.yaml")
    let sidecar = try namespace.run { try RunningProgram(["run", "--config", directory.file("lanekeeper.yaml")]) }
    try sidecar.wait { output, _ in output.contains("\"event\":\"listener.opened\"") }
    return sidecar
  }
}
