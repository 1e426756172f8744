import Glibc

/// Why a configuration file gives no configuration.
public enum ConfigurationFailure: Error, Equatable, Sendable {
  /// There is no file of that name.
  case missing(path: String)
  /// The path is a directory.
  case directory(path: String)
  /// The file may not be read.
  case permission(path: String)
  /// The file is over the limit, bytes.
  case tooLarge(path: String, limit: Int)
  /// The byte at that offset is not UTF-8.
  case notUTF8(path: String, offset: Int)
  /// The kernel refuses, with its error number.
  case unreadable(path: String, errno: Int32)
  /// The text is wrong; at least one of the issues is an error.
  case invalid(path: String, issues: [ConfigurationIssue])
}

extension ConfigurationFailure: CustomStringConvertible {
  /// What is wrong, one line for each reason, each with the path.
  public var description: String {
    switch self {
    case .missing(let path): "\(path): no such file"
    case .directory(let path): "\(path): is a directory; a file is wanted"
    case .permission(let path): "\(path): permission denied for user \(geteuid())"
    case .tooLarge(let path, let limit): "\(path): larger than \(limit) bytes"
    case .notUTF8(let path, let offset): "\(path): not UTF-8: the byte at offset \(offset)"
    case .unreadable(let path, let number): "\(path): cannot be read: \(String(cString: strerror(number)))"
    case .invalid(let path, let issues): ConfigurationFile.lines(issues, path: path).joined(separator: "\n")
    }
  }
}

/// A configuration on disk.
public enum ConfigurationFile {
  /// Largest file, bytes.
  public static let limit = YAMLBounds().bytes

  /// Reads and checks a file.
  /// - Returns: the configuration, and the warnings.
  public static func load(path: String) throws(ConfigurationFailure) -> (configuration: Configuration, warnings: [ConfigurationIssue]) {
    let text = try read(path: path)
    if let offset = YAMLParser.firstInvalidUTF8(text) { throw .notUTF8(path: path, offset: offset) }
    let (configuration, issues) = Configuration.parse(text)
    guard let configuration else { throw .invalid(path: path, issues: issues) }
    return (configuration, issues)
  }

  /// The issues as a user sees them: `FILE:LINE: KEYPATH: message (got VALUE; allowed ...)`.
  public static func lines(_ issues: [ConfigurationIssue], path: String) -> [String] {
    issues.map { "\(path):\($0.line): \($0)" }
  }

  private static func read(path: String) throws(ConfigurationFailure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(errno, path) }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    // Size on disk says nothing about pipes and /proc, so the bytes themselves are counted.
    while text.count <= limit {
      let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count == 0 { return text }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure(errno, path)
      }
      text += chunk.prefix(count)
    }
    throw .tooLarge(path: path, limit: limit)
  }

  /// What an error number of `open` or `read` means.
  static func failure(_ number: Int32, _ path: String) -> ConfigurationFailure {
    switch number {
    case ENOENT: .missing(path: path)
    case EISDIR: .directory(path: path)
    case EACCES, EPERM: .permission(path: path)
    default: .unreadable(path: path, errno: number)
    }
  }
}
