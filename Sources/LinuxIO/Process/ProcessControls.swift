internal import CLinux
internal import Glibc

/// Settings of the whole process.
public enum ProcessControls {
  /// A write to a closed pipe then fails with EPIPE in place of ending the process. Sockets of this module need it not: they send with `MSG_NOSIGNAL`.
  public static func ignoreSIGPIPE() throws(SystemFailure) { try check(.ignoreSignal, clinux_ignore_sigpipe()) }

  /// Raises the soft limit of open descriptors to the hard one.
  @discardableResult
  public static func raiseDescriptorLimit() throws(SystemFailure) -> (before: UInt64, after: UInt64) {
    var before: UInt64 = 0
    var after: UInt64 = 0
    try check(.descriptorLimit, clinux_raise_descriptor_limit(&before, &after))
    return (before, after)
  }

  /// Fails where the process cannot open that many descriptors more, and leaves none open: to be asked before what would not
  /// fail but end the process.
  public static func probeDescriptors(_ count: Int) throws(SystemFailure) {
    var opened: [Int32] = []
    defer { for descriptor in opened { _ = clinux_close(descriptor) } }
    for _ in 0..<count { opened.append(try check(.eventDescriptor, clinux_eventfd_create())) }
  }

  /// Sets the soft limit of open descriptors.
  public static func setDescriptorLimit(_ soft: UInt64) throws(SystemFailure) {
    try check(.descriptorLimit, clinux_set_descriptor_limit(soft))
  }
}

/// The memory that the kernel counts for this process, in KiB (`/proc/self/status`).
public struct ResidentMemory: Sendable, Equatable {
  /// `VmRSS`: everything resident, shared pages of libraries included.
  public let total: Int
  /// `RssAnon`: the process's own memory.
  public let anonymous: Int

  /// Reads it now; nil where /proc is not mounted.
  public static func read() -> ResidentMemory? {
    guard let file = fopen("/proc/self/status", "re") else { return nil }
    defer { fclose(file) }
    var total: Int?
    var anonymous: Int?
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { line in
      while let base = line.baseAddress, fgets(base, Int32(line.count), file) != nil {
        let text = String(cString: base)
        if text.hasPrefix("VmRSS:") { total = kibibytes(text) }
        if text.hasPrefix("RssAnon:") { anonymous = kibibytes(text) }
      }
    }
    guard let total, let anonymous else { return nil }
    return ResidentMemory(total: total, anonymous: anonymous)
  }

  private static func kibibytes(_ line: String) -> Int? {
    Int(String(decoding: line.utf8.filter { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }, as: UTF8.self))
  }
}
