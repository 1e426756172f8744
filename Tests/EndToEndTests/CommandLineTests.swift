import Testing

/// The frame around the subcommands, through the real program.
@Suite struct CommandLineTests {
  @Test func versionIsPrinted() throws {
    let result = try Program.run(["--version"])
    #expect(result.status == 0)
    #expect(result.stdout == "lanekeeper 0.1.0\n")
    #expect(result.stderr.isEmpty)
  }

  @Test func noArgumentsIsAUsageErrorWithHelp() throws {
    let result = try Program.run([])
    #expect(result.status == 64)
    #expect(result.stdout.isEmpty)
    #expect(result.stderr.hasPrefix("usage: lanekeeper SUBCOMMAND"))
  }

  @Test func helpNamesEverySubcommand() throws {
    let result = try Program.run(["--help"])
    #expect(result.status == 0)
    for name in ["run", "check", "decode", "certs", "alerts", "lab"] { #expect(result.stdout.contains("\n  \(name) ")) }
    #expect(result.stderr.isEmpty)
  }

  @Test(arguments: [
    (["--tls"], "--tls needs another scenario"), (["--scenario", "default", "--tls"], "--tls needs another scenario"),
    (["--scenario", "defalt"], "did you mean"), (["--guard", "off"], "--guard needs --scenario decommission-delete"),
    (["--scenario", "duplicate-notify", "--guard", "off"], "--guard needs --scenario decommission-delete"),
    (["--scenario", "decommission-delete", "--guard", "serialise"], "did you mean"),
    (["--scenario", "decommission-delete", "--guard", "off", "--tls"], "not with --tls"),
    (["--scenario", "decommission-delete", "--guard", "off", "--evidence", "/tmp"], "--evidence is for scenarios with one sidecar"),
    (["--scenario", "tls-rollout", "--evidence", "/tmp"], "--evidence is for scenarios with one sidecar"),
  ])
  func whatTheLabCannotDo(words: [String], reason: String) throws {
    let result = try Program.run(["lab"] + words)
    #expect(result.status == 64 && result.stdout.isEmpty && result.stderr.contains(reason), "\(result.stderr)")
  }

  @Test func helpOfASubcommandIsItsUsage() throws {
    for words in [["decode", "--help"], ["decode", "-h"], ["decode", "--nonsense", "--help"]] {
      let result = try Program.run(words)
      #expect(result.status == 0)
      #expect(result.stdout.hasPrefix("usage: lanekeeper decode FILE"))
    }
  }

  @Test(arguments: [
    (["decod"], "unknown subcommand 'decod', did you mean 'decode'?"),
    (["zzzzzz"], "unknown subcommand 'zzzzzz'; allowed: "),
    (["--versio"], "unknown option '--versio', did you mean '--version'?"),
    (["--version", "x"], "nothing may follow '--version', found 'x'"),
    (["a\u{1B}[2J"], "unknown subcommand 'a\\u{1b}[2J'"),
  ])
  func wrongWordsAreNamed(words: [String], reason: String) throws {
    let result = try Program.run(words)
    #expect(result.status == 64)
    #expect(result.stdout.isEmpty)
    #expect(result.stderr.contains(reason), "\(result.stderr)")
  }
}
