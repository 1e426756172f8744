import CubeFSWire
import Glibc
import Testing

/// A datanode that keeps what it was asked and answers some opcodes only when told to.
final class HoldingDatanode: Sendable {
  let seen = Shared<[WirePacket]>([])
  private let held: Shared<Set<UInt8>>
  private let peer = Shared<ScriptedPeer?>(nil)

  init(holding: Set<UInt8> = []) throws {
    held = Shared(holding)
    let (seen, held) = (seen, held)
    let made = try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        seen.withLock { $0.append(request) }
        let opcode = request.header.opcode.rawValue
        guard eventually(within: .seconds(60), { !held.now.contains(opcode) }) else { return }
        socket.send(Exemplar.reply(to: request))
      }
    }
    peer.withLock { $0 = made }
  }

  var port: UInt16 { peer.now?.port ?? 0 }
  /// The opcodes that came, in their order.
  var opcodes: [UInt8] { seen.now.map { $0.header.opcode.rawValue } }

  func hold(_ opcode: UInt8) { held.withLock { _ = $0.insert(opcode) } }
  func answer(_ opcode: UInt8) { held.withLock { _ = $0.remove(opcode) } }
}

/// A sidecar between a local datanode and one peer, and the requests of a story on one extent.
struct GuardStage {
  static let partition: UInt64 = 7
  static let extent: UInt64 = 1_025

  let datanode: HoldingDatanode
  let peer: HoldingDatanode
  let sidecar: Sidecar
  let metrics: UInt16

  init(_ mode: String? = nil, atLimit: String? = nil, datanode: Set<UInt8> = [], peer: Set<UInt8> = []) throws {
    self.datanode = try HoldingDatanode(holding: datanode)
    self.peer = try HoldingDatanode(holding: peer)
    let keys = [mode.map { "mode: \($0)" }, atLimit.map { "atLimit: \($0)" }].compactMap { $0 }
    sidecar = try Sidecar(
      peers: [self.peer.port],
      .init(
        datanode: self.datanode.port,
        sections: ["metrics: {listen: 127.0.0.1:0}"] + (keys.isEmpty ? [] : ["guard: {\(keys.joined(separator: ", "))}"])))
    metrics = try sidecar.metricsPort()
  }

  static func delete(_ extent: UInt64 = Self.extent, reqID: Int64 = 21, followers: UInt8 = 0) -> WirePacket {
    .request(0x02, reqID: reqID, partition: partition) {
      $0.header.extentID = extent
      $0.header.remainingFollowers = followers
    }
  }

  static func batch(_ extents: [UInt64], reqID: Int64 = 22) -> WirePacket {
    .request(0x75, reqID: reqID, partition: partition) {
      $0.header.extentID = 0
      let keys = extents.map {
        "{\"FileOffset\":0,\"PartitionId\":\(partition),\"ExtentId\":\($0),\"ExtentOffset\":0,\"Size\":131072,\"CRC\":0}"
      }
      $0.payload = Array("[\(keys.joined(separator: ","))]".utf8)
    }
  }

  static func read(_ extent: UInt64 = Self.extent, reqID: Int64 = 31) -> WirePacket {
    .request(0x09, reqID: reqID, partition: partition, size: 300) { $0.header.extentID = extent }
  }

  static func watermarks(reqID: Int64 = 41) -> WirePacket { .request(0x07, reqID: reqID, partition: partition) }

  static func task(creating: [UInt64], repairing: [UInt64], reqID: Int64 = 51) -> WirePacket {
    .request(0x08, reqID: reqID, partition: partition) {
      func list(_ extents: [UInt64]) -> String { extents.map { "{\"fileId\":\($0),\"size\":131072,\"Crc\":0}" }.joined(separator: ",") }
      $0.payload = Array(
        """
        {"TaskType":1,"ExtentsToBeCreated":[\(list(creating))],"ExtentsToBeRepaired":[\(list(creating + repairing))],\
        "LeaderTinyDeleteRecordFileSize":0,"LeaderAddr":"127.0.0.1:1"}
        """.utf8)
    }
  }

  /// A connection to the local datanode.
  func client() throws -> StreamSocket { try StreamSocket(port: sidecar.inboundPort) }
  /// A connection of the local datanode's to the peer.
  func caller() throws -> StreamSocket { try StreamSocket(port: sidecar.port) }

  /// A leader's task that names the extent runs at a datanode that does not answer it yet.
  func runTask(
    at datanode: HoldingDatanode, from leader: StreamSocket, sourceLocation: SourceLocation = #_sourceLocation
  ) -> (leader: StreamSocket, task: WirePacket) {
    let task = Self.task(creating: [], repairing: [Self.extent])
    leader.send(task)
    #expect(eventually { datanode.opcodes == [0x08] }, sourceLocation: sourceLocation)
    return (leader, task)
  }

  /// It answers.
  func endTask(
    _ task: WirePacket, at datanode: HoldingDatanode, _ leader: StreamSocket, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    datanode.answer(0x08)
    #expect(leader.receivePacket() == Exemplar.reply(to: task), sourceLocation: sourceLocation)
  }

  /// The local datanode reads the extent from its peer, for a repair; that does not answer yet.
  func runRepair(sourceLocation: SourceLocation = #_sourceLocation) throws -> StreamSocket {
    let repair = try caller()
    repair.send(Self.read())
    #expect(eventually { peer.opcodes == [0x09] }, sourceLocation: sourceLocation)
    return repair
  }

  /// It answers.
  func endRepair(_ repair: StreamSocket, sourceLocation: SourceLocation = #_sourceLocation) {
    peer.answer(0x09)
    #expect(repair.receivePacket() == Exemplar.reply(to: Self.read()), sourceLocation: sourceLocation)
  }

  /// How many operations are held now.
  func held() throws -> Int { Int(Scrape(try HTTP.get(metrics, "/metrics").text).sum("lanekeeper_guard_held_operations") ?? -1) }
  /// Operations that the guard knows of.
  func known() throws -> Int { Int(Scrape(try HTTP.get(metrics, "/metrics").text).sum("lanekeeper_guard_operations") ?? -1) }
  /// Waits until so many are held.
  func expectHeld(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(eventually { (try? held()) == count }, sourceLocation: sourceLocation)
  }

  /// Something goes through while others wait: whatever came before it has been looked at.
  func passes(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let request = Exemplar.request(0x10, reqID: 99, partition: 99)
    #expect(try client().ask(request) == Exemplar.reply(to: request), sourceLocation: sourceLocation)
    #expect(try caller().ask(request) == Exemplar.reply(to: request), sourceLocation: sourceLocation)
  }

  /// The end: nothing is left behind in the guard.
  @discardableResult func stop(sourceLocation: SourceLocation = #_sourceLocation) throws -> Sidecar.Accounting {
    // A round has no end of its own.
    #expect(eventually(within: .seconds(20)) { (try? known()) == 0 }, sourceLocation: sourceLocation)
    return try sidecar.stop(sourceLocation: sourceLocation)
  }
}
