public import CubeFSWire

/// The error reply that Lanekeeper writes where a reply was dropped or will never come.
public enum ErrorReply {
  /// Its payload. The text is protocol (PROTOCOL.md section 6, number 5): requesters search it for words like "timeout",
  /// "try again", "not exist", "no space"; this has none, so that it counts as what the result code says.
  public static let text = "lanekeeper_the answer was withheld by the sidecar"

  /// The longest, bytes.
  public static let longest = HeaderView.fixedLength + 12 + text.utf8.count

  /// Writes the reply to that request: its ids, `OpIntraGroupNetErr`, ArgLen 0, in the header length that its flags ask
  /// for. Returns the bytes used of `buffer`, which must have room for `longest`.
  public static func write(_ exchange: Exchange, release: CubeFSRelease, to buffer: UnsafeMutableRawBufferPointer) -> Int {
    var header = PacketHeader()
    // The version list is the server's own to add; its flag would announce one.
    header.extentType = exchange.extentType & ~ExtentTypeBits.versionList
    header.opcode = exchange.opcode
    header.resultCode = .intraGroupNetErr
    header.remainingFollowers = exchange.remainingFollowers
    header.crc = exchange.crc
    header.size = UInt32(text.utf8.count)
    header.partitionID = exchange.partitionID
    header.extentID = exchange.extentID
    header.extentOffset = exchange.extentOffset
    header.reqID = exchange.callerReqID
    header.kernelOffset = exchange.kernelOffset
    let extra = HeaderView.extensionLength(extentType: header.extentType, in: release)
    if extra >= 8 { header.verSeq = exchange.verSeq }
    // PacketProtoVersion1, the only one there is. CubeFS `proto/packet.go` v3.5.3.
    if extra == 12 { header.protoVersion = 1 }
    let bytes = header.encoded() + text.utf8
    guard bytes.count <= buffer.count else { return 0 }
    buffer.copyBytes(from: bytes)
    return bytes.count
  }
}
