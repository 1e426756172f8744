import Glibc

/// Files of the repository that the tests are built from.
enum RepositoryFile {
  // Tests/EndToEndTests/Support, and this file's name.
  private static let root = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

  /// The path of one.
  static func path(_ name: String) -> String { "\(root)/\(name)" }

  /// The contents of one.
  static func text(_ name: String) throws -> String {
    let descriptor = open(path(name), O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ProgramFailure("cannot read \(path(name))") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = read(descriptor, &piece, piece.count), count > 0 { bytes.append(contentsOf: piece[..<count]) }
    return String(decoding: bytes, as: UTF8.self)
  }
}
