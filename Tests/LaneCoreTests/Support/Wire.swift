import CubeFSWire
import Testing

@testable import LaneCore

/// What the framer and the judge said of a reply, together.
enum Verdict: Equatable {
  case passed(ReplyPlan)
  case refused(Reason?)

  var isPassed: Bool {
    if case .passed = self { true } else { false }
  }
}

/// A packet's header as a test builds it, and the bytes between header and payload.
struct TestPacket {
  var header = PacketHeader()
  var argument: [UInt8] = []

  /// One line of `LiveExchanges`, without its first word.
  init(fields: some Collection<Substring>) {
    let fields = Array(fields)
    func number<Number: FixedWidthInteger>(_ index: Int, _ radix: Int = 10) -> Number { Number(fields[index], radix: radix)! }
    header.extentType = number(0)
    header.opcode = Opcode(number(1, 16))
    header.resultCode = ResultCode(number(2, 16))
    header.remainingFollowers = number(3)
    header.crc = number(4)
    header.size = number(5)
    header.argLength = number(6)
    header.partitionID = number(7)
    header.extentID = number(8)
    header.extentOffset = number(9)
    header.reqID = number(10)
    header.kernelOffset = number(11)
    if fields.count > 12 {
      let digits = Array(fields[12].utf8)
      argument = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)! }
    }
  }

  init(_ header: PacketHeader, argument: [UInt8] = []) {
    self.header = header
    self.argument = argument
  }

  /// With one bit of the fixed header's 57 bytes turned over; nil where the magic is hit.
  func flipped(bit: Int) -> TestPacket? {
    var fixed = header
    (fixed.verSeq, fixed.protoVersion, fixed.versions) = (nil, nil, nil)
    var bytes = fixed.encoded()
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    guard bytes[0] == 0xFF else { return nil }
    // The extension that the flags announce is on the wire, as from a server that sets them.
    return bytes.withUnsafeMutableBytes { raw in
      raw.baseAddress.map { TestPacket(PacketHeader(HeaderView(at: $0)), argument: argument) }
    }
  }

  /// The bytes up to the payload, extended as the flags say.
  func encoded() -> [UInt8] {
    var whole = header
    let flags = header.extentType
    whole.verSeq = flags & 0x90 != 0 ? 9 : nil
    whole.protoVersion = flags & 0x10 != 0 ? 1 : nil
    whole.versions = flags & 0x40 != 0 ? [] : nil
    return whole.encoded() + argument
  }

  /// Gives the framed head to `body`; nil where the framer wants more or refuses.
  func withHead<Result>(_ direction: FrameDirection, _ body: (Framer.Head) throws -> Result) rethrows -> Result? {
    var bytes = encoded()
    return try bytes.withUnsafeMutableBytes { raw in
      var rest = raw
      var framer = Framer(direction, limits: FrameLimits())
      guard case .head(let head) = framer.next(&rest) else { return nil }
      return try body(head)
    }
  }

  /// The exchange of this request, sent whole.
  func exchange(stamp: Int64 = 77) -> Exchange {
    var exchange = withHead(.request) { Exchange($0, stamp: stamp, catalogue: .standard, now: 5) }!
    exchange.requestComplete = true
    return exchange
  }

  /// Judges this reply.
  func judged(by exchange: inout Exchange) -> Verdict {
    withHead(.reply) { head in
      do throws(Mismatch) {
        return Verdict.passed(try exchange.judge(head))
      } catch {
        return Verdict.refused(error.reason)
      }
    } ?? .refused(nil)
  }
}

/// A captured exchange.
struct LiveExchange: Sendable, CustomTestStringConvertible {
  var name: String
  var lines: [String]

  var testDescription: String { name }
  var request: TestPacket { TestPacket(fields: lines[0].split(separator: " ").dropFirst()) }
  var replies: [TestPacket] { lines.dropFirst().map { TestPacket(fields: $0.split(separator: " ").dropFirst()) } }

  static let all: [LiveExchange] = LiveExchanges.text.split(separator: "\n").reduce(into: []) { cases, line in
    if line.hasPrefix("case ") {
      cases.append(LiveExchange(name: String(line.dropFirst(5)), lines: []))
    } else {
      cases[cases.count - 1].lines.append(String(line))
    }
  }
}
