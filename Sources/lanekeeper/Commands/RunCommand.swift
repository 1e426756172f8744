import LaneControl
import LaneProxy

extension Subcommand {
  /// `lanekeeper run`.
  static let run = Subcommand(
    name: "run",
    summary: "run the sidecar until SIGTERM",
    usage: """
      usage: lanekeeper run --config FILE

      --config FILE   the configuration, YAML or JSON; `lanekeeper check --print-default` prints one to start from

      Signals: SIGTERM and SIGINT stop accepting, let operations finish up to outbound.shutdownTimeout, and exit;
      SIGUSR1 reopens the log file; SIGHUP reads the configuration again: tls is in force at once, for connections
      from then on, and all else needs a restart. With metrics.listen, HTTP serves /metrics and /readyz there.

      Exit status: 0 after a signal with every operation accounted for, 1 otherwise, 64 wrong usage.
      """,
    run: { arguments in
      let path = try arguments.option("--config")
      // For the lab alone: a defect that its oracle must find.
      let sabotage = try arguments.option("--sabotage", as: ProxySettings.Sabotage.self)
      try arguments.finish()
      guard let path else { throw UsageError(reason: "--config FILE is needed") }
      do {
        let (configuration, warnings) = try ConfigurationFile.load(path: path)
        for line in ConfigurationFile.lines(warnings, path: path) { StandardError.write(line + "\n") }
        return try Service.run(
          configuration, version: lanekeeperVersion,
          reread: { () throws(ConfigurationFailure) in try ConfigurationFile.load(path: path).configuration }, sabotage: sabotage)
      } catch ConfigurationFailure.invalid(let path, let issues) {
        throw CommandFailure(ConfigurationFile.lines(issues, path: path).joined(separator: "\n"))
      } catch let failure as ConfigurationFailure {
        throw CommandFailure("\(failure)")
      } catch let failure as Service.Failure {
        throw CommandFailure("\(failure)")
      }
    })
}
