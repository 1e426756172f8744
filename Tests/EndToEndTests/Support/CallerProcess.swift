import Glibc
import Testing

/// A caller in a process of its own, without a line of ours: bash connects and writes, and becomes a dd that reads as datanodes
/// do, straight from the socket and with exact lengths.
final class CallerProcess {
  private let program: RunningProgram
  /// Its process.
  var pid: pid_t { program.pid }
  /// What it has read, in whole reads.
  var received: [UInt8] { program.outputBytes }

  /// Sends the request's bytes to the sidecar.
  /// - Parameters:
  ///   - length: the bytes of one read.
  ///   - count: how many reads.
  init(_ request: [UInt8], to port: UInt16, reads count: Int, of length: Int) throws {
    let script = """
      exec 3<>/dev/tcp/127.0.0.1/\(port)
      dd status=none iflag=fullblock bs=\(request.count) count=1 >&3
      exec dd status=none iflag=fullblock bs=\(length) count=\(count) <&3
      """
    program = try RunningProgram(["-c", script], executable: "/bin/bash")
    try program.feed(request)
  }

  deinit { program.send(SIGKILL) }

  /// Stops it as a debugger or a cgroup's freezer would, and waits until the kernel says so.
  func stop() -> Bool {
    program.send(SIGSTOP)
    return eventually { ProcFile.isStopped(pid) }
  }

  /// Lets it go on.
  func goOn() { program.send(SIGCONT) }

  /// Waits until it has read so many bytes.
  func waitUntilReceived(_ count: Int) throws { try program.wait { _, _ in received.count >= count } }

  /// Waits for its end, and gives all that it has read.
  func finish() throws -> [UInt8] {
    let result = try program.finish()
    #expect(result.status == 0 && result.stderr == "", "\(result.status) \(result.stderr)")
    return result.output
  }
}
