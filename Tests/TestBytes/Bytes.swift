/// crc32 (IEEE 802.3), bit by bit: not the program's library.
public func crc32(_ bytes: some Collection<UInt8>) -> UInt32 { checksum(Array(bytes)) }

private func checksum(_ bytes: [UInt8]) -> UInt32 {
  var crc: UInt32 = 0xFFFF_FFFF
  for byte in bytes { crc = crc >> 8 ^ crcTable[Int((crc ^ UInt32(byte)) & 0xFF)] }
  return ~crc
}

private let crcTable: [UInt32] = (0..<256).map { number in
  (0..<8).reduce(UInt32(number)) { crc, _ in crc & 1 == 1 ? 0xEDB8_8320 ^ crc >> 1 : crc >> 1 }
}

/// Bytes that are not the same at two places.
public func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 131) ^ ($0 >> 8) &+ seed) }
}

/// Where two arrays differ first, nil where they are equal: a failed `==` of megabytes takes hours to print.
public func firstDifference(_ first: [UInt8], _ second: [UInt8]) -> Int? {
  if first == second { return nil }
  return zip(first, second).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(first.count, second.count)
}

/// Whether the bytes hold that part, anywhere.
public func holds(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
  guard !part.isEmpty, bytes.count >= part.count else { return part.isEmpty }
  return (0...bytes.count - part.count).contains { bytes[$0] == part[0] && bytes[$0..<$0 + part.count].elementsEqual(part) }
}
