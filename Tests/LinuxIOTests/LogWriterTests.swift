import Glibc
import LinuxIO
import Testing

@Suite struct LogWriterTests {
  /// Both ends of a pipe; nobody reads unless the test does.
  struct Pipe {
    let reading: Int32
    let writing: Int32
    init() throws {
      var ends: [Int32] = [0, 0]
      try #require(pipe(&ends) == 0)
      reading = ends[0]
      writing = ends[1]
    }
  }

  /// `F_SETPIPE_SZ`, which the Glibc module lacks.
  private let setPipeSize: Int32 = 1031

  private func write(_ writer: LogWriter, _ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { writer.write($0) } }

  private func contents(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var text = ""
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), file) != nil {
      text += String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    return text
  }

  private func temporaryPath() throws -> String {
    var template = Array("/tmp/lanekeeper-log-XXXXXX".utf8CString)
    let fd = mkstemp(&template)
    try #require(fd >= 0)
    close(fd)
    return String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test func linesThatMatterFindRoomInAFullQueue() throws {
    let pipe = try Pipe()
    let writer = try LogWriter(.descriptor(pipe.writing), capacity: 1000, reserve: 200)
    let line = String(repeating: "x", count: 99) + "\n"
    try #require(fcntl(pipe.writing, setPipeSize, 4096) > 0)
    // Whatever the thread does meanwhile only makes room.
    var accepted = 0
    while accepted < 100_000, write(writer, line) { accepted += 1 }
    try #require(accepted < 100_000)
    let closing = Array((String(repeating: "y", count: 99) + "\n").utf8)
    #expect(closing.withUnsafeBytes { writer.write($0, mayUseReserve: true) })
    // The reserve has an end, too.
    var further = 0
    while further < 100_000, closing.withUnsafeBytes({ writer.write($0, mayUseReserve: true) }) { further += 1 }
    #expect(further < 100_000)
  }

  @Test func fullQueueDropsAndCountsWithoutBlocking() throws {
    let pipe = try Pipe()
    let writer = try LogWriter(.descriptor(pipe.writing), capacity: 10_000)
    let line = String(repeating: "x", count: 99) + "\n"
    // The pipe takes less than one queue full, so that the thread is stuck before the queue is.
    try #require(fcntl(pipe.writing, setPipeSize, 4096) > 0)
    var accepted = 0
    for _ in 0..<2000 where write(writer, line) { accepted += 1 }
    #expect(writer.dropped > 0)
    #expect(writer.dropped + UInt64(accepted) == 2000)
    #expect(!writer.flush(timeout: 1_000_000))
    // A reader comes: every accepted line arrives whole.
    let expected = accepted * line.utf8.count
    let reader = Worker { [reading = pipe.reading] in
      var buffer = [UInt8](repeating: 0, count: 65_536)
      var total = 0
      while total < expected {
        let count = read(reading, &buffer, buffer.count)
        if count <= 0 { return }
        total += count
      }
    }
    #expect(writer.close(timeout: 5_000_000_000))
    reader.join()
    #expect(!write(writer, line))
    #expect(writer.failed == 0)
    close(pipe.writing)
    close(pipe.reading)
  }

  @Test func closedPipeIsCountedAndTheThreadGoesOn() throws {
    try ProcessControls.ignoreSIGPIPE()
    let pipe = try Pipe()
    let writer = try LogWriter(.descriptor(pipe.writing))
    close(pipe.reading)
    for round in 1...3 {
      #expect(write(writer, "lost\n"))
      #expect(writer.flush(timeout: 5_000_000_000))
      #expect(writer.failed == UInt64(round))
    }
    #expect(writer.lastFailure == SystemFailure(.write, EPIPE))
    writer.close()
    close(pipe.writing)
  }

  @Test func fourThreadsLoseNothingWhereThereIsRoom() throws {
    let path = try temporaryPath()
    defer { unlink(path) }
    let writer = try LogWriter(.file(path))
    let workers = (0..<4).map { number in
      Worker {
        for line in 0..<1000 { Array("\(number) \(line)\n".utf8).withUnsafeBytes { _ = writer.write($0) } }
      }
    }
    for worker in workers { worker.join() }
    #expect(writer.close(timeout: 5_000_000_000))
    #expect(writer.counters == LogWriter.Counters(taken: 4000, dropped: 0, failed: 0))
    var next = [0, 0, 0, 0]
    for line in contents(path).split(separator: "\n") {
      let fields = line.split(separator: " ").compactMap { Int($0) }
      try #require(fields.count == 2 && fields[0] < 4)
      #expect(next[fields[0]] == fields[1])
      next[fields[0]] += 1
    }
    #expect(next == [1000, 1000, 1000, 1000])
  }

  @Test func reopeningFollowsTheName() throws {
    let path = try temporaryPath()
    let moved = path + ".1"
    defer {
      unlink(path)
      unlink(moved)
    }
    let writer = try LogWriter(.file(path))
    #expect(write(writer, "old\n"))
    #expect(writer.flush(timeout: 5_000_000_000))
    rename(path, moved)
    writer.reopen()
    #expect(write(writer, "new\n"))
    #expect(writer.close())
    #expect(contents(moved) == "old\n")
    #expect(contents(path) == "new\n")
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o027 == 0)
  }

  @Test func missingFolderIsNamed() {
    #expect(throws: SystemFailure(.open, ENOENT)) { _ = try LogWriter(.file("/nonexistent/folder/log")) }
  }
}
