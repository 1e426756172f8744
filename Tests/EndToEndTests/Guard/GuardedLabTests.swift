import TestBytes
import Testing

/// The lab's story of deletes in the middle of repairs, with a sidecar before each datanode. The other modes of the guard are
/// played in release, by `.ci/run lab`.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct GuardedLabTests {
  /// What went wrong, and what the sidecars saw and held, as the lab counted it.
  private struct Figures {
    let ghosts, abortedRepairs, conflicts, held, heldMilliseconds: Int

    init(_ mode: String) throws {
      let seed = testSeed("decommission-delete, guard \(mode)")
      let words = ["lab", "--scenario", "decommission-delete", "--guard", mode, "--seed", "\(seed)", "--json"]
      let result = try Program.run(words, deadline: .seconds(150))
      let json = result.stdout
      #expect(result.status == 0, "seed \(seed): \(json) \(result.stderr)")
      let report = LogLine(text: json)
      #expect(report["ok"] == "true" && report["lost"] == "0" && report["wrongBytes"] == "0" && report["guard"] == mode, "\(json)")
      func column(_ key: String) throws -> Int {
        let row = try #require(json.split(separator: "\"\(key)\":{").dropFirst().first, "\(key) in \(json)")
        return try #require(LogLine(text: String(row))["sidecar"].flatMap { Int($0) })
      }
      ghosts = try column("ghosts")
      abortedRepairs = try column("abortedRepairs")
      conflicts = try column("conflicts")
      held = try column("held")
      heldMilliseconds = try column("heldMilliseconds")
      print("decommission-delete, guard \(mode), seed \(seed): \(self)")
    }
  }

  @Test func serializeHoldsThemAndNothingGoesWrong() throws {
    let found = try Figures("serialize")
    #expect(found.held > 0 && found.heldMilliseconds > 0 && found.ghosts == 0 && found.abortedRepairs == 0)
  }
}
