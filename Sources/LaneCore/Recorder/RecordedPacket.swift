internal import CubeFSWire

/// A packet out of a `PacketRing`, as it went over that connection.
public struct RecordedPacket: Sendable, Equatable {
  /// When it was seen, and so its place among all packets of the process; the reactor's clock, nanoseconds.
  public var time: UInt64
  /// From the server to the caller.
  public var isReply: Bool
  /// Its whole length, bytes.
  public var length: Int
  /// Its first bytes: the head, and payload where that is kept.
  public var bytes: [UInt8]
  /// The ReqID that the same operation has on the other connection; 0 where that is not known.
  public var counterpart: Int64
  /// The stamp of the operation it belongs to, as operation ids have it; nil where that is not known.
  public var stamp: Int64?
  /// What became of it.
  public var verdict: PacketRing.Verdict
  /// Why it did not simply pass.
  public var reason: Reason?
  /// The bytes do not begin with a packet.
  public var isUnframed: Bool

  init(_ note: PacketRing.Note, isReply: Bool, bytes: UnsafeRawBufferPointer) {
    time = note.time
    self.isReply = isReply
    length = Int(note.length)
    self.bytes = Array(bytes)
    counterpart = note.counterpart
    verdict = note.verdict
    reason = note.reason
    isUnframed = note.isUnframed
  }

  /// Reads the fixed header of a packet that was kept; nil where it is not all there.
  static func header<Value>(isUnframed: Bool, _ bytes: UnsafeRawBufferPointer, _ read: (HeaderView) -> Value) -> Value? {
    guard !isUnframed, bytes.count >= HeaderView.fixedLength, let base = bytes.baseAddress else { return nil }
    // Nothing is written by way of it.
    return read(HeaderView(at: UnsafeMutableRawPointer(mutating: base)))
  }

  private func header<Value>(_ read: (HeaderView) -> Value) -> Value? {
    bytes.withUnsafeBytes { Self.header(isUnframed: isUnframed, $0, read) }
  }

  /// The ReqID of a packet that was kept; nil where the bytes are no packet.
  static func reqID(_ note: PacketRing.Note, _ bytes: UnsafeRawBufferPointer) -> Int64? {
    header(isUnframed: note.isUnframed, bytes, \.reqID)
  }

  /// The ReqID on this connection; nil where the bytes are no packet.
  public var reqID: Int64? { header(\.reqID) }

  /// What it says, in one line of ASCII text.
  public var summary: String {
    let text = header { header in
      let kind = isReply ? "reply \(header.resultCode.name)" : "request"
      return "\(header.opcode.name) \(kind), ReqID \(header.reqID), partition \(header.partitionID), extent \(header.extentID), "
        + "offset \(header.extentOffset), size \(header.size), \(length) bytes"
    }
    return text ?? "\(length) bytes that are no packet"
  }
}
