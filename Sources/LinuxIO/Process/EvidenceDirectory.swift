internal import CLinux
internal import Glibc

/// The directory of an `EvidenceWriter`, opened anew for each step: it may be moved, filled and emptied by others at any time.
struct EvidenceDirectory {
  let path: String
  let suffix: String
  let bounds: EvidenceWriter.Bounds

  /// What a half-written file's name begins with.
  static let unfinished = ".unfinished-"

  private struct File {
    var name: String
    var bytes: Int
    var seconds: Int
  }

  /// Makes the directory where it is missing, removes what a crash has left, and keeps the bounds. Returns how many files went for them.
  func begin() throws(SystemFailure) -> Int {
    if mkdir(path, 0o700) != 0, errno != EEXIST { throw SystemFailure(.makeDirectory, errno) }
    let directory = try open()
    defer { Glibc.close(directory) }
    for name in try names(directory) where name.hasPrefix(Self.unfinished) && name.hasSuffix(suffix) { unlinkat(directory, name, 0) }
    return try keepBounds(directory, room: 0, forOneMore: false)
  }

  /// Writes a file, after it has made room for it. Returns how many files went for that.
  func write(_ bytes: [UInt8], as name: String) throws(SystemFailure) -> Int {
    let directory = try open()
    defer { Glibc.close(directory) }
    let removed = try keepBounds(directory, room: bytes.count, forOneMore: true)
    let hidden = Self.unfinished + name
    // What is left of a try that failed half-way goes first; nobody else's file is ever written to.
    unlinkat(directory, hidden, 0)
    let file = openat(directory, hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw SystemFailure(.open, errno) }
    do throws(SystemFailure) {
      do throws(SystemFailure) {
        // The process's mask may have taken bits away.
        if fchmod(file, 0o600) != 0 { throw SystemFailure(.changeMode, errno) }
        try writeAll(bytes, to: file)
        if fsync(file) != 0 { throw SystemFailure(.synchronise, errno) }
      } catch {
        Glibc.close(file)
        throw error
      }
      if Glibc.close(file) != 0 { throw SystemFailure(.close, errno) }
      if renameat(directory, hidden, directory, name) != 0 { throw SystemFailure(.rename, errno) }
    } catch {
      unlinkat(directory, hidden, 0)
      throw error
    }
    if fsync(directory) != 0 { throw SystemFailure(.synchronise, errno) }
    return removed
  }

  /// Removes what is over the bounds or too old, and what stands in the way of `room` more bytes. Returns how many files went.
  func keepBounds(room: Int, forOneMore: Bool) throws(SystemFailure) -> Int {
    let directory = try open()
    defer { Glibc.close(directory) }
    return try keepBounds(directory, room: room, forOneMore: forOneMore)
  }

  private func keepBounds(_ directory: Int32, room: Int, forOneMore: Bool) throws(SystemFailure) -> Int {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var files: [File] = []
    for name in try names(directory) where name.hasSuffix(suffix) && !name.hasPrefix(".") {
      var status = stat()
      guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
      files.append(File(name: name, bytes: Int(status.st_size), seconds: status.st_mtim.tv_sec))
    }
    files.sort { ($0.seconds, $0.name) < ($1.seconds, $1.name) }
    let oldest = now.tv_sec - Int(bounds.age / 1_000_000_000)
    var left = files.count + (forOneMore ? 1 : 0)
    var bytes = files.reduce(room) { $0 + $1.bytes }
    var removed = 0
    for file in files where left > bounds.files || bytes > bounds.bytes || file.seconds < oldest {
      // Somebody else may have removed it; what cannot be removed is found again the next time.
      if unlinkat(directory, file.name, 0) == 0 { removed += 1 }
      left -= 1
      bytes -= file.bytes
    }
    return removed
  }

  private func open() throws(SystemFailure) -> Int32 {
    let directory = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw SystemFailure(.open, errno) }
    return directory
  }

  private func names(_ directory: Int32) throws(SystemFailure) -> [String] {
    let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0 else { throw SystemFailure(.open, errno) }
    guard let stream = fdopendir(copy) else {
      let reason = errno
      Glibc.close(copy)
      throw SystemFailure(.read, reason)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) { String(cString: $0) }
      }
      names.append(name)
    }
    return names
  }

  private func writeAll(_ bytes: [UInt8], to file: Int32) throws(SystemFailure) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress.map { $0 + done }, bytes.count - done) }
      if count > 0 {
        done += count
      } else if count == 0 || errno != EINTR {
        throw SystemFailure(.write, count == 0 ? EIO : errno)
      }
    }
  }
}
