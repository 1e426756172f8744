internal import CubeFSWire
internal import Glibc
internal import LaneTelemetry
internal import LinuxIO

/// What is known of the process itself.
struct ProcessFigures: Sendable {
  /// The program's version.
  let version: String
  /// The node's name, as configured.
  let node: String
  /// `cubefsRelease`, as configured.
  let cubefsRelease: String
  /// When the process started, nanoseconds since 1970.
  let startedAt: UInt64

  /// Of a process that starts now.
  init(version: String, node: String, cubefsRelease: CubeFSRelease) {
    self.version = version
    self.node = node
    self.cubefsRelease = cubefsRelease.rawValue
    startedAt = Timestamp.now()
  }

  /// User and system time of all threads so far, seconds; nil where the kernel does not tell.
  var cpuSeconds: Double? {
    var usage = rusage()
    guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }

  /// Resident memory, bytes; nil where /proc is not mounted.
  var residentBytes: UInt64? { ResidentMemory.read().map { UInt64(max(0, $0.total)) * 1024 } }
}
