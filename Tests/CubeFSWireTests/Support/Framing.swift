import CubeFSWire
import TestBytes
import Testing

/// What a framer made of a stream.
struct Framing {
  var packets: [RawPacket] = []
  var refusal: FrameRefusal?
  /// Bytes of heads and bodies that were taken.
  var consumed = 0
  /// True where the stream ended inside a packet or a head.
  var isTruncated = false
  /// Calls of `next`.
  var calls = 0

  /// Frames the stream as it arrives in pieces of these lengths, the last length repeated to the end.
  ///
  /// The framer sees memory of its own, with other bytes behind it: reading past what it was given gives wrong packets.
  static func of(
    _ stream: [UInt8], direction: FrameDirection, release: CubeFSRelease = .auto, limits: FrameLimits = FrameLimits(),
    pieces lengths: some Sequence<Int>
  ) -> Framing {
    var result = Framing()
    var framer = Framer(direction, release: release, limits: limits)
    var current: (header: PacketHeader, length: Int, list: [UInt8], argument: [UInt8], payload: [UInt8], offset: Int)?
    var carry: [UInt8] = []
    var position = 0
    var iterator = lengths.makeIterator()
    var length = 1
    let behind = 128
    var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 * behind, alignment: 16)
    defer { memory.deallocate() }

    // Once per call: an expectation for each costs more than the framer.
    func demand(_ condition: Bool, _ rule: Comment) {
      if !condition { Issue.record(rule) }
    }

    func finish() {
      guard var packet = current else { return }
      if packet.header.versions != nil { packet.header.versions = PacketHeader.Version.list(parsing: packet.list) }
      result.packets.append(
        RawPacket(
          packet.header, offset: packet.offset, argument: packet.argument, payload: packet.payload,
          headerLength: packet.length + packet.list.count))
      current = nil
    }

    while position < stream.count {
      length = max(1, iterator.next() ?? length)
      let end = min(stream.count, position + length)
      let count = carry.count + end - position
      if memory.count < count + behind {
        memory.deallocate()
        memory = .allocate(byteCount: 2 * count + behind, alignment: 16)
      }
      memory.copyBytes(from: carry)
      UnsafeMutableRawBufferPointer(rebasing: memory[carry.count..<count]).copyBytes(from: stream[position..<end])
      UnsafeMutableRawBufferPointer(rebasing: memory[count..<count + behind]).initializeMemory(as: UInt8.self, repeating: 0xA5)
      position = end
      var rest = UnsafeMutableRawBufferPointer(rebasing: memory[..<count])

      pieces: while true {
        let before = rest.count
        result.calls += 1
        let event = framer.next(&rest)
        result.consumed += before - rest.count
        switch event {
        case .needMore:
          demand(!framer.isInsidePacket || rest.isEmpty, "a piece of a body was left")
          break pieces
        case .head(let head):
          demand(current == nil, "a head inside a packet")
          demand(head.length == before - rest.count, "a head takes its own length")
          let fixed = head.argumentOffset ?? head.length
          current = (PacketHeader(head), fixed, [], Array(head.bytes[fixed...]), [], result.consumed - head.length)
          demand(head.bodyLength == framer.bytesLeft, "the body is what is left")
          if head.bodyLength == 0 { finish() }
        case .body(let piece, let part, let last):
          demand(piece.count == before - rest.count && piece.count > 0, "a piece takes its own length")
          switch part {
          case .versionList: current?.list += piece
          case .argument: current?.argument += piece
          case .payload: current?.payload += piece
          }
          demand(last == !framer.isInsidePacket, "the last piece ends the packet")
          if last { finish() }
        case .refused(let refusal):
          demand(before == rest.count, "a refusal takes no byte")
          guard case .refused(refusal) = framer.next(&rest) else {
            Issue.record("a refusal must stay")
            return result
          }
          result.refusal = refusal
          return result
        }
      }
      carry = Array(rest)
      demand(carry.count < Framer.longestHead, "a carry is shorter than the longest head")
    }
    result.isTruncated = framer.isInsidePacket || !carry.isEmpty
    return result
  }

  /// Lengths of random pieces: mostly small, some empty-handed single bytes, some large.
  static func randomPieces(_ total: Int, _ generator: inout SeededGenerator) -> [Int] {
    var lengths: [Int] = []
    var sum = 0
    while sum < total {
      let bound = [1, 3, 64, 200, 5_000, 300_000].randomElement(using: &generator) ?? 1
      lengths.append(Int.random(in: 1...bound, using: &generator))
      sum += lengths[lengths.count - 1]
    }
    return lengths
  }
}
