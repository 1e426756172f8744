import Glibc

/// What a process has run on the processors so far, nanoseconds: the scheduler's own books, all threads together.
func processorTime(of pid: pid_t) -> UInt64 {
  let path = "/proc/\(pid)/task"
  guard let directory = opendir(path) else { return 0 }
  defer { closedir(directory) }
  var sum: UInt64 = 0
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    guard name.first != ".", let file = fopen("\(path)/\(name)/schedstat", "r") else { continue }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { continue }
    // Time on a processor, time in a run queue, turns.
    sum += strtoull(line, nil, 10)
  }
  return sum
}
