internal import Glibc

/// What tells one state of a file from another without reading it, symbolic links followed: which file it is, its size and its times.
struct FileSignature: Equatable {
  private let fields: [Int]

  /// Nil where the file is not there.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    fields = [
      Int(truncatingIfNeeded: status.st_dev), Int(truncatingIfNeeded: status.st_ino), Int(status.st_size),
      status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
    ]
  }
}
