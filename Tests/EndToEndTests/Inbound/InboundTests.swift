import CubeFSWire
import Glibc
import Testing

/// What reaches the local datanode through the sidecar, and what comes back: nothing of it changes.
@Suite struct InboundTests {
  /// A datanode that answers each request in turn, and keeps what it got.
  static func datanode(_ seen: Shared<[WirePacket]> = Shared([])) throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        seen.withLock { $0.append(request) }
        socket.send(Exemplar.reply(to: request))
      }
    }
  }

  @Test func everyOperationOnOneConnectionUnchanged() throws {
    let seen = Shared<[WirePacket]>([])
    let datanode = try Self.datanode(seen)
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    var asked: [WirePacket] = []
    for (index, opcode) in ProtocolTable.answered.enumerated() {
      // ReqIDs of real processes: small, equal, negative.
      let request = Exemplar.request(opcode, reqID: [3, 3, -1, .max][index % 4], partition: UInt64(index))
      asked.append(request)
      let answer = caller.ask(request)
      #expect(answer == Exemplar.reply(to: request), "\(request.header.opcode.name)")
      if answer == nil { break }
    }
    let isUnchanged = seen.now == asked
    #expect(isUnchanged)
    #expect(datanode.accepted == 1)
    let accounting = try sidecar.stop()
    #expect(accounting.started == asked.count && accounting.delivered == asked.count)
    #expect(sidecar.log("accounting").last?.text.contains("\"inbound\":{\"started\":\(asked.count),\"delivered\":\(asked.count),") == true)
  }

  /// PROTOCOL.md section 6: clients write up to 10,240 deep.
  @Test(arguments: [16_384, 64]) func aPipelineAtFullDepth(limit: Int) throws {
    let depth = 10_240
    let most = Shared(0)
    let overran = Shared(false)
    let datanode = try ScriptedPeer { socket, _ in
      var waiting: [WirePacket] = []
      var answered = 0
      while answered < depth {
        // All that is to be in flight is, before the first answer.
        while waiting.count < min(limit, depth - answered), let request = socket.receiveRequest() { waiting.append(request) }
        most.withLock { $0 = max($0, waiting.count) }
        if limit < depth && answered == 0 { overran.withLock { $0 = socket.isReadable(within: 100) } }
        guard !waiting.isEmpty else { return }
        socket.send(waiting.flatMap { Exemplar.reply(to: $0).bytes })
        answered += waiting.count
        waiting = []
      }
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port, inbound: ["maxInFlight: \(limit)"]))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let requests = (0..<depth).map { Exemplar.request(0x03, reqID: Int64($0 / 3), partition: UInt64($0)) }
    let sender = BlockingThread { caller.send(requests.flatMap(\.bytes)) }
    let expected = requests.flatMap { Exemplar.reply(to: $0).bytes }
    let found = caller.receive(expected.count)
    // A difference between long arrays takes the test library for ever to print.
    let isExact = found.bytes == expected
    #expect(isExact, "\(found.bytes.count) of \(expected.count) bytes, \(found.ending)")
    sender.join()
    #expect(most.now == min(limit, depth) && !overran.now)
    #expect(try sidecar.stop().delivered == depth)
  }

  /// PROTOCOL.md section 6, number 1, with the ids of processes that count alike.
  @Test func equalReqIDsInFlightAndAnErrorThatOvertakes() throws {
    let depth = 40
    let datanode = try ScriptedPeer { socket, _ in
      let requests = (0..<depth).compactMap { _ in socket.receiveRequest() }
      guard requests.count == depth else { return }
      socket.send(requests[30].mutated(Array("prepare_crc mismatch".utf8), result: 0xF4))
      for (index, request) in requests.enumerated() where index != 30 { socket.send(Exemplar.reply(to: request)) }
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let requests = (0..<depth).map { index in
      // Two and two are equal in every byte.
      var request = Exemplar.request(0x13, reqID: 5, partition: 7)
      request.header.extentOffset = Int64(index / 2) * 4096
      return request
    }
    caller.send(requests.flatMap(\.bytes))
    #expect(caller.receivePacket() == requests[30].mutated(Array("prepare_crc mismatch".utf8), result: 0xF4))
    for (index, request) in requests.enumerated() where index != 30 { #expect(caller.receivePacket() == Exemplar.reply(to: request)) }
    let accounting = try sidecar.stop()
    #expect(accounting.delivered == depth - 1 && accounting.errorReply == 1)
  }

  /// Blocks, local and forwarded replies take different ways in the server.
  @Test func repliesOfDifferentWaysMayOvertake() throws {
    let datanode = try ScriptedPeer { socket, _ in
      let requests = (0..<3).compactMap { _ in socket.receiveRequest() }
      guard requests.count == 3 else { return }
      for index in [2, 1, 0] { socket.send(Exemplar.reply(to: requests[index])) }
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    var requests = [0x03, 0x0F, 0x05].map { Exemplar.request($0, reqID: 9, partition: 7) }
    requests[0].header.remainingFollowers = 2
    caller.send(requests.flatMap(\.bytes))
    for index in [2, 1, 0] { #expect(caller.receivePacket() == Exemplar.reply(to: requests[index])) }
    #expect(try sidecar.stop().delivered == 3)
  }

  /// The exchanges of real servers, byte by byte, in pieces.
  @Test(arguments: ["live-v3.3.0", "live-v3.5.3"], [1 << 20, 97, 1]) func liveExchangesAreByteExact(folder: String, pieces: Int) throws {
    let all = try LiveCapture.all(folder)
    #expect(all.count > 30)
    // Its writer and every reader disagree about its length (PROTOCOL.md section 1): the next test has it.
    let exchanges = all.filter { ($0.reply.count < 4096 || pieces > 1) && $0.name != LiveCapture.brokenFraming }
    // The script goes by the number of the connection: the sidecar dials when it accepts.
    let datanode = try ScriptedPeer { socket, number in
      let exchange = exchanges[number]
      guard socket.receive(exchange.request.count).bytes == exchange.request else { return }
      socket.send(exchange.reply, pieces: pieces)
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    for (number, exchange) in exchanges.enumerated() {
      let caller = try StreamSocket(port: sidecar.inboundPort)
      #expect(eventually { datanode.accepted == number + 1 })
      caller.send(exchange.request, pieces: pieces == 1 ? 1 : 4000)
      let expected = exchange.delivered
      let isExact = caller.receive(expected.count).bytes == expected
      #expect(isExact, "\(exchange.name)")
      #expect(!caller.isReadable(within: 10), "\(exchange.name)")
    }
    let accounting = try sidecar.stop()
    #expect(accounting.reset == 0 && sidecar.log("reply.dropped").isEmpty)
  }

  /// OpRandomWriteVer without a flag is written with 65 bytes of header and read with 57: what follows it cannot be framed.
  @Test func aRequestThatBreaksTheFramingIsAResetAndAnAlert() throws {
    let exchange = try #require(try LiveCapture.all("live-v3.5.3").first { $0.name == LiveCapture.brokenFraming })
    let datanode = try ScriptedPeer { socket, _ in _ = socket.receiveToEnd() }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    caller.send(exchange.request)
    #expect(caller.receiveToEnd().ending == .reset)
    #expect(try sidecar.waitFor("caller.protocol").first?["reason"] == "bad-magic")
    try sidecar.stop()
  }

  @Test func anUploadOfAWholeExtentTakesNoMemory() throws {
    let size = 128 << 20
    let sum = Shared<(count: Int, isRight: Bool)>((0, true))
    let datanode = try ScriptedPeer { socket, _ in
      guard let header = PacketHeader(parsing: socket.receive(57).bytes, release: .v3_3_0) else { return }
      while sum.now.count < size {
        let piece = socket.receive(min(1 << 20, size - sum.now.count)).bytes
        guard !piece.isEmpty else { return }
        sum.withLock { sum in
          for index in stride(from: 0, to: piece.count, by: 4093) where piece[index] != UInt8(truncatingIfNeeded: (sum.count + index) % 251)
          {
            sum.isRight = false
          }
          sum.count += piece.count
        }
      }
      socket.send(WirePacket(header: header).mutated())
      _ = socket.receiveToEnd()
    }
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    let before = try residentKiB(sidecar.pid)
    var request = WirePacket.request(0x5A, reqID: 1)
    request.header.size = UInt32(size)
    caller.send(request.header.encoded())
    let period = (0..<251 * 4096).map { UInt8(truncatingIfNeeded: $0 % 251) }
    var sent = 0
    while sent < size {
      let count = min(period.count, size - sent)
      guard caller.send(period[..<count]) else { break }
      sent += count
    }
    #expect(sent == size)
    #expect(caller.receivePacket() == WirePacket(header: request.header).mutated())
    #expect(sum.now.count == size && sum.now.isRight)
    #expect(try residentKiB(sidecar.pid, "VmHWM:") < before + 4096)
    #expect(try sidecar.stop().delivered == 1)
  }

  private func residentKiB(_ pid: pid_t, _ key: String = "VmRSS:") throws -> Int {
    let line = try LiveCapture.read("/proc/\(pid)/status").split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
      .first { $0.hasPrefix(key) }
    return try #require(line.flatMap { Int($0.split(separator: " ").dropLast().last ?? "") } ?? line.flatMap { Int($0.filter(\.isNumber)) })
  }

  @Test func whatIsNotCubeFSEndsItsConnectionOnly() throws {
    let datanode = try Self.datanode()
    let sidecar = try Sidecar(peers: [], .init(datanode: datanode.port))
    let bystander = try StreamSocket(port: sidecar.inboundPort)
    let request = Exemplar.request(0x10, reqID: 1, partition: 7)
    #expect(bystander.ask(request) == Exemplar.reply(to: request))
    let caller = try StreamSocket(port: sidecar.inboundPort)
    caller.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    #expect(caller.receiveToEnd().ending == .reset)
    #expect(try sidecar.waitFor("caller.protocol").first?["direction"] == "inbound")
    #expect(bystander.ask(request) == Exemplar.reply(to: request))
    try sidecar.stop()
  }
}

/// A captured exchange with a real server, as it is on the wire: `Tests/Fixtures/live-*`.
struct LiveCapture: Sendable {
  static let brokenFraming = "randomwritever_plain_leader"

  var name: String
  var request: [UInt8]
  var reply: [UInt8]

  /// What a caller is to get: all but the reply too many of a snapshot read, which nobody reads (PROTOCOL.md section 2).
  var delivered: [UInt8] {
    guard name.hasPrefix("snapshotextentrepairread") else { return reply }
    let isError = name.hasSuffix("no_extent")
    return Array(reply.dropLast(isError ? reply.count / 2 : 57))
  }

  static func all(_ folder: String) throws -> [LiveCapture] {
    let directory = RepositoryFile.path("Tests/Fixtures/\(folder)")
    guard let handle = opendir(directory) else { throw ProgramFailure("cannot read \(directory)") }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasSuffix(".req.bin") { names.append(String(name.dropLast(8))) }
    }
    return try names.sorted().map {
      LiveCapture(name: $0, request: try read("\(directory)/\($0).req.bin"), reply: try read("\(directory)/\($0).rsp.bin"))
    }
  }

  static func read(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw ProgramFailure("cannot read \(path)") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
    return bytes
  }
}
