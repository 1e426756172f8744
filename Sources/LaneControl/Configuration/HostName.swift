import Glibc

/// This host's name.
public enum HostName {
  /// The name as the kernel has it, with `-` for any character that a `node` may not have; `localhost` where there is none.
  public static var current: String {
    var name = [UInt8](repeating: 0, count: 256)
    let result = name.withUnsafeMutableBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { characters in
        characters.baseAddress.map { gethostname($0, characters.count - 1) } ?? -1
      }
    }
    return result == 0 ? usable(name.prefix { $0 != 0 }) : usable([])
  }

  static func usable(_ name: some Sequence<UInt8>) -> String {
    let bytes = name.prefix(255).map { ConfigurationFields.isNodeByte($0) ? $0 : UInt8(ascii: "-") }
    return bytes.isEmpty ? "localhost" : String(decoding: bytes, as: UTF8.self)
  }
}
