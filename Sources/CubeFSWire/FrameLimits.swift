/// The largest payloads, arguments and version lists that a stream may announce. A payload is streamed, never held, so a
/// generous limit costs no memory; beyond it the stream is taken for broken.
///
/// Defaults: PROTOCOL.md section 6, "Largest legitimate payloads, and limits that are safe".
public final class FrameLimits: @unchecked Sendable {
  // Immutable after init, so sharing is safe; a raw table because the framer reads one entry per packet.
  @usableFromInline let table: UnsafeMutablePointer<UInt32>

  /// Largest Arg, bytes.
  public let argument: UInt32
  /// Largest payload of an error reply, bytes.
  public let errorText: UInt32
  /// Most entries of a version list. CubeFS's reader computes `count * 17` in 16 bits (`proto/packet.go`
  /// `ReadFromConnWithVer`, v3.5.3), so it loses its place beyond 3,855.
  public let versions: UInt16

  /// The defaults, with the payload limit of some opcodes (requests and replies alike) replaced.
  /// - Parameters:
  ///   - overrides: opcode to bytes.
  ///   - argument: largest Arg, bytes.
  ///   - errorText: largest error payload, bytes.
  ///   - versions: most entries of a version list.
  public init(overrides: [Opcode: UInt32] = [:], argument: UInt32 = 65_536, errorText: UInt32 = 1 << 20, versions: UInt16 = 3_855) {
    self.argument = argument
    self.errorText = errorText
    self.versions = versions
    table = .allocate(capacity: 512)
    for number in 0..<256 {
      let opcode = Opcode(UInt8(number))
      (table[number], table[256 + number]) = Self.defaults(opcode)
    }
    for (opcode, bytes) in overrides {
      for alias in Self.replyAliases(opcode) {
        table[Int(alias)] = bytes
        table[256 + Int(alias)] = bytes
      }
    }
  }

  deinit { table.deallocate() }

  /// The largest payload of a packet with that opcode, bytes.
  @inlinable public func payload(_ opcode: Opcode, _ direction: FrameDirection) -> UInt32 {
    table[(direction == .reply ? 256 : 0) + Int(opcode.rawValue)]
  }

  private static func replyAliases(_ opcode: Opcode) -> [UInt8] {
    switch opcode.rawValue {
    case 0x14: [0x14, 0xF0]
    case 0x17: [0x17, 0x18]
    default: [opcode.rawValue]
    }
  }

  private static func defaults(_ opcode: Opcode) -> (request: UInt32, reply: UInt32) {
    let mebibyte: UInt32 = 1 << 20
    return switch opcode.rawValue {
    case 0x07: (64 * mebibyte, 64 * mebibyte)
    case 0x08: (64 * mebibyte, mebibyte)
    case 0x05, 0x06, 0x09, 0x59: (8 * mebibyte, 8 * mebibyte)
    case 0x15, 0x17, 0x18: (mebibyte, mebibyte)
    case 0x14, 0xF0: (4 * mebibyte, 4 * mebibyte)
    case 0x0A, 0x10, 0x11, 0x16: (4_096, 4_096)
    case 0x01, 0x02, 0xD6: (mebibyte, mebibyte)
    case 0x03, 0x13, 0x0F, 0x12, 0xB1...0xB7: (16 * mebibyte, mebibyte)
    case 0x5A: (160 * mebibyte, mebibyte)
    case 0x57, 0x58, 0x75, 0x76: (64 * mebibyte, mebibyte)
    case 0x60...0x6F, 0x80, 0x8A...0x8C, 0xD5: (64 * mebibyte, mebibyte)
    // What a later release adds must pass.
    default: (160 * mebibyte, 160 * mebibyte)
    }
  }
}

/// Which way a stream of packets runs.
public enum FrameDirection: Sendable {
  /// Caller to peer.
  case request
  /// Peer to caller.
  case reply
}

/// Why a stream cannot be framed any further. After one of these its bytes mean nothing.
public enum FrameRefusal: Error, Equatable, Sendable {
  /// A packet does not begin with 0xFF.
  case badMagic(observed: UInt8)
  /// ArgLen is over the limit; bytes.
  case argumentTooLong(observed: UInt32, limit: UInt32)
  /// Size is over the opcode's limit; bytes.
  case payloadTooLarge(Opcode, observed: UInt32, limit: UInt32)
  /// The version list has more entries than the limit.
  case versionListTooLong(observed: UInt16, limit: UInt16)
}

extension FrameRefusal: CustomStringConvertible {
  /// What was found and what would have been right.
  public var description: String {
    switch self {
    case .badMagic(let observed): "bad magic \(hexadecimal(observed)), expected 0xFF"
    case .argumentTooLong(let observed, let limit): "ArgLen \(observed) is over the limit of \(limit) bytes"
    case .payloadTooLarge(let opcode, let observed, let limit):
      "Size \(observed) of \(opcode.name) is over the limit of \(limit) bytes"
    case .versionListTooLong(let observed, let limit): "version list of \(observed) entries is over the limit of \(limit)"
    }
  }
}
