/// How far into a reply a caller reads before it leaves.
enum ReplyPart: Sendable, Equatable {
  /// The header, with whatever its flags announce.
  case header
  /// Header and Arg.
  case argument
  /// Header, Arg and some of the payload; the number picks how many bytes, at least one and not all but one.
  case someOfPayload(UInt64)
  /// Everything but the last byte.
  case allButLastByte

  /// Bytes of the payload read before leaving.
  /// - Parameter size: the whole payload's length.
  func payloadLength(of size: Int) -> Int {
    switch self {
    case .header, .argument: 0
    case .someOfPayload(let pick): size < 3 ? 0 : 1 + Int(pick % UInt64(size - 2))
    case .allButLastByte: max(0, size - 1)
    }
  }
}
