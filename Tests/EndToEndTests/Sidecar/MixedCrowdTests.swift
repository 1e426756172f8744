import CubeFSWire
import Glibc
import TestBytes
import Testing

/// Hundreds of gated callers at once, with replies of all shapes, some of them a byte at a time.
@Suite(.timeLimit(.minutes(10))) struct MixedCrowdTests {
  private static let callers = 300
  private static let rounds = 3

  /// What one caller asks for, one after the other on its connection.
  private struct Plan {
    let requests: [WirePacket]

    init(number: Int, _ random: inout SeededGenerator) {
      requests = (0..<rounds).map { round in
        // One in 20 wants megabytes: more would be a test of the loopback device.
        let isLong = Int.random(in: 0..<20, using: &random) == 0
        let shape = isLong ? .chunks : RepairShape(rawValue: Int.random(in: 0..<4, using: &random)) ?? .blocks
        let piece = Int.random(in: 0..<3, using: &random)
        return shape.request(reqID: Int64(number * 10 + round), tag: piece)
      }
    }
  }

  /// Sends as the tag says: whole replies, a byte at a time where they are small, pieces across all bounds where they are not.
  private static func peer() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        let shape = RepairShape.of(request)
        let bytes = shape.replies(to: request).flatMap(\.bytes)
        switch RepairShape.tag(of: request) {
        case 0: socket.send(bytes)
        case 1: socket.send(bytes, pieces: shape.isError ? 1 : 32_749)
        default:
          // The head a byte at a time, into the first payload.
          socket.send(Array(bytes.prefix(120)), pieces: 1)
          socket.send(bytes.dropFirst(120))
        }
      }
    }
  }

  @Test(arguments: [UInt64.random(in: 0..<1 << 32)]) func eachGetsItsOwnReplies(_ seed: UInt64) throws {
    print("seed \(seed)")
    var random = SeededGenerator(seed: seed)
    let plans = (0..<Self.callers).map { Plan(number: $0, &random) }
    let peer = try Self.peer()
    let sidecar = try Sidecar(peers: [peer.port], .init(sections: ["metrics: {listen: \"127.0.0.1:0\"}"]))
    let callers = try plans.map { _ in try StreamSocket(port: sidecar.port) }
    for (caller, plan) in zip(callers, plans) { caller.send(plan.requests[0]) }
    #expect(eventually { callers.allSatisfy { $0.readableCount >= 56 } })
    for (number, (caller, plan)) in zip(callers, plans).enumerated() {
      let request = plan.requests[0]
      let first = RepairShape.of(request).replies(to: request)[0].bytes.count
      let found = caller.readableCount
      #expect(found < first, "seed \(seed): caller \(number) has its reply whole before it reads")
    }

    let wrong = Shared<[String]>([])
    BlockingThread.run(Self.callers) { number in
      for (round, request) in plans[number].requests.enumerated() {
        if round > 0 { callers[number].send(request) }
        for (place, right) in RepairShape.of(request).replies(to: request).enumerated() {
          let found = callers[number].receivePacket()
          if found == right { continue }
          return wrong.withLock {
            $0.append("caller \(number) round \(round) reply \(place) of \(RepairShape.of(request)): \(String(describing: found?.header))")
          }
        }
      }
    }
    #expect(wrong.now.isEmpty, "seed \(seed): \(wrong.now.count): \(wrong.now.prefix(5))")

    let requests = plans.flatMap(\.requests)
    let errors = requests.filter { RepairShape.of($0).isError }.count
    let replies = requests.reduce(0) { $0 + RepairShape.of($1).replies(to: $1).count }
    let scrape = Scrape(try HTTP.get(try sidecar.metricsPort(), "/metrics").text)
    #expect(scrape.sum("lanekeeper_gate_releases_total") == Double(replies), "seed \(seed)")
    #expect(scrape.sum("lanekeeper_gate_blind_callers_total") == 0, "seed \(seed)")
    let accounting = try sidecar.stop()
    #expect(accounting.errorReply == errors && accounting.delivered == requests.count - errors, "seed \(seed): \(accounting)")
  }
}
