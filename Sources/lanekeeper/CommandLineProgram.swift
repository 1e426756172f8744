import Glibc

/// The frame around the subcommands: picks one, and turns what it throws into a line on standard error and a status.
struct CommandLineProgram {
  let subcommands: [Subcommand]

  /// Runs the program.
  /// - Parameter words: the whole command line, the program's own name first.
  /// - Returns: the exit status.
  func run(_ words: [String]) -> Int32 {
    // A closed pipe is an error of the write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    let rest = words.dropFirst()
    guard let first = rest.first else {
      StandardError.write(help)
      return ExitStatus.usage
    }
    switch first {
    case "--help", "-h", "help": return report(nil) { try print(help, nothingAfter: rest) }
    case "--version", "version": return report(nil) { try print("lanekeeper \(lanekeeperVersion)\n", nothingAfter: rest) }
    default: break
    }
    guard let subcommand = subcommands.first(where: { $0.name == first }) else {
      let kind = first.hasPrefix("-") ? "option" : "subcommand"
      let allowed = subcommands.map(\.name) + ["--help", "--version"]
      return report(nil) {
        throw UsageError(
          reason:
            "unknown \(kind) '\(printable(first))'\(suggestion(for: first, among: allowed)); allowed: \(allowed.joined(separator: ", "))")
      }
    }
    var arguments = Arguments(Array(rest.dropFirst()))
    if arguments.asksForHelp { return report(subcommand) { try printAll(subcommand.usage) } }
    return report(subcommand) { try subcommand.run(&arguments) }
  }

  private var help: String {
    let rows =
      subcommands.map { ($0.name, $0.summary) } + [("--version", "print the version"), ("--help", "print this; also after a subcommand")]
    let width = rows.map(\.0.count).max() ?? 0
    let lines = rows.map { "  \($0.0)\(String(repeating: " ", count: width - $0.0.count))  \($0.1)\n" }
    return "usage: lanekeeper SUBCOMMAND [ARGUMENTS]\n\n\(lines.joined())"
  }

  private func print(_ text: String, nothingAfter words: ArraySlice<String>) throws -> Int32 {
    if let extra = words.dropFirst().first {
      throw UsageError(reason: "nothing may follow '\(words.first ?? "")', found '\(printable(extra))'")
    }
    return try printAll(text)
  }

  private func printAll(_ text: String) throws -> Int32 {
    var output = OutputStream()
    try output.write(text.hasSuffix("\n") ? text : text + "\n")
    try output.flush()
    return ExitStatus.success
  }

  private func report(_ subcommand: Subcommand?, _ body: () throws -> Int32) -> Int32 {
    let prefix = subcommand.map { "lanekeeper \($0.name)" } ?? "lanekeeper"
    do {
      return try body()
    } catch let error as UsageError {
      let usage = subcommand?.usage.split(separator: "\n").first.map { "\($0)\n" } ?? ""
      StandardError.write("\(prefix): \(error.reason)\n\(usage)\(prefix) --help says more\n")
      return ExitStatus.usage
    } catch let error as CommandFailure {
      StandardError.write("\(prefix): \(error.reason)\n")
      return error.status
    } catch OutputError.readerGone {
      // Whoever read our output has seen enough (`| head`).
      return ExitStatus.success
    } catch {
      StandardError.write("\(prefix): \(error)\n")
      return error is OutputError ? ExitStatus.outputFailed : 1
    }
  }
}
