import Testing

/// `lanekeeper check`, through the real program.
@Suite struct CheckCommandTests {
  @Test func theDefaultFilePassesItsOwnCheck() throws {
    let printed = try Program.run(["check", "--print-default"])
    #expect(printed.status == 0)
    #expect(printed.stderr.isEmpty)
    let checked = try Program.run(["check", "--config", "/dev/stdin"], stdin: printed.output)
    #expect(checked.status == 0)
    #expect(checked.stdout == "/dev/stdin: ok\n")
    #expect(checked.stderr.isEmpty)
  }

  @Test func everyProblemIsOneLine() throws {
    let text = "node: a b\noutbound:\n  listeners:\n    - listen: 127.0.0.1:1\n      per: 127.0.0.2:2\n"
    let result = try Program.run(["check", "--config", "/dev/stdin"], stdin: Array(text.utf8))
    #expect(result.status == 1)
    let lines = result.stdout.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines.first == "/dev/stdin:1: node: not a node name (got \"a b\"; allowed 1 to 255 characters of A-Z a-z 0-9 . _ : -)")
    #expect(lines.last?.hasPrefix("/dev/stdin:5: outbound.listeners[0].per: unknown key; did you mean peer? (allowed listen, ") ?? false)
  }

  @Test func warningsPass() throws {
    let text = "outbound: {listeners: [{listen: 127.0.0.1:1, intercept: true}]}\nlanes: {read: {idleTimeout: 1m}}\n"
    let result = try Program.run(["check", "--config", "/dev/stdin"], stdin: Array(text.utf8))
    #expect(result.status == 0)
    #expect(result.stdout.hasPrefix("/dev/stdin:2: lanes.read.idleTimeout: warning: "))
    #expect(result.stdout.hasSuffix("\n/dev/stdin: ok\n"))
  }

  @Test func aMissingFileIsAFailure() throws {
    let result = try Program.run(["check", "--config", "/nonexistent/file"])
    #expect(result.status == 1)
    #expect(result.stdout.isEmpty)
    #expect(result.stderr == "lanekeeper check: /nonexistent/file: no such file\n")
  }

  @Test(arguments: [["check"], ["check", "--config", "x", "--print-default"]])
  func oneOfTheTwoOptionsIsNeeded(words: [String]) throws {
    let result = try Program.run(words)
    #expect(result.status == 64)
    #expect(result.stderr.contains("exactly one of --config FILE and --print-default is needed"))
  }
}
