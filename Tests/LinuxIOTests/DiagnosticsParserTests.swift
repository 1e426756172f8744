import Glibc
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

/// An answer put together byte by byte from the offsets of linux/netlink.h and linux/inet_diag.h, not by the code under test.
private struct Answer {
  var type: UInt16 = 20
  var sequence: UInt32 = 7
  var family: UInt8 = 2
  var state: UInt8 = 1
  var attributes: [(type: UInt16, payload: [UInt8])] = []
  let tuple = SocketTuple(source: Endpoint(address: 0x7F00_0001, port: 40_000), destination: Endpoint(address: 0x0A01_0203, port: 17_310))

  static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { Array($0) } }

  /// acked 1001, received 1002, sent 1003, retrans 4, not sent 5, at their offsets in tcp_info.
  static func info(_ length: Int) -> [UInt8] {
    var info = [UInt8](repeating: 0xEE, count: 280)
    info.replaceSubrange(120..<128, with: little(UInt64(1001)))
    info.replaceSubrange(128..<136, with: little(UInt64(1002)))
    info.replaceSubrange(144..<148, with: little(UInt32(5)))
    info.replaceSubrange(200..<208, with: little(UInt64(1003)))
    info.replaceSubrange(208..<216, with: little(UInt64(4)))
    return Array(info.prefix(length)) + [UInt8](repeating: 0xEE, count: max(0, length - 280))
  }

  var bytes: [UInt8] {
    func address(_ endpoint: Endpoint) -> [UInt8] {
      let four = withUnsafeBytes(of: endpoint.address.bigEndian) { Array($0) }
      return family == 10
        ? [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + four : four + [UInt8](repeating: 0, count: 12)
    }
    var body: [UInt8] = [family, state, 0, 0]
    for port in [tuple.source.port, tuple.destination.port] { body += [UInt8(port >> 8), UInt8(port & 0xFF)] }
    body += address(tuple.source) + address(tuple.destination) + Answer.little(UInt32(0))
    body += Answer.little(UInt64(0x1122_3344_5566_7788))
    for number in [0, 11, 22, 33, 44] as [UInt32] { body += Answer.little(number) }
    for attribute in attributes {
      body += Answer.little(UInt16(attribute.payload.count + 4)) + Answer.little(attribute.type) + attribute.payload
      while body.count % 4 != 0 { body.append(0) }
    }
    return Answer.header(body.count, type, sequence) + body
  }

  static func header(_ bodyLength: Int, _ type: UInt16, _ sequence: UInt32) -> [UInt8] {
    little(UInt32(16 + bodyLength)) + little(type) + little(UInt16(0)) + little(sequence) + little(UInt32(0))
  }

  static func error(_ number: Int32) -> [UInt8] { header(20, 2, 7) + little(number) + [UInt8](repeating: 0, count: 16) }
}

/// A page, and behind it one that cannot be read: a byte too far ends the process.
private final class GuardedPage {
  private let base: UnsafeMutableRawPointer

  init() throws {
    let mapped = try #require(mmap(nil, 8192, PROT_READ | PROT_WRITE, Int32(MAP_PRIVATE | MAP_ANONYMOUS), -1, 0))
    try #require(mapped != MAP_FAILED && mprotect(mapped + 4096, 4096, PROT_NONE) == 0)
    base = mapped
  }

  deinit { munmap(base, 8192) }

  /// The bytes moved so that their last one is the last that can be read.
  func hold(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    let start = base + 4096 - bytes.count
    start.copyMemory(from: bytes, byteCount: bytes.count)
    return UnsafeRawBufferPointer(start: start, count: bytes.count)
  }
}

@Suite struct DiagnosticsParserTests {
  private func parse(_ bytes: [UInt8], counters: Bool = true) throws(DiagnosticsFailure) -> CallerSocket {
    let asked = Answer().tuple
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    return try DiagnosticsMessage.parse(
      UnsafeRawBufferPointer(rebasing: copy[..<bytes.count]), asked: asked, counters: counters, sequence: 7)
  }

  private func refusal(_ bytes: [UInt8], counters: Bool = true) -> DiagnosticsFailure? {
    failure { () throws(DiagnosticsFailure) in try parse(bytes, counters: counters) }
  }

  @Test func readsEveryField() throws {
    for family in [2, 10] as [UInt8] {
      var answer = Answer(family: family)
      answer.attributes = [(8, [3]), (2, Answer.info(280)), (21, [1, 2, 3, 4, 5])]
      let counters = CallerSocket.Counters(bytesReceived: 1002, bytesSent: 1003, bytesRetrans: 4, bytesAcked: 1001, notSent: 5)
      var expected = CallerSocket(
        cookie: 0x1122_3344_5566_7788, tuple: answer.tuple, isMapped: family == 10, state: 1, rqueue: 11, wqueue: 22, inode: 44, uid: 33,
        hasULP: false, counters: counters)
      #expect(try parse(answer.bytes) == expected)
      // The attribute that says "not what you see", with the flag bits that a kernel may set in its type.
      for type in [19, 19 | 0x8000] as [UInt16] {
        answer.attributes.append((type, [8, 0, 1, 0, 0x74, 0x6C, 0x73, 0]))
        expected.hasULP = true
        #expect(try parse(answer.bytes) == expected)
        answer.attributes.removeLast()
      }
    }
  }

  @Test func shortTCPInfoNamesTheField() {
    let ends: [(Int, TCPInfoField?)] = [
      (0, .bytesAcked), (127, .bytesAcked), (128, .bytesReceived), (135, .bytesReceived), (136, .notSent), (147, .notSent),
      (148, .bytesSent), (207, .bytesSent), (208, .bytesRetrans), (215, .bytesRetrans), (216, nil), (280, nil), (400, nil),
    ]
    for (length, field) in ends {
      var answer = Answer()
      answer.attributes = [(2, Answer.info(length))]
      #expect(refusal(answer.bytes) == field.map { .truncated(field: $0, length: length) }, "\(length)")
    }
  }

  @Test func refusalsAreTold() {
    #expect(refusal(Answer.error(-2)) == .notFound)
    #expect(refusal(Answer.error(-1)) == .refused(SystemFailure(.diagnosticsQuery, EPERM)))
    #expect(refusal(Answer.error(-13)) == .refused(SystemFailure(.diagnosticsQuery, EACCES)))
    #expect(refusal(Answer.error(-12)) == .system(SystemFailure(.diagnosticsQuery, ENOMEM)))
    for number in [0, 1, -5000, Int32.min] as [Int32] { #expect(refusal(Answer.error(number)) == .malformed(.errorNumber)) }
    #expect(refusal(Array(Answer.error(-2).prefix(18))) == .malformed(.messageLength))
  }

  @Test func wrongMessagesAreNoEvidence() throws {
    var answer = Answer()
    #expect(refusal(answer.bytes, counters: false) == nil)
    answer.attributes = [(19, [])]
    #expect(try parse(answer.bytes, counters: false).hasULP == nil)
    #expect(refusal(answer.bytes) == .malformed(.infoAbsent))
    answer.state = 6
    #expect(refusal(answer.bytes) == nil, "TIME_WAIT has no INFO")
    answer = Answer(sequence: 8)
    #expect(refusal(answer.bytes) == .malformed(.sequence))
    answer = Answer(type: 21)
    #expect(refusal(answer.bytes) == .malformed(.messageType))
    answer = Answer(family: 1)
    #expect(refusal(answer.bytes) == .malformed(.family))
    var bytes = Answer(family: 10).bytes
    bytes[24] = 0x20
    #expect(refusal(bytes) == .malformed(.family), "2000::ffff:127.0.0.1")
    for offset in [20, 22, 24, 40] {
      bytes = Answer().bytes
      bytes[offset] ^= 1
      guard case .wrongTuple(let found, 1)? = refusal(bytes, counters: false) else {
        Issue.record("byte \(offset)")
        continue
      }
      #expect(found != Answer().tuple)
    }
    answer = Answer(attributes: [(8, [3])])
    for length in [0, 3, 9, 0xFFFF] as [UInt16] {
      bytes = answer.bytes
      bytes.replaceSubrange(88..<90, with: Answer.little(length))
      #expect(refusal(bytes, counters: false) == .malformed(.attributeLength), "\(length)")
    }
    #expect(refusal([]) == .malformed(.messageLength))
  }

  /// Every prefix and 200,000 mutations, each at the very end of readable memory. What passes is the tuple that was asked for.
  @Test func hostileMessagesAreRefusedWithinBounds() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("hostileMessagesAreRefusedWithinBounds: seed \(seed)")
    var random = SeededGenerator(seed: seed)
    let page = try GuardedPage()
    var plain = Answer()
    plain.attributes = [(8, [3]), (2, Answer.info(280)), (19, [8, 0, 1, 0, 0x74, 0x6C, 0x73, 0])]
    let samples = [plain.bytes, Answer.error(-2)]
    var passed = 0
    func check(_ bytes: [UInt8]) {
      let held = page.hold(bytes)
      do throws(DiagnosticsFailure) {
        let socket = try DiagnosticsMessage.parse(held, asked: plain.tuple, counters: Bool.random(using: &random), sequence: 7)
        passed += 1
        #expect(socket.tuple == plain.tuple)
      } catch {
        #expect(error != .malformed(.absent))
      }
    }
    for sample in samples {
      for length in 0...sample.count { check(Array(sample.prefix(length))) }
    }
    for _ in 0..<200_000 {
      var bytes = samples[Int.random(in: 0..<20, using: &random) == 0 ? 1 : 0]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        // Half of the changes are to lengths: the message's own, and those of the attributes.
        let target = Bool.random(using: &random) ? place : [0, 1, 88, 89, 96, 97, bytes.count - 12][Int.random(in: 0..<7, using: &random)]
        if target < bytes.count { bytes[target] = UInt8.random(in: 0...255, using: &random) }
      }
      if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
      check(bytes)
    }
    #expect(passed > 100, "the mutations leave nothing that can be read: they test nothing")
  }
}
