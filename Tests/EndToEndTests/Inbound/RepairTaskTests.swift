import CubeFSWire
import Testing

/// The tiny-delete over-read of PROTOCOL.md section 3: a follower is told in a NotifyReplicasToRepair where it will stop, and its
/// leader sends more than that.
@Suite struct RepairTaskTests {
  private static let full = 2_400_000

  private static let read = WirePacket.request(0x14, reqID: 5, partition: 7) { $0.header.extentOffset = 0 }

  /// What the leader's file has, chunk by chunk.
  private static let chunks = (0..<4).map { index in
    read.block(at: Int64(index * full), [UInt8](repeating: UInt8(index), count: full)) {
      $0.header.opcode = Opcode(0xF0)
      $0.header.extentID = 0
    }
  }

  /// A leader with four chunks, who goes on to the end of its file whatever its reader does.
  private static func leader() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        guard request.header.opcode.rawValue == 0x14 else {
          socket.send(Exemplar.reply(to: request))
          continue
        }
        for chunk in chunks where !socket.send(chunk.with(reqID: request.header.reqID)) { return }
      }
    }
  }

  private static func notify(_ body: String, partition: UInt64 = 7) -> WirePacket {
    .request(0x08, reqID: 1, partition: partition) { $0.payload = Array(body.utf8) }
  }

  /// - Returns: how many chunks the reader can take before something else ends the stream.
  private func chunks(after notify: WirePacket?, pieces: Int = 1 << 20, noted: Bool = false) throws -> Int {
    let seen = Shared<[WirePacket]>([])
    let datanode = try InboundTests.datanode(seen)
    let leader = try Self.leader()
    let body = notify.map { String(decoding: $0.payload, as: UTF8.self).replacing("LEADER", with: "127.0.0.1:\(leader.port)") }
    let sidecar = try Sidecar(peers: [leader.port], .init(datanode: datanode.port, sections: ["gate: {mode: off}"]))
    if let notify, let body {
      let remote = try StreamSocket(port: sidecar.inboundPort)
      let request = Self.notify(body, partition: notify.header.partitionID)
      #expect(remote.send(request.bytes, pieces: pieces))
      #expect(remote.receivePacket() == Exemplar.reply(to: request))
      // Byte for byte as it was sent.
      #expect(seen.now == [request])
    }
    let caller = try StreamSocket(port: sidecar.port)
    caller.setTimeout(seconds: 2)
    caller.send(Self.read)
    var count = 0
    while count < 4, caller.receivePacket() == Self.chunks[count] { count += 1 }
    try sidecar.stop()
    #expect(sidecar.log("task.unreadable").count == (noted ? 1 : 0))
    return count
  }

  private static let task =
    #"{"TaskType":1,"ExtentsToBeRepaired":[{"fileId":5}],"LeaderTinyDeleteRecordFileSize":4800000,"LeaderAddr":"LEADER"}"#

  @Test(arguments: [1 << 20, 1]) func theReaderIsNotOfferedMoreThanItWillTake(pieces: Int) throws {
    #expect(try chunks(after: Self.notify(Self.task), pieces: pieces) == 2)
  }

  @Test func withoutATaskTheStreamIsWhole() throws { #expect(try chunks(after: nil) == 4) }

  @Test func theTaskOfAnotherPartitionDoesNotCount() throws { #expect(try chunks(after: Self.notify(Self.task, partition: 8)) == 4) }

  @Test func theTaskOfAnotherLeaderDoesNotCount() throws {
    #expect(try chunks(after: Self.notify(Self.task.replacing("LEADER", with: "127.0.0.1:1"))) == 4)
  }

  @Test func aBodyThatDoesNotParseIsPassedOnAndNoted() throws {
    #expect(try chunks(after: Self.notify(Self.task + "}"), noted: true) == 4)
  }
}
