import Glibc
import Testing

/// A start with next to no descriptors: refused with a reason, or a success, and never the end of the process by a trap.
@Suite struct FewDescriptorsTests {
  /// What became of a start under that limit.
  private static func start(limit: Int) throws -> (opened: Bool, result: ProgramResult) {
    // What the tests have open and a child inherits would count. The leak checker, where the program is built with it, opens files
    // at the end of the process.
    let script = """
      exec <<'END'
      {outbound: {listeners: [{listen: "127.0.0.1:0", peer: "127.0.0.1:1"}]}, metrics: {listen: "127.0.0.1:0"}}
      END
      for path in /proc/$$/fd/*; do
        number=${path##*/}
        if [ $number -gt 2 ]; then exec {number}>&-; fi
      done
      export ASAN_OPTIONS=detect_leaks=0
      ulimit -n \(limit)
      exec "$0" run --config /dev/stdin
      """
    let program = try RunningProgram(["-c", script, try Program.path()], executable: "/bin/bash")
    let opened = (try? program.wait { output, _ in output.contains("\"listener.opened\"") }) != nil
    program.send(SIGTERM)
    return (opened, try program.finish())
  }

  /// SwiftNIO ends the process where it finds no descriptor for its loop. Which limits those are hangs on what the process has
  /// open before, so each is tried from where hardly anything can be opened to where all is.
  @Test func aStartWithTooFewDescriptorsIsRefusedWithAReason() throws {
    var reasons: [Int: String] = [:]
    for limit in 5...24 {
      let (opened, result) = try Self.start(limit: limit)
      reasons[limit] = opened ? "" : result.stderr
      #expect(result.status == (opened ? 0 : 1), "limit \(limit): status \(result.status): \(result.stderr.prefix(300))")
      guard !opened else { continue }
      let isOneLine = result.stderr.hasSuffix("\n") && result.stderr.filter { $0 == "\n" }.count == 1
      #expect(
        isOneLine && result.stderr.hasPrefix("lanekeeper run: ") && result.stderr.contains("EMFILE"),
        "limit \(limit): \(result.stderr.prefix(300))")
    }
    for (limit, reason) in reasons.sorted(by: { $0.key < $1.key }) {
      print("ulimit -n \(limit): \(reason.isEmpty ? "starts\n" : reason)", terminator: "")
    }
    // The port's own refusal is among them, and so is a success.
    #expect(reasons.values.contains { $0.hasPrefix("lanekeeper run: metrics.listen 127.0.0.1:0: ") })
    #expect(reasons.values.contains(""))
  }
}
