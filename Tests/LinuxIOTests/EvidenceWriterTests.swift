import CertificateTestSupport
import Glibc
import LinuxIO
import TestBytes
import Testing

@Suite struct EvidenceWriterTests {
  private static let patience: Nanoseconds = 20_000_000_000
  private static let hour: Nanoseconds = 3_600_000_000_000

  private static func writer(_ path: String, files: Int = 1000, bytes: Int = 1 << 30, age: Nanoseconds = hour) throws -> EvidenceWriter {
    try EvidenceWriter(directory: path, suffix: ".pcapng", bounds: .init(files: files, bytes: bytes, age: age))
  }

  private static func contents(_ path: String) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while case let count = read(file, &piece, piece.count), count > 0 { bytes += piece[..<count] }
    return bytes
  }

  private static func put(_ path: String, count: Int = 10, ageSeconds: Int = 0) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    let bytes = [UInt8](repeating: 1, count: count)
    _ = write(file, bytes, count)
    close(file)
    var times = [timespec(), timespec()]
    clock_gettime(CLOCK_REALTIME, &times[0])
    times[0].tv_sec -= ageSeconds
    times[1] = times[0]
    utimensat(AT_FDCWD, path, &times, 0)
  }

  @Test func filesAreThereWholeAndPrivate() throws {
    let above = try TemporaryDirectory("lanekeeper-evidence")
    let path = "\(above.path)/new"
    let writer = try Self.writer(path)
    let old = umask(0)
    defer { umask(old) }
    for index in 0..<20 { #expect(writer.write(pattern(5_000 + index), as: "\(index).pcapng")) }
    #expect(writer.flush(timeout: Self.patience))
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o700)
    for index in 0..<20 {
      let name = "\(path)/\(index).pcapng"
      #expect(Self.contents(name) == pattern(5_000 + index))
      #expect(stat(name, &status) == 0 && status.st_mode & 0o7777 == 0o600)
    }
    #expect(writer.status.counters.written == 20 && writer.status.failure == nil)
    #expect(writer.close(timeout: Self.patience))
    #expect(!writer.write([1], as: "late.pcapng") && writer.status.counters.refused == 1)
  }

  @Test func theOldestGoFirstAndNobodyElses() throws {
    let directory = try TemporaryDirectory("lanekeeper-evidence")
    for index in 0..<6 { Self.put("\(directory.path)/old\(index).pcapng", count: 100, ageSeconds: 600 - index) }
    Self.put("\(directory.path)/notes.txt", count: 1_000_000, ageSeconds: 10_000_000)
    Self.put("\(directory.path)/ancient.pcapng", ageSeconds: 7_200)
    Self.put("\(directory.path)/.unfinished-a.pcapng")
    Self.put("\(directory.path)/.unfinished-notes")
    symlink("/etc/passwd", "\(directory.path)/link.pcapng")
    let writer = try Self.writer(directory.path, files: 5, bytes: 1_000)
    let others: Set = ["notes.txt", ".unfinished-notes", "link.pcapng"]
    // Waits for what is done at the start, too.
    #expect(writer.write([UInt8](repeating: 2, count: 100), as: "new0.pcapng"))
    #expect(writer.flush(timeout: Self.patience))
    #expect(directory.names == others.union(["old2.pcapng", "old3.pcapng", "old4.pcapng", "old5.pcapng", "new0.pcapng"]))
    // 5 files of 100 bytes, and one of 750 for which three must go.
    #expect(writer.write([UInt8](repeating: 2, count: 750), as: "new1.pcapng"))
    #expect(writer.flush(timeout: Self.patience))
    #expect(directory.names == others.union(["old5.pcapng", "new0.pcapng", "new1.pcapng"]))
    #expect(writer.status.counters.removed == 6)
    #expect(Self.contents("/etc/passwd")?.isEmpty == false)
  }

  @Test func theQueueIsBounded() throws {
    let directory = try TemporaryDirectory("lanekeeper-evidence")
    let writer = try Self.writer(directory.path)
    // Without a wait many more arrive than can be written.
    let taken = (0..<2_000).filter { writer.write(pattern(4_000), as: "\($0).pcapng") }.count
    #expect(writer.flush(timeout: 60_000_000_000))
    let counters = writer.status.counters
    #expect(counters.refused > 0 && Int(counters.refused) + taken == 2_000 && Int(counters.written) == taken)
    // A thousand are kept.
    #expect(directory.names.count == min(taken, 1000))
  }

  @Test(.enabled(if: geteuid() == 0, "needs root: mounts a small file system"))
  func aFullDiskLosesFilesAndNothingElse() throws {
    let directory = try TemporaryDirectory("lanekeeper-evidence")
    try #require(mount("none", directory.path, "tmpfs", 0, "size=32k") == 0)
    defer { umount2(directory.path, 2) }
    let writer = try Self.writer(directory.path)
    for index in 0..<12 {
      #expect(writer.write(pattern(4_096), as: "\(index).pcapng"))
      #expect(writer.flush(timeout: Self.patience))
    }
    let status = writer.status
    #expect(status.failure?.errno == ENOSPC && status.counters.failed > 0 && status.counters.written > 0)
    // What is there is whole, and no piece is left of what is not.
    #expect(UInt64(directory.names.count) == status.counters.written)
    for name in directory.names { #expect(name.hasSuffix(".pcapng") && Self.contents("\(directory.path)/\(name)") == pattern(4_096)) }
    unlink("\(directory.path)/0.pcapng")
    #expect(writer.write(pattern(4_096), as: "again.pcapng"))
    #expect(writer.flush(timeout: Self.patience))
    #expect(writer.status.failure == nil && directory.names.contains("again.pcapng"))
    #expect(writer.close(timeout: Self.patience))
  }
}
