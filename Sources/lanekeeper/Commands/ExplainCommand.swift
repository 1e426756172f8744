import Glibc
import LaneControl
import LaneTelemetry

extension Subcommand {
  /// `lanekeeper explain`.
  static let explain = Subcommand(
    name: "explain",
    summary: "the story of an alert's evidence: what was asked, what came, why it was dropped",
    usage: """
      usage: lanekeeper explain FILE|OPERATION-ID [--directory DIR | --config FILE]

      Prints what a file of the flight recorder says, in order: the alert, each packet of both connections with its time, what became
      of it and why. Wireshark shows the same files in every detail (Deploy/wireshark).

        FILE               a path, or the name that an alert's line has under evidence
        OPERATION-ID       an operation's id as in the log: the newest file about it
        --directory DIR    where names and ids are looked for; the working directory by default
        --config FILE      the same, in recorder.directory of that configuration

      Exit status: 0 done, 1 the file is no evidence or broken, 64 wrong usage, 66 no such file, 74 standard output cannot be written.
      """,
    run: { arguments in
      let directory = try arguments.option("--directory")
      let config = try arguments.option("--config")
      let subject = try arguments.positional("FILE or OPERATION-ID")
      try arguments.finish()
      if directory != nil && config != nil { throw UsageError(reason: "--directory and --config exclude each other") }
      let place = EvidencePlace(directory: try config.map(recorderDirectory) ?? directory ?? ".")
      let (path, others) = try place.find(subject)
      let bytes = try place.read(path)
      let evidence: StoredEvidence
      do throws(EvidenceFailure) {
        evidence = try StoredEvidence(bytes)
      } catch {
        throw CommandFailure("\(printable(path)): \(error)")
      }
      var output = OutputStream()
      try output.write("\(printable(path))\n\(evidence.story)")
      if !others.isEmpty { try output.write("\nOlder files about it:\n" + others.map { "  \(printable($0))\n" }.joined()) }
      try output.flush()
      return ExitStatus.success
    })

  private static func recorderDirectory(_ path: String) throws -> String {
    let configuration: Configuration
    do throws(ConfigurationFailure) {
      configuration = try ConfigurationFile.load(path: path).configuration
    } catch {
      throw CommandFailure("\(error)")
    }
    guard let directory = configuration.recorder.directory else {
      throw CommandFailure("\(printable(path)): recorder.directory is not set: nothing is recorded")
    }
    return directory
  }
}

/// Where evidence is looked for.
private struct EvidencePlace {
  let directory: String

  /// The path of a file, and of older ones about the same operation. Throws `CommandFailure`.
  func find(_ subject: String) throws -> (path: String, others: [String]) {
    if isOperationID(subject) {
      // The names begin with the time.
      let found = try names().filter { $0.hasSuffix("\(FlightRecorder.suffix)") && $0.contains(subject.lowercased()) }.sorted().reversed()
      guard let newest = found.first else {
        throw CommandFailure(
          "no file in \(printable(directory)) has operation \(subject) in its name; --directory or --config says where else to look",
          status: ExitStatus.noInput)
      }
      return (join(newest), found.dropFirst().prefix(10).map(join))
    }
    if access(subject, F_OK) != 0, !subject.contains("/"), access(join(subject), F_OK) == 0 { return (join(subject), []) }
    return (subject, [])
  }

  /// All of a file. Throws `CommandFailure`.
  func read(_ path: String) throws -> [UInt8] {
    let input = try InputFile(path, name: printable(path))
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = try piece.withUnsafeMutableBytes({ try input.read(into: $0) }), count > 0 {
      bytes += piece[..<count]
      guard bytes.count <= StoredEvidence.longest else {
        throw CommandFailure("\(printable(path)): longer than \(StoredEvidence.longest) bytes, which no file of the flight recorder is")
      }
    }
    return bytes
  }

  private func join(_ name: String) -> String { directory == "." ? name : "\(directory)/\(name)" }

  private func isOperationID(_ text: String) -> Bool {
    let groups = text.split(separator: "-", omittingEmptySubsequences: false)
    return groups.map(\.utf8.count) == [8, 4, 4, 4, 12] && groups.allSatisfy { $0.allSatisfy { $0.isASCII && $0.isHexDigit } }
  }

  private func names() throws -> [String] {
    guard let stream = opendir(directory) else {
      throw CommandFailure("cannot read directory \(printable(directory)): \(errorText(errno))", status: ExitStatus.noInput)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) { String(cString: $0) }
        })
    }
    return names
  }
}
