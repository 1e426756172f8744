import Glibc
import Testing

/// How long a sidecar's loop stood still while it had something to do, between two moments.
///
/// `lanekeeper_reactor_stall_seconds` counts the turns by their length, and each turn keeps everybody else waiting. A turn is
/// also long where the machine gave the processor to others in the middle of it, as a busy one with two cores does. What a
/// caller does to the loop, by a lock that it holds, is to make the loop's thread *sleep* in a turn; and the scheduler counts
/// apart how long that thread ran and how long it waited for a processor (/proc/PID/schedstat). So in all turns together the
/// thread slept for at least
///
///     length of all turns - time running - time waiting for a processor
///
/// less what it ran and waited outside of turns, a few microseconds for each.
struct LoopWatch {
  /// What was found.
  struct Finding: CustomStringConvertible {
    var turns: Double
    /// Turns of 4.1 ms and more: the histogram's bound next below the 5 ms that are promised.
    var long: Double
    /// Seconds that the thread slept in turns; below 0 for what it did outside.
    var asleep: Double

    /// No turn was over 5 ms, or the machine alone made it so.
    var isClean: Bool { long == 0 || asleep < 0.005 }

    var description: String { "\(Int(turns)) turns, \(Int(long)) over 4.1 ms, asleep in them for \(Int(asleep * 1e6)) us" }
  }

  private let pid: pid_t
  private let metrics: UInt16
  private let atStart: (scheduled: Double, turns: Turns)

  private struct Turns {
    var count: Double
    var long: Double
    var seconds: Double
  }

  /// Begins.
  init(_ sidecar: Sidecar, metrics: UInt16) throws {
    pid = sidecar.pid
    self.metrics = metrics
    // The scheduler's count begins before that of the turns and ends after it, so that no turn looks longer than it was.
    let scheduled = try Self.scheduled(pid)
    atStart = (scheduled, try Self.turns(metrics))
  }

  /// What there was since the beginning.
  func finding() throws -> Finding {
    let turns = try Self.turns(metrics)
    let scheduled = try Self.scheduled(pid)
    return Finding(
      turns: turns.count - atStart.turns.count, long: turns.long - atStart.turns.long,
      asleep: turns.seconds - atStart.turns.seconds - (scheduled - atStart.scheduled))
  }

  /// Seconds that the process's first thread, which is the loop's, ran or waited for a processor.
  private static func scheduled(_ pid: pid_t) throws -> Double {
    let numbers = ProcFile.text("/proc/\(pid)/schedstat").split { $0.isWhitespace }.compactMap { Double($0) }
    try #require(numbers.count == 3, "/proc/PID/schedstat: this kernel has no CONFIG_SCHED_INFO")
    return (numbers[0] + numbers[1]) / 1e9
  }

  private static func turns(_ metrics: UInt16) throws -> Turns {
    let scrape = Scrape(try HTTP.get(metrics, "/metrics").text)
    let name = "lanekeeper_reactor_stall_seconds"
    let count = try #require(scrape.sum(name + "_count"))
    let short = try #require(scrape.sum(name + "_bucket", ["le": "0.004096"]))
    return Turns(count: count, long: count - short, seconds: try #require(scrape.sum(name + "_sum")))
  }
}
