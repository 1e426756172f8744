internal import Glibc

/// Files of certificates and keys: read whole, written whole or not at all.
enum CertificateFile {
  /// More than any set of certificates needs: a distribution's bundle of all public authorities has 0.3 MB.
  static let readLimit = 4 << 20

  /// All bytes of the file.
  static func read(_ path: String) throws(CertificateFailure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, failure: SystemFailure(.open, errno)) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    while true {
      var failure: Int32 = 0
      let piece = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
        let answer = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        failure = answer < 0 ? errno : 0
        count = max(0, answer)
      }
      if failure == EINTR { continue }
      if failure != 0 { throw .file(path: path, failure: SystemFailure(.read, failure)) }
      if piece.isEmpty { return bytes }
      bytes += piece
      if bytes.count > readLimit { throw .tooLarge(path: path, limit: readLimit) }
    }
  }

  /// Whether something of this name is there, a dangling symbolic link included.
  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// Takes away a file that `create` has just made.
  static func remove(_ path: String) { unlink(path) }

  /// Makes a file that was not there: under a name of its own (O_EXCL) with its final mode, then under the right one, so that nobody
  /// ever sees half of it. Throws `exists` where the name is taken.
  /// - Parameter mode: its permissions, whatever the umask.
  static func create(_ path: String, _ bytes: [UInt8], mode: mode_t) throws(CertificateFailure) {
    let temporary = "\(path).\(getpid()).new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(path: temporary, failure: SystemFailure(.open, errno)) }
    defer { unlink(temporary) }
    do {
      defer { close(descriptor) }
      var offset = 0
      while offset < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw CertificateFailure.file(path: path, failure: SystemFailure(.write, count < 0 ? errno : ENOSPC)) }
        offset += count
      }
      guard fchmod(descriptor, mode) == 0 else { throw CertificateFailure.file(path: path, failure: SystemFailure(.changeMode, errno)) }
      guard fsync(descriptor) == 0 else { throw CertificateFailure.file(path: path, failure: SystemFailure(.synchronise, errno)) }
    }
    // Unlike rename(2), link(2) does not replace what is there.
    guard link(temporary, path) == 0 else {
      throw errno == EEXIST ? .exists(path: path) : .file(path: path, failure: SystemFailure(.link, errno))
    }
  }
}

/// A directory that one process at a time makes files in.
struct CertificateDirectoryLock: ~Copyable {
  private let descriptor: Int32
  private let path: String

  /// Makes the directory, mode 0700, where there is none, and waits until nobody else holds it.
  init(path: String) throws(CertificateFailure) {
    if mkdir(path, 0o700) != 0 {
      guard errno == EEXIST else { throw .file(path: path, failure: SystemFailure(.makeDirectory, errno)) }
    }
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, failure: SystemFailure(.open, errno)) }
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else {
        let failure = SystemFailure(.lockFile, errno)
        close(descriptor)
        throw .file(path: path, failure: failure)
      }
    }
    self.descriptor = descriptor
    self.path = path
  }

  /// The names made so far stay after a loss of power.
  func synchronise() throws(CertificateFailure) {
    guard fsync(descriptor) == 0 else { throw .file(path: path, failure: SystemFailure(.synchronise, errno)) }
  }

  deinit { close(descriptor) }
}
