import LaneControl

extension Subcommand {
  /// `lanekeeper check`.
  static let check = Subcommand(
    name: "check",
    summary: "check a configuration file, or print one with every default",
    usage: """
      usage: lanekeeper check --config FILE | --print-default

      --config FILE     reads the file, YAML or JSON, and prints every problem as
                        FILE:LINE: KEY: what is wrong (got VALUE; allowed ...)
                        Without an error the last line is FILE: ok.
      --print-default   prints a commented configuration with every key and its default; it passes the check

      Exit status: 0 the configuration can be used (warnings may be printed), 1 it cannot, 64 wrong usage.
      """,
    run: { arguments in
      let path = try arguments.option("--config")
      let printsDefault = try arguments.flag("--print-default")
      try arguments.finish()
      var output = OutputStream()
      switch (path, printsDefault) {
      case (nil, true):
        try output.write(Configuration.printDefault())
        try output.flush()
        return ExitStatus.success
      case (let path?, false):
        let (lines, status) = try check(path)
        for line in lines { try output.write(line + "\n") }
        try output.flush()
        return status
      default:
        throw UsageError(reason: "exactly one of --config FILE and --print-default is needed")
      }
    })

  private static func check(_ path: String) throws -> (lines: [String], status: Int32) {
    do throws(ConfigurationFailure) {
      let (_, warnings) = try ConfigurationFile.load(path: path)
      return (ConfigurationFile.lines(warnings, path: path) + ["\(path): ok"], ExitStatus.success)
    } catch {
      if case .invalid(let path, let issues) = error { return (ConfigurationFile.lines(issues, path: path), 1) }
      throw CommandFailure("\(error)")
    }
  }
}
