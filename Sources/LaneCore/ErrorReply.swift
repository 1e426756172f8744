public import CubeFSWire

/// The error reply that Lanekeeper writes where a reply was dropped or will never come, or a request was refused.
public enum ErrorReply: Sendable {
  /// The answer was dropped, or will not come: `OpIntraGroupNetErr`.
  case withheld
  /// The request was held for another on its extent for as long as it may be: `OpAgain`.
  case busy

  /// What a caller is told where an operation ends for that reason.
  public init(_ reason: Reason) {
    switch reason {
    case .deleteDuringRepair, .deleteDuringRepairRead, .deleteDuringRepairTask, .deleteDuringRepairRound: self = .busy
    default: self = .withheld
    }
  }

  /// Its payload. The text is protocol (PROTOCOL.md section 6, number 5): requesters search it for words like "timeout",
  /// "try again", "not exist", "no space". That of `withheld` has none, so that it counts as what the result code says; a leader
  /// takes that of `busy` for what it is.
  public var text: StaticString {
    switch self {
    case .withheld: "lanekeeper_the answer was withheld by the sidecar"
    case .busy: "lanekeeper_the extent is in use, try again"
    }
  }

  private var resultCode: ResultCode { self == .withheld ? .intraGroupNetErr : .again }

  /// The longest, bytes.
  public static let longest = HeaderView.fixedLength + 12 + 64

  /// Writes the reply to that request: its ids, the result code, ArgLen 0, in the header length that its flags ask for. Returns the
  /// bytes used of `buffer`, which must have room for `longest`.
  public func write(_ exchange: Exchange, release: CubeFSRelease, to buffer: UnsafeMutableRawBufferPointer) -> Int {
    let text = text.withUTF8Buffer { Array($0) }
    var header = PacketHeader()
    // The version list is the server's own to add; its flag would announce one.
    header.extentType = exchange.extentType & ~ExtentTypeBits.versionList
    header.opcode = exchange.opcode
    header.resultCode = resultCode
    header.remainingFollowers = exchange.remainingFollowers
    header.crc = exchange.crc
    header.size = UInt32(text.count)
    header.partitionID = exchange.partitionID
    header.extentID = exchange.extentID
    header.extentOffset = exchange.extentOffset
    header.reqID = exchange.callerReqID
    header.kernelOffset = exchange.kernelOffset
    let extra = HeaderView.extensionLength(extentType: header.extentType, in: release)
    if extra >= 8 { header.verSeq = exchange.verSeq }
    // PacketProtoVersion1, the only one there is. CubeFS `proto/packet.go` v3.5.3.
    if extra == 12 { header.protoVersion = 1 }
    let bytes = header.encoded() + text
    guard bytes.count <= buffer.count else { return 0 }
    buffer.copyBytes(from: bytes)
    return bytes.count
  }
}
