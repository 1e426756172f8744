import Glibc

/// The payload of a request of `Tests/Fixtures`, written by the real code: fixed header of 57 bytes, Arg, payload.
func fixtureBody(_ path: String) -> [UInt8]? {
  let tests = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
  guard let file = fopen("/\(tests)/Fixtures/\(path)", "r") else { return nil }
  defer { fclose(file) }
  var bytes = [UInt8](repeating: 0, count: 1 << 16)
  bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
  guard bytes.count >= 57 else { return nil }
  func number(_ place: Int) -> Int { bytes[place..<place + 4].reduce(0) { $0 << 8 | Int($1) } }
  guard bytes.count == 57 + number(13) + number(9) else { return nil }
  return Array(bytes[(57 + number(13))...])
}
