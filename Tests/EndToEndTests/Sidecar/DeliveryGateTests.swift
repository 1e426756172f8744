import CubeFSWire
import Glibc
import TestBytes
import Testing

/// The delivery gate over real sockets: what a caller that does not read can and cannot find in its socket.
@Suite struct DeliveryGateTests {
  /// A peer whose answer to each 09 is one block after the other, of that many bytes each; it answers the rest as they ask.
  private static func blocksPeer(_ block: Int, _ change: @escaping @Sendable (inout WirePacket) -> Void = { _ in }) throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        guard request.header.opcode.rawValue == 0x09 else {
          socket.send(Exemplar.reply(to: request))
          continue
        }
        for packet in blocks(of: request, block, change) where !socket.send(packet) { return }
      }
    }
  }

  private static func blocks(
    of request: WirePacket, _ block: Int, _ change: @escaping @Sendable (inout WirePacket) -> Void = { _ in }
  ) -> [WirePacket] {
    stride(from: 0, to: Int(request.header.size), by: block).map { start in
      request.block(
        at: request.header.extentOffset + Int64(start), pattern(min(block, Int(request.header.size) - start), seed: start), change)
    }
  }

  /// All that the caller's kernel holds, once nothing more arrives for a while: the gate polls every 25 ms at the slowest.
  private static func settled(_ caller: StreamSocket, atLeast least: Int) -> Int {
    _ = eventually { caller.readableCount >= least }
    var last = -1
    var count = caller.readableCount
    while count != last {
      last = count
      _ = poll(nil, 0, 150)
      count = caller.readableCount
    }
    return count
  }

  @Test func aReplyIsNotCompletedBeforeItsCallerReadsIt() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 3000)
    let right = Self.blocks(of: request, 1000)
    caller.send(request)
    for (number, block) in right.enumerated() {
      #expect(Self.settled(caller, atLeast: 1056) == 1056, "reply \(number)")
      let found = caller.receive(1057)
      #expect(found.bytes == block.bytes, "reply \(number)")
    }
    #expect(try sidecar.stop().delivered == 1)
  }

  /// The same story with the gate off: the whole reply lies there for whoever reads next.
  @Test func withoutTheGateItIs() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["gate: {mode: off}"]))
    #expect(sidecar.log("gate.disabled", reason: "gate-off").count == 1)
    let caller = try StreamSocket(port: sidecar.port)
    caller.send(WirePacket.request(0x09, reqID: 1, size: 3000))
    #expect(Self.settled(caller, atLeast: 3 * 1057) == 3 * 1057)
    #expect(try sidecar.stop().delivered == 1)
  }

  @Test func aCallerThatGoesOnWithAReplyUnreadIsReset() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    caller.send(WirePacket.request(0x09, reqID: 1, size: 3000))
    #expect(Self.settled(caller, atLeast: 1056) == 1056)
    caller.send(Exemplar.request(0x10, reqID: 2, partition: 8))
    let found = caller.receiveToEnd()
    #expect(found.bytes.count < 1057 && found.ending == .reset, "\(found.bytes.count) bytes, \(found.ending)")
    let line = try #require(try sidecar.waitFor("caller.dirty-reuse").first)
    #expect(line["severity"] == "critical" && line["opcode"] == "OpExtentRepairRead" && line["callerReqID"] == "1")
    #expect(line["observed"]?.contains("OpGetAppliedId") == true)
    #expect(eventually { peer.living == 0 })
    let accounting = try sidecar.stop()
    #expect(accounting.started == 2 && accounting.reset == 2)
  }

  /// A piece of a newer request says as much as the whole.
  @Test func thePieceOfANewerRequestResetsToo() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    caller.send(WirePacket.request(0x09, reqID: 1, size: 1000))
    #expect(Self.settled(caller, atLeast: 1056) == 1056)
    caller.send(Exemplar.request(0x10, reqID: 2, partition: 8).bytes.prefix(1))
    let found = caller.receiveToEnd()
    #expect(found.bytes.count < 1057 && found.ending == .reset)
    try sidecar.stop()
  }

  @Test func aCallerThatHasReadAllItWasHandedMayGoOn() throws {
    let gone = Shared(false)
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        if request.header.opcode.rawValue == 0x09 {
          socket.send(request.block(at: request.header.extentOffset, pattern(1000)))
          _ = socket.receiveToEnd()
          return gone.withLock { $0 = true }
        }
        socket.send(Exemplar.reply(to: request))
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 3000)
    #expect(caller.ask(request) == request.block(at: request.header.extentOffset, pattern(1000)))
    let next = Exemplar.request(0x10, reqID: 2, partition: 8)
    #expect(caller.ask(next) == Exemplar.reply(to: next))
    #expect(eventually { gone.now })
    #expect(sidecar.log("caller.dirty-reuse").isEmpty)
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == 1 && accounting.abandoned == 1)
  }

  /// Readers of releases before 3.5.0 take 57 bytes and the payload for the whole of a packet that has 12 more.
  @Test func aLongHeadersTailIsAsLongAsItsExtension() throws {
    let peer = try Self.blocksPeer(1000) {
      $0.header.extentType |= 0x10
      $0.header.verSeq = 3
      $0.header.protoVersion = 1
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 1000)
    caller.send(request)
    #expect(Self.settled(caller, atLeast: 1056) == 1056)
    #expect(caller.receive(1069).ending == .complete)
    #expect(try sidecar.stop().delivered == 1)
  }

  @Test func anErrorReplyOfOurOwnIsGatedToo() throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() { socket.send(request.with(reqID: 77).mutated()) }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 1000)
    caller.send(request)
    let count = Self.settled(caller, atLeast: 56)
    let found = caller.receive(count + 1)
    #expect(found.ending == .complete)
    #expect(!caller.isReadable(within: 50))
    try sidecar.waitFor("reply.dropped", reason: "stamp-unknown")
    // The connection is as good as new.
    caller.send(request)
    #expect(caller.receivePacket()?.isErrorReply(to: request) == true)
    #expect(try sidecar.stop().errorReply == 2)
  }

  @Test func aRefusalBeforeTheCallerIsKnownIsGatedToo() throws {
    let peer = try ScriptedPeer { _, _ in }
    let port = peer.port
    peer.stop()
    let sidecar = try Sidecar(peers: [port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 1000)
    caller.send(request)
    let count = Self.settled(caller, atLeast: 56)
    caller.send(Exemplar.request(0x10, reqID: 2, partition: 8))
    let found = caller.receiveToEnd()
    #expect(found.ending == .reset && found.bytes.count <= count)
    #expect(try sidecar.stop().reset == 2)
  }

  @Test(arguments: [1, 57, 1000]) func piecesOnBothSides(_ piece: Int) throws {
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        for packet in Self.blocks(of: request, 700) where !socket.send(packet.bytes, pieces: piece) { return }
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 2000)
    caller.send(request.bytes, pieces: piece)
    var found: [UInt8] = []
    let right = Self.blocks(of: request, 700).flatMap(\.bytes)
    while found.count < right.count {
      let next = caller.receive(min(piece, right.count - found.count))
      found += next.bytes
      guard next.ending == .complete else { break }
    }
    #expect(found == right)
    #expect(try sidecar.stop().delivered == 1)
  }

  @Test func manyRepliesOfAFullBlockArrive() throws {
    let peer = try Self.blocksPeer(128 * 1024)
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 64 * 128 * 1024)
    caller.send(request)
    for block in Self.blocks(of: request, 128 * 1024) { #expect(caller.receive(57 + 128 * 1024).bytes == block.bytes) }
    #expect(try sidecar.stop().delivered == 1)
  }

  /// What is read ahead while a tail is withheld is judged like the rest: a damaged byte in it, wherever it is, reaches nobody.
  @Test(arguments: [57, 57 + 64 * 1024, 57 + 128 * 1024 - 1]) func aBlockDamagedInWhatIsReadAheadIsFound(_ place: Int) throws {
    let block = 128 * 1024
    let peer = try ScriptedPeer { socket, _ in
      guard let request = socket.receiveRequest() else { return }
      var replies = Self.blocks(of: request, block).map(\.bytes)
      replies[5][place] ^= 1
      socket.send(Array(replies.joined()))
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: UInt32(8 * block))
    caller.send(request)
    for (number, right) in Self.blocks(of: request, block).prefix(5).enumerated() {
      #expect(firstDifference(caller.receive(57 + block).bytes, right.bytes) == nil, "reply \(number)")
    }
    // An error reply where all of the block was here, else a reset.
    #expect(caller.receivePacket()?.isErrorReply(to: request) ?? true)
    #expect(try sidecar.waitFor("reply.dropped").first?["reason"] == "payload-crc")
    #expect(try sidecar.stop().delivered == 0)
  }

  /// 17's server sends one reply more than any requester reads (PROTOCOL.md section 2): with the last block, or while that is held.
  @Test(arguments: [false, true]) func theReplyTooManyIsSwallowed(_ later: Bool) throws {
    let isHeld = Shared(false)
    let peer = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        guard request.header.opcode.rawValue == 0x17 else {
          socket.send(Exemplar.reply(to: request))
          continue
        }
        let last = Exemplar.reply(to: request).bytes
        if later {
          socket.send(last)
          _ = eventually { isHeld.now }
          socket.send(request.mutated().bytes)
        } else {
          socket.send(last + request.mutated().bytes)
        }
      }
    }
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = Exemplar.request(0x17, reqID: 1, partition: 7)
    let right = Exemplar.reply(to: request)
    caller.send(request)
    #expect(Self.settled(caller, atLeast: right.bytes.count - 1) == right.bytes.count - 1)
    isHeld.withLock { $0 = true }
    #expect(Self.settled(caller, atLeast: 1) == right.bytes.count - 1)
    #expect(caller.receivePacket() == right)
    #expect(!caller.isReadable(within: 50))
    let next = Exemplar.request(0x10, reqID: 2, partition: 8)
    #expect(caller.ask(next) == Exemplar.reply(to: next))
    #expect(sidecar.log("reply.unsolicited").isEmpty)
    #expect(try sidecar.stop().delivered == 2)
  }

  @Test func aCallerThatShutsItsSendingSideIsServed() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port])
    let caller = try StreamSocket(port: sidecar.port)
    let request = WirePacket.request(0x09, reqID: 1, size: 3000)
    caller.send(request)
    #expect(Self.settled(caller, atLeast: 1056) == 1056)
    caller.finishSending()
    let found = caller.receiveToEnd()
    #expect(found.bytes == Self.blocks(of: request, 1000).flatMap(\.bytes) && found.ending == .end)
    #expect(try sidecar.stop().delivered == 1)
  }

  @Test func aCallerThatClosesIsForgotten() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port])
    do {
      let caller = try StreamSocket(port: sidecar.port)
      caller.send(WirePacket.request(0x09, reqID: 1, size: 3000))
      #expect(Self.settled(caller, atLeast: 1056) == 1056)
    }
    #expect(eventually { peer.living == 0 })
    #expect(try sidecar.stop().abandoned == 1)
  }

  @Test func anUnreadReplyIsAnAlertAndInTheEndAReset() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["gate: {slowStream: 100ms, resourceLimit: 1s}"]))
    let caller = try StreamSocket(port: sidecar.port)
    caller.send(WirePacket.request(0x09, reqID: 1, size: 3000))
    let slow = try #require(try sidecar.waitFor("caller.slow-stream").first)
    #expect(slow["severity"] == "warning" && slow["callerReqID"] == "1" && slow["opcode"] == "OpExtentRepairRead")
    let reset = try #require(try sidecar.waitFor("caller.reset", reason: "reply-unread").first)
    #expect(reset["alert"] == "caller.reset")
    #expect(caller.receiveToEnd().ending == .reset)
    #expect(sidecar.log("caller.slow-stream").count == 1)
    #expect(try sidecar.stop().reset == 1)
  }

  /// Under MPTCP the kernel moves bytes out of the socket before the caller asks for them.
  @Test func anMPTCPCallerIsServedAndReported() throws {
    let peer = try Self.blocksPeer(1000)
    let sidecar = try Sidecar(peers: [peer.port])
    // IPPROTO_MPTCP, linux/in.h.
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 262)
    guard descriptor >= 0 else { return print("this kernel has no MPTCP: \(String(cString: strerror(errno)))") }
    try #require(withLoopback(port: sidecar.port) { connect(descriptor, $0, $1) } == 0)
    let caller = StreamSocket(owning: descriptor)
    let request = WirePacket.request(0x09, reqID: 1, size: 3000)
    caller.send(request)
    #expect(caller.receive(3 * 1057).bytes == Self.blocks(of: request, 1000).flatMap(\.bytes))
    #expect(try sidecar.waitFor("caller.blind").count == 1)
    #expect(try sidecar.stop().delivered == 1)
  }
}

extension StreamSocket {
  /// Bytes in the receive queue (FIONREAD).
  var readableCount: Int {
    var count: Int32 = 0
    return ioctl(descriptor, UInt(FIONREAD), &count) == 0 ? Int(count) : -1
  }
}
