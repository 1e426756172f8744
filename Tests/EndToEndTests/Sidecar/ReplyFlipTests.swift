import CubeFSWire
import Testing

/// Each bit of a reply's header turned over, for each opcode, over real sockets.
@Suite struct ReplyFlipTests {
  private static let plain: UInt64 = 1 << 40
  private static let bits = 57 * 8

  @Test func everyFlippedBitPassesOrIsDroppedAsTheTableSays() throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        var answer = Exemplar.reply(to: request).bytes
        if request.header.partitionID != Self.plain {
          let bit = Int(request.header.partitionID & 0x1FF)
          answer[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        socket.send(answer)
        switch ProtocolTable.callerSees(answer, to: request.header) {
        case .refused(peerMustEnd: true), .cutOff: return
        default: break
        }
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let port = sidecar.port
    let failures = Shared<[String]>([])
    let sums = Shared((passed: 0, refused: 0, cutOff: 0, withheld: 0))
    let work = Shared(0)
    let cases = ProtocolTable.answered.flatMap { opcode in (0..<Self.bits).map { (opcode, $0) } }
    BlockingThread.run(16) { thread in
      var caller: StreamSocket?
      var reqID = Int64(thread) << 32
      while true {
        let index = work.withLock { next in
          defer { next += 1 }
          return next
        }
        // Each failure may cost a whole time limit: a few say enough.
        guard index < cases.count, failures.now.count < 20 else { return }
        let (opcode, bit) = cases[index]
        reqID += 1
        let request = Exemplar.request(opcode, reqID: reqID, partition: UInt64(0x4_0000 | bit))
        var answer = Exemplar.reply(to: request).bytes
        answer[bit / 8] ^= 1 << UInt8(bit % 8)
        let right = ProtocolTable.callerSees(answer, to: request.header)
        do {
          let socket = try caller ?? StreamSocket(port: port)
          caller = socket
          let failure = Self.check(socket, request, answer, right)
          if let failure {
            failures.withLock { $0.append("\(request.header.opcode.name), byte \(bit / 8) bit \(bit % 8), \(right): \(failure)") }
          }
          var isOver = failure != nil
          switch right {
          case .passed(let count):
            sums.withLock { $0.passed += 1 }
            // Unknown operations keep their connection: what follows there cannot be framed.
            isOver = isOver || (count < answer.count && ProtocolTable.shape(opcode) == .unknown)
          case .refused:
            sums.withLock { $0.refused += 1 }
            isOver = isOver || ProtocolTable.mustReset(opcode)
          case .cutOff:
            sums.withLock { $0.cutOff += 1 }
            isOver = true
          case .withheld:
            sums.withLock { $0.withheld += 1 }
            isOver = true
          }
          if isOver { caller = nil }
        } catch {
          failures.withLock { $0.append("\(error)") }
          return
        }
      }
    }
    #expect(failures.now.isEmpty, "\(failures.now.count) of \(cases.count):\n\(failures.now.prefix(20).joined(separator: "\n"))")
    let found = sums.now
    #expect(found.passed > 1000 && found.refused > 10_000 && found.cutOff > 100 && found.withheld > 100, "\(found)")
    let accounting = try sidecar.stop()
    #expect(accounting.started >= cases.count)
  }

  /// Nil where the caller sees what it must.
  private static func check(_ socket: StreamSocket, _ request: WirePacket, _ answer: [UInt8], _ right: ProtocolTable.CallerSees) -> String?
  {
    guard socket.send(request) else { return "the request is not taken" }
    switch right {
    case .passed(let count):
      let found = socket.receive(count)
      return found.bytes == Array(answer.prefix(count)) ? nil : "\(found.bytes.count) of \(count) bytes, \(found.ending)"
    case .refused where ProtocolTable.mustReset(request.header.opcode.rawValue):
      let found = socket.receiveToEnd()
      return found.bytes.isEmpty && found.ending == .reset ? nil : "no reset, but \(found.bytes.count) bytes, \(found.ending)"
    case .refused:
      guard let reply = socket.receivePacket() else { return "no error reply" }
      guard reply.isErrorReply(to: request) else { return "no error reply, but \(reply.header)" }
      let next = Exemplar.request(0x10, reqID: request.header.reqID, partition: plain)
      guard let fresh = socket.ask(next) else { return "the connection is of no use after the error reply" }
      return fresh == Exemplar.reply(to: next) ? nil : "a wrong answer after the error reply: \(fresh.header)"
    case .cutOff:
      let found = socket.receiveToEnd()
      let isPart = found.bytes.count < answer.count + 1 && found.bytes == Array(answer.prefix(found.bytes.count))
      return found.ending == .reset && isPart ? nil : "no cut, but \(found.bytes.count) bytes, \(found.ending)"
    case .withheld:
      let found = socket.receive(57)
      if found.ending == .complete, let header = PacketHeader(parsing: found.bytes), header.resultCode.rawValue == 0xF3 {
        let text = socket.receive(Int(header.size)).bytes
        return WirePacket(header: header, payload: text).isErrorReply(to: request) ? nil : "no error reply, but \(header)"
      }
      let rest = socket.receive(answer.count)
      return rest.ending == .reset && found.bytes.count + rest.bytes.count < answer.count ? nil : "\(found), \(rest)"
    }
  }
}
