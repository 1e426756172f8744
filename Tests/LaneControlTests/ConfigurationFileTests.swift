import Glibc
import Testing

@testable import LaneControl

@Suite struct ConfigurationFileTests {
  /// A directory that goes away with its files.
  private final class Scratch {
    let path: String

    init() throws {
      var template = Array("/tmp/lanekeeper-configuration-XXXXXX".utf8CString)
      let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } }
      path = try #require(made)
    }

    deinit {
      for name in ["a.yaml", "closed.yaml"] { unlink("\(path)/\(name)") }
      rmdir(path)
    }

    func write(_ bytes: [UInt8], as name: String = "a.yaml") throws -> String {
      let file = "\(path)/\(name)"
      let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      try #require(descriptor >= 0)
      defer { close(descriptor) }
      var offset = 0
      while offset < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: offset), bytes.count - offset) }
        try #require(count > 0)
        offset += count
      }
      return file
    }
  }

  private func failure(_ path: String) -> ConfigurationFailure? {
    do throws(ConfigurationFailure) {
      _ = try ConfigurationFile.load(path: path)
      return nil
    } catch {
      return error
    }
  }

  @Test func aGoodFileGivesItsConfigurationAndItsWarnings() throws {
    let scratch = try Scratch()
    let path = try scratch.write(Array(withListener("node: n\nlanes: {read: {idleTimeout: 40s}}").utf8))
    let (configuration, warnings) = try ConfigurationFile.load(path: path)
    #expect(configuration.node == "n")
    #expect(warnings.map(\.path) == ["lanes.read.idleTimeout"])
    #expect(ConfigurationFile.lines(warnings, path: "f").first?.hasPrefix("f:3: lanes.read.idleTimeout: warning: ") ?? false)
  }

  @Test func eachWayToFailHasItsOwnMessageWithThePath() throws {
    let scratch = try Scratch()
    let missing = "\(scratch.path)/none.yaml"
    #expect(failure(missing) == .missing(path: missing))
    #expect(failure(missing)?.description == "\(missing): no such file")
    #expect(failure(scratch.path) == .directory(path: scratch.path))
    #expect(failure(scratch.path)?.description == "\(scratch.path): is a directory; a file is wanted")
    let latin = try scratch.write(Array("node: ".utf8) + [0xE9])
    #expect(failure(latin)?.description == "\(latin): not UTF-8: the byte at offset 6")
    let inside = "\(latin)/x"
    #expect(failure(inside) == .unreadable(path: inside, errno: ENOTDIR))
    #expect(failure(inside)?.description == "\(inside): cannot be read: Not a directory")
    let wrong = try scratch.write(Array(withListener("node: a b\nlgo: {}").utf8))
    #expect(
      failure(wrong)?.description.split(separator: "\n").map { String($0.prefix(wrong.count + 9)) } == [
        "\(wrong):2: node:", "\(wrong):3: lgo: ",
      ])
  }

  @Test func aFileMayHaveAMebibyteAndNoMore() throws {
    let scratch = try Scratch()
    let text = Array(withListener("").utf8)
    let full = try scratch.write(text + [UInt8](repeating: UInt8(ascii: "\n"), count: (1 << 20) - text.count))
    #expect(failure(full) == nil)
    let over = try scratch.write(text + [UInt8](repeating: UInt8(ascii: "\n"), count: (1 << 20) - text.count + 1))
    #expect(failure(over) == .tooLarge(path: over, limit: 1 << 20))
    // A device tells no size and never ends.
    #expect(failure("/dev/zero") == .tooLarge(path: "/dev/zero", limit: 1 << 20))
  }

  @Test func errorNumbersOfAFileThatIsClosedToUs() {
    #expect(ConfigurationFile.failure(EACCES, "f") == .permission(path: "f"))
    #expect(ConfigurationFile.failure(EACCES, "f").description == "f: permission denied for user \(geteuid())")
    #expect(ConfigurationFile.failure(EIO, "f").description == "f: cannot be read: Input/output error")
  }

  @Test(.enabled(if: geteuid() != 0, "root may read everything"))
  func aFileThatMayNotBeReadSaysSo() throws {
    let scratch = try Scratch()
    let path = try scratch.write([], as: "closed.yaml")
    chmod(path, 0)
    #expect(failure(path) == .permission(path: path))
  }
}
