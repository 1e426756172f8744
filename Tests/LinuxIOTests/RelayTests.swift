import Glibc
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

@Suite struct RelayTests {
  /// A relay, a raw socket that connected through it, and the raw socket that came out at the target.
  final class Rig {
    let reactor: Reactor
    let relay: OpaqueRelay
    let near: RawSocket
    private(set) var far: RawSocket
    private let box: Box

    final class Box {
      var reports: [RelayReport] = []
      var far: RawSocket?
    }
    var reports: [RelayReport] { box.reports }

    init(_ options: RelayOptions = RelayOptions(), receiveBuffer: Int32? = nil) throws {
      reactor = try Reactor()
      let box = Box()
      self.box = box
      let target = try Listener(reactor: reactor, on: loopback, accept: { box.far = RawSocket(adopting: $0.fd) })
      relay = try OpaqueRelay(
        reactor: reactor, listen: loopback, target: .fixed(target.endpoint), options: options, ended: { box.reports.append($0) })
      near = try RawSocket(connectingTo: relay.endpoint, receiveBuffer: receiveBuffer)
      #expect(try turn(reactor) { box.far != nil })
      far = try #require(box.far)
      target.close()
    }
  }

  @Test func bytesPassBothWaysInOneBytePieces() throws {
    let rig = try Rig()
    var atFar: [UInt8] = []
    var atNear: [UInt8] = []
    for byte in UInt8(0)..<100 {
      rig.near.write([byte])
      rig.far.write([255 - byte])
      #expect(
        try turn(rig.reactor) {
          atFar += rig.far.read() ?? []
          atNear += rig.near.read() ?? []
          return atFar.count == Int(byte) + 1 && atNear.count == Int(byte) + 1
        })
    }
    #expect(atFar == Array(0..<100) && atNear == (0..<100).map { 255 - $0 })
    rig.relay.close()
    #expect(rig.reports.map { $0.end } == [.relayClosed])
  }

  @Test func slowReaderStopsTheSourceAndLosesNothing() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("back-pressure seed \(seed)")
    var options = RelayOptions()
    options.downstream.sendBuffer = 16384
    options.upstream.receiveBuffer = 16384
    let rig = try Rig(options, receiveBuffer: 16384)
    var random = SeededGenerator(seed: seed)
    var sent = RunningSum()
    var seen = RunningSum()
    var rest: [UInt8] = []
    // Nobody reads: the source must come to a stop.
    var idleTurns = 0
    while idleTurns < 200 && sent.count < 8 << 20 {
      if rest.isEmpty { rest = random.bytes(65_536) }
      let count = rig.far.write(rest)
      if count > 0 {
        sent.add(rest.prefix(count))
        rest.removeFirst(count)
        idleTurns = 0
      } else {
        idleTurns += 1
      }
      try rig.reactor.runOnce(maximumWait: 100_000)
    }
    try #require(sent.count < 8 << 20, "the source was not stopped, seed \(seed)")
    let total = sent.count + (1 << 20)
    #expect(
      try turn(rig.reactor, seconds: 30) {
        if sent.count < total {
          if rest.isEmpty { rest = random.bytes(65_536) }
          let count = rig.far.write(rest)
          if count > 0 {
            sent.add(rest.prefix(count))
            rest.removeFirst(count)
          }
        }
        if let bytes = rig.near.read() { seen.add(bytes) }
        return sent.count >= total && seen.count == sent.count
      }, "seed \(seed)")
    #expect(seen == sent, "seed \(seed)")
    rig.far.shutWrite()
    rig.near.shutWrite()
    #expect(try turn(rig.reactor) { !rig.reports.isEmpty })
    #expect(rig.reports.first?.end == .finished)
    #expect(rig.reports.first?.bytesDownstream == UInt64(sent.count))
    #expect(rig.relay.sessionCount == 0)
    #expect(rig.reactor.registrations == 2)
  }

  @Test func halfClosePassesInEachDirection() throws {
    for nearFirst in [true, false] {
      let rig = try Rig()
      let (first, second) = nearFirst ? (rig.near, rig.far) : (rig.far, rig.near)
      first.write([1])
      first.shutWrite()
      var seen: [UInt8] = []
      #expect(
        try turn(rig.reactor) {
          guard let bytes = second.read() else { return false }
          seen += bytes
          return bytes.isEmpty
        })
      #expect(seen == [1])
      #expect(rig.reports.isEmpty)
      second.write([2, 3])
      seen = []
      #expect(
        try turn(rig.reactor) {
          seen += first.read() ?? []
          return seen == [2, 3]
        })
      second.shutWrite()
      #expect(try turn(rig.reactor) { first.read() == [] })
      #expect(try turn(rig.reactor) { rig.reports.map { $0.end } == [.finished] })
    }
  }

  @Test func halfClosedAndIdleSessionsEndByTimer() throws {
    var options = RelayOptions()
    options.halfCloseTimeout = 30_000_000
    let half = try Rig(options)
    half.near.shutWrite()
    #expect(try turn(half.reactor) { half.far.read() == [] })
    #expect(try turn(half.reactor) { !half.reports.isEmpty })
    #expect(half.reports.map { $0.end } == [.halfCloseTimedOut])
    // After a FIN the kernel reports a reset as EPIPE, and only to a writer.
    #expect(half.far.write([1]) == -1 && half.far.lastErrno == EPIPE)

    options.idleTimeout = 30_000_000
    let idle = try Rig(options)
    let start = Reactor.clock()
    for _ in 0..<5 {
      idle.near.write([1])
      #expect(try turn(idle.reactor) { idle.far.read() == [1] })
    }
    #expect(try turn(idle.reactor) { !idle.reports.isEmpty })
    #expect(idle.reports.map { $0.end } == [.idleTimedOut])
    #expect(Reactor.clock() - start >= 30_000_000)
  }

  @Test func resetsPassInEachDirection() throws {
    let first = try Rig()
    first.far.reset()
    #expect(try turn(first.reactor) { first.near.read() == nil && first.near.lastErrno == ECONNRESET })
    #expect(first.reports.map { $0.end } == [.upstreamLost(SystemFailure(.receive, ECONNRESET))])
    let second = try Rig()
    second.near.reset()
    #expect(try turn(second.reactor) { second.far.read() == nil && second.far.lastErrno == ECONNRESET })
    #expect(second.reports.map { $0.end } == [.downstreamLost(SystemFailure(.receive, ECONNRESET))])
  }

  @Test func deadTargetAndDirectConnectionAreReset() throws {
    let reactor = try Reactor()
    var reports: [RelayReport] = []
    for (target, call) in [(RelayTarget.fixed(try deadPort()), "connect"), (.originalDestination, "getsockopt(SO_ORIGINAL_DST)")] {
      reports = []
      let relay = try OpaqueRelay(reactor: reactor, listen: loopback, target: target, ended: { reports.append($0) })
      let raw = try RawSocket(connectingTo: relay.endpoint)
      #expect(try turn(reactor) { raw.read() == nil && raw.lastErrno == ECONNRESET })
      guard case .connectFailed(let failure) = reports.first?.end else {
        Issue.record("\(reports)")
        return
      }
      #expect(failure.call == call)
      relay.close()
    }
  }

  @Test func releasedRelayLeavesNothingBehind() throws {
    var relay: OpaqueRelay?
    let reactor = try Reactor()
    var far: RawSocket?
    let target = try Listener(reactor: reactor, on: loopback, accept: { far = RawSocket(adopting: $0.fd) })
    relay = try OpaqueRelay(reactor: reactor, listen: loopback, target: .fixed(target.endpoint))
    let endpoint = try #require(relay?.endpoint)
    let near = try RawSocket(connectingTo: endpoint)
    #expect(try turn(reactor) { far != nil })
    relay = nil
    #expect(reactor.registrations == 2)
    #expect(near.read() == nil && near.lastErrno == ECONNRESET)
    target.close()
  }
}
