import CubeFSWire

/// A packet of a stream without its Arg and payload, of which only lengths and a checksum are kept.
struct DecodedPacket {
  /// Where it begins, bytes from the start of the stream.
  var offset: UInt64
  var header: PacketHeader
  var payloadLength: Int
  var payloadCRC: UInt32
}

/// Cuts a stream into packets in one buffer of fixed size, whatever the stream's length.
struct PacketReader {
  /// Why the stream cannot be read to its end.
  enum Failure: CustomStringConvertible {
    /// Refused at this offset.
    case broken(FrameRefusal, offset: UInt64)
    /// Ended at `offset` with a packet begun; `missing` is unknown within a header.
    case truncated(offset: UInt64, packet: UInt64, opcode: Opcode?, missing: Int?)

    var description: String {
      switch self {
      case .broken(let refusal, let offset): return "the stream breaks at byte \(offset): \(refusal)"
      case .truncated(let offset, let packet, let opcode, let missing):
        let what = opcode.map { "the \($0.name) packet" } ?? "the header"
        let rest = missing.map { ", \($0) bytes short" } ?? ""
        return "the stream ends at byte \(offset), within \(what) that begins at byte \(packet)\(rest)"
      }
    }
  }

  /// Set once the stream broke.
  private(set) var failure: Failure?

  private static let bufferLength = 256 << 10
  private let direction: FrameDirection?
  private let release: CubeFSRelease
  private let limits = FrameLimits()
  private var framer: Framer
  private var buffer = [UInt8](repeating: 0, count: bufferLength)
  /// Bytes at the buffer's front that belong to an unfinished head.
  private var carried = 0
  /// Offset in the stream of the first byte not yet framed.
  private var position: UInt64 = 0
  private var current: DecodedPacket?
  private var crc = PayloadCRC()
  private var versionList: [UInt8] = []

  /// A reader at the start of a stream.
  /// - Parameters:
  ///   - direction: nil lets each packet's result code tell.
  ///   - release: whose headers.
  init(direction: FrameDirection?, release: CubeFSRelease) {
    self.direction = direction
    self.release = release
    framer = Framer(direction ?? .request, release: release, limits: limits)
  }

  /// Reads one piece of the stream and hands out the packets that it completes; sets `failure` where the stream broke.
  /// - Returns: false at the end of the stream. Throws what `read` of the input throws.
  mutating func read(from input: InputFile, _ found: (DecodedPacket) -> Void) throws -> Bool {
    var memory = buffer
    buffer = []
    defer { buffer = memory }
    return try memory.withUnsafeMutableBytes { raw in
      let count = try input.read(into: UnsafeMutableRawBufferPointer(rebasing: raw[carried...]))
      guard count > 0 else {
        atEnd()
        return false
      }
      var rest = UnsafeMutableRawBufferPointer(rebasing: raw[..<(carried + count)])
      frame(&rest, found)
      // `rest` is shorter than a head, and lies in the same buffer: an overlapping copy to the front.
      for index in rest.indices { raw[index] = rest[index] }
      carried = rest.count
      return true
    }
  }

  private mutating func frame(_ rest: inout UnsafeMutableRawBufferPointer, _ found: (DecodedPacket) -> Void) {
    while true {
      if direction == nil && !framer.isInsidePacket {
        // Byte 3 tells; before it is there a head is incomplete either way.
        let isRequest = rest.count < 4 || rest[3] == ResultCode.initial.rawValue
        framer = Framer(isRequest ? .request : .reply, release: release, limits: limits)
      }
      let before = rest.count
      let event = framer.next(&rest)
      let start = position
      position += UInt64(before - rest.count)
      switch event {
      case .needMore: return
      case .refused(let refusal):
        failure = .broken(refusal, offset: start)
        return
      case .head(let head):
        current = DecodedPacket(offset: start, header: PacketHeader(head), payloadLength: head.payloadLength, payloadCRC: 0)
        crc = PayloadCRC()
        versionList.removeAll(keepingCapacity: true)
        if head.bodyLength == 0 { finish(found) }
      case .body(let piece, let part, let last):
        switch part {
        case .versionList: versionList.append(contentsOf: piece)
        case .argument: break
        case .payload: crc.update(UnsafeRawBufferPointer(piece))
        }
        if last { finish(found) }
      }
    }
  }

  private mutating func finish(_ found: (DecodedPacket) -> Void) {
    guard var packet = current else { return }
    current = nil
    packet.payloadCRC = crc.value
    if packet.header.versions != nil { packet.header.versions = PacketHeader.Version.list(parsing: versionList) }
    found(packet)
  }

  private mutating func atEnd() {
    if let current {
      failure = .truncated(offset: position, packet: current.offset, opcode: current.header.opcode, missing: framer.bytesLeft)
    } else if carried > 0 {
      failure = .truncated(offset: position + UInt64(carried), packet: position, opcode: nil, missing: nil)
    }
  }
}
