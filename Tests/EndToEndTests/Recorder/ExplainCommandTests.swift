import CertificateTestSupport
import Testing

/// What `lanekeeper explain` says where there is nothing to explain.
@Suite struct ExplainCommandTests {
  @Test func whatIsMissingOrWrongIsNamed() throws {
    let directory = try TemporaryDirectory("lanekeeper-explain")
    try directory.write("not a capture at all", to: "text.pcapng")
    try directory.write("node: n\noutbound: {listeners: [{listen: \"127.0.0.1:0\", peer: \"127.0.0.1:1\"}]}\n", to: "plain.yaml")
    let id = "6b1f0a52-9c3d-8e01-8f55-000000000007"
    for (arguments, status, message) in [
      ([directory.file("none.pcapng")], Int32(66), "No such file"),
      ([directory.file("text.pcapng")], 1, "byte 0: not a pcapng file"),
      ([id, "--directory", directory.path], 66, "no file in \(directory.path) has operation \(id) in its name"),
      ([id, "--directory", directory.file("missing")], 66, "cannot read directory"),
      ([id, "--config", directory.file("plain.yaml")], 1, "recorder.directory is not set"),
      ([id, "--config", directory.file("none.yaml")], 1, "none.yaml"),
      ([id, "--config", "a", "--directory", "b"], 64, "exclude each other"),
      ([], 64, "FILE or OPERATION-ID"),
    ] {
      let result = try Program.run(["explain"] + arguments)
      #expect(result.status == status && result.stdout == "", "\(arguments): \(result.status)")
      #expect(result.stderr.contains(message), "\(result.stderr)")
    }
  }
}
