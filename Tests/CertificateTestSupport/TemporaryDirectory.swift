internal import Glibc

/// An empty directory, gone with all in it when this is, or when the process exits: one that a static property holds is never let go.
public final class TemporaryDirectory: Sendable {
  /// Its path.
  public let path: String

  /// Makes it.
  /// - Parameter name: the first part of its name. Throws `OpenSSLToolFailure`.
  public init(_ name: String) throws {
    var template = Array("/tmp/\(name)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw OpenSSLToolFailure(description: "mkdtemp: \(String(cString: strerror(errno)))")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    _ = Self.removesAtExit
    Self.held.withLock { $0.insert(path) }
  }

  deinit {
    Self.remove(path)
    Self.held.withLock { $0.remove(path) }
  }

  private static let held = HeldPaths()
  private static let removesAtExit: Void = {
    atexit { for path in TemporaryDirectory.held.withLock({ $0 }) { TemporaryDirectory.remove(path) } }
  }()

  /// The names of what is in it.
  public var names: Set<String> { Set(Self.names(path)) }

  private static func names(_ path: String) -> [String] {
    guard let listing = opendir(path) else { return [] }
    defer { closedir(listing) }
    var names: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  private static func remove(_ path: String) {
    // A directory is no file to unlink(2).
    if unlink(path) == 0 { return }
    for name in names(path) { remove("\(path)/\(name)") }
    rmdir(path)
  }
}

/// The directories that are there.
private final class HeldPaths: @unchecked Sendable {
  private var paths: Set<String> = []
  private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)

  init() { pthread_mutex_init(mutex, nil) }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  @discardableResult func withLock<Value>(_ body: (inout Set<String>) -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&paths)
  }
}
