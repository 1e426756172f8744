import CertificateTestSupport

/// Deploy/alerting/validate, with the program's own schema.
struct LogValidator {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory("lanekeeper-schema") }

  /// Holds the lines to the schema.
  func validate(_ lines: [String]) throws -> ProgramResult {
    try directory.write(try Program.run(["alerts", "schema"]).stdout, to: "schema")
    try directory.write(lines.map { $0 + "\n" }.joined(), to: "log")
    return try validate(files: [directory.file("log")])
  }

  private func validate(files: [String]) throws -> ProgramResult {
    try RunningProgram([directory.file("schema")] + files, executable: RepositoryFile.path("Deploy/alerting/validate")).finish()
  }
}
