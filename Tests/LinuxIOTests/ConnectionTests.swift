import Glibc
import LinuxIO
import NetEndpoint
import TestBytes
import Testing

@Suite struct ConnectionTests {
  @Test func everySplitArrivesAndIsCounted() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    let message = Array("a packet in pieces".utf8)
    for byte in message {
      #expect(pair.raw.write([byte]) == 1)
      let before = pair.connection.received.count
      #expect(try turn(reactor) { pair.connection.received.count > before })
    }
    #expect(pair.connection.received == message)
    #expect(pair.connection.bytesRead == UInt64(message.count))
    #expect(pair.connection.reads == message.count)
    for byte in message { #expect(pair.connection.send([byte]) == .sent) }
    var seen: [UInt8] = []
    #expect(
      try turn(reactor) {
        seen += pair.raw.read() ?? []
        return seen.count >= message.count
      })
    #expect(seen == message)
    #expect(pair.connection.bytesWritten == UInt64(message.count))
    #expect(pair.connection.pendingBytes == 0)
    pair.connection.close()
  }

  @Test func oneReadPerWakeTakesNoMoreThanAsked() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    pair.connection.readLimit = 10
    pair.raw.write(Array(repeating: 7, count: 35))
    #expect(try turn(reactor) { pair.connection.received.count == 35 })
    #expect(pair.connection.reads >= 4)
    #expect(!pair.connection.events.contains("wouldBlock"))
    pair.connection.close()
  }

  @Test func connectSucceedsAndIsRefused() throws {
    let reactor = try Reactor()
    var accepted: AcceptedSocket?
    let listener = try Listener(reactor: reactor, on: loopback, accept: { accepted = $0 })
    let good = try Recorder(reactor: reactor, connectingTo: listener.endpoint, options: SocketOptions())
    #expect(good.isConnecting && good.events.isEmpty)
    #expect(good.send([1, 2, 3]) == .queued)
    #expect(try turn(reactor) { good.events.count == 2 && accepted != nil })
    #expect(good.events == ["connected", "drained"])
    #expect(accepted?.remote == good.local)
    #expect(accepted?.local == listener.endpoint)

    let bad = try Recorder(reactor: reactor, connectingTo: try deadPort(), options: SocketOptions())
    #expect(bad.events.isEmpty)
    #expect(try turn(reactor) { !bad.events.isEmpty })
    #expect(bad.events == ["connectFailed connect: ECONNREFUSED (Connection refused)"])
    #expect(bad.send([1]) == .failed(SystemFailure(.send, ECONNREFUSED)))
    try reactor.runOnce(maximumWait: 0)
    #expect(bad.events.count == 1)
    bad.close()
    good.close()
    accepted?.close()
    listener.close()
  }

  @Test func outputIsKeptInOrderAndBounded() throws {
    let reactor = try Reactor()
    var options = SocketOptions()
    options.sendBuffer = 8192
    let pair = try Pair(reactor, options: options, receiveBuffer: 8192)
    let connection = pair.connection
    var source = SeededGenerator(seed: 11)
    var expected = RunningSum()
    var accepted = 0
    sending: while true {
      let piece = source.bytes(100_003)
      switch connection.send(piece) {
      case .sent, .queued:
        expected.add(piece)
        accepted += piece.count
      case .overflow: break sending
      case .failed(let failure):
        Issue.record("\(failure)")
        break sending
      }
    }
    #expect(connection.pendingBytes <= connection.pendingLimit)
    #expect(connection.pendingBytes > connection.pendingLimit - 100_003)
    #expect(Int(connection.bytesWritten) + connection.pendingBytes == accepted)
    var seen = RunningSum()
    #expect(
      try turn(reactor) {
        if let bytes = pair.raw.read() { seen.add(bytes) }
        return seen.count == accepted
      })
    #expect(seen == expected)
    #expect(connection.events == ["drained"])
    #expect(Int(connection.bytesWritten) == accepted)
    connection.close()
  }

  @Test func pausedReadingStopsThePeer() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    pair.connection.pauseReading()
    pair.raw.write([1, 2, 3])
    for _ in 0..<5 { try reactor.runOnce(maximumWait: 1_000_000) }
    #expect(pair.connection.reads == 0)
    #expect(pair.connection.peek() == .readable)
    #expect(pair.connection.bytesRead == 0)
    pair.connection.resumeReading()
    #expect(try turn(reactor) { pair.connection.received == [1, 2, 3] })
    #expect(pair.connection.peek() == .quiet)
    pair.connection.close()
  }

  @Test func halfCloseBothWays() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    pair.raw.write([9])
    pair.raw.shutWrite()
    #expect(try turn(reactor) { pair.connection.events == ["end"] })
    #expect(pair.connection.received == [9])
    #expect(pair.connection.peek() == .end)
    #expect(pair.connection.send([4, 5]) == .sent)
    pair.connection.shutdownWrite()
    #expect(pair.connection.send([6]) == .failed(SystemFailure(.send, EPIPE)))
    var seen: [UInt8] = []
    var ended = false
    #expect(
      try turn(reactor) {
        if let bytes = pair.raw.read() {
          ended = bytes.isEmpty
          seen += bytes
        }
        return ended
      })
    #expect(seen == [4, 5])
    // Both directions are shut now: EPOLLHUP must not keep the loop awake, nor count as a fault.
    for _ in 0..<3 { try reactor.runOnce(maximumWait: 1_000_000) }
    let before = Reactor.clock()
    try reactor.runOnce(maximumWait: 20_000_000)
    #expect(Reactor.clock() - before >= 19_000_000)
    #expect(pair.connection.events == ["end"])
    pair.connection.close()
  }

  @Test func finWaitsForPendingOutput() throws {
    let reactor = try Reactor()
    var options = SocketOptions()
    options.sendBuffer = 8192
    let pair = try Pair(reactor, options: options, receiveBuffer: 8192)
    let bytes = SeededGenerator(seed: 5).copyBytes(500_000)
    #expect(pair.connection.send(bytes) == .queued)
    pair.connection.shutdownWrite()
    #expect(pair.connection.pendingBytes > 0)
    var seen: [UInt8] = []
    var ended = false
    #expect(
      try turn(reactor) {
        if let piece = pair.raw.read() {
          ended = piece.isEmpty
          seen += piece
        }
        return ended
      })
    #expect(seen == bytes)
    pair.connection.close()
  }

  @Test func resetByThePeerIsFoundReadingOrNot() throws {
    let reactor = try Reactor()
    let reading = try Pair(reactor)
    reading.raw.reset()
    #expect(try turn(reactor) { !reading.connection.events.isEmpty })
    #expect(reading.connection.events == ["failed \(ECONNRESET)"])

    let paused = try Pair(reactor, reading: false)
    paused.raw.reset()
    #expect(try turn(reactor) { !paused.connection.events.isEmpty })
    #expect(paused.connection.events == ["broken \(ECONNRESET)"])
    #expect(paused.connection.send([1]) == .failed(SystemFailure(.send, ECONNRESET)))
    for _ in 0..<3 { try reactor.runOnce(maximumWait: 0) }
    #expect(paused.connection.events.count == 1 && reading.connection.events.count == 1)
    reading.connection.close()
    paused.connection.close()
  }

  @Test func resetIsSeenByThePeerAsReset() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    pair.connection.reset()
    #expect(try turn(reactor) { pair.raw.read() == nil && pair.raw.lastErrno == ECONNRESET })
  }

  @Test func closedConnectionIsHarmless() throws {
    let reactor = try Reactor()
    var options = SocketOptions()
    options.sendBuffer = 8192
    let pair = try Pair(reactor, options: options, receiveBuffer: 8192)
    let registrations = reactor.registrations
    let connection = pair.connection
    connection.onReadable = { connection in
      connection.events.append("closing")
      connection.close()
    }
    #expect(connection.send(Array(repeating: 1, count: 400_000)) == .queued)
    let pending = connection.pendingBytes
    #expect(pending > 0)
    pair.raw.write([1])
    #expect(try turn(reactor) { !connection.isOpen })
    #expect(reactor.registrations == registrations - 1)
    #expect(connection.close() == 0)
    connection.reset()
    connection.pauseReading()
    connection.resumeReading()
    connection.shutdownWrite()
    #expect(connection.send([1]) == .failed(SystemFailure(.send, EBADF)))
    #expect(connection.read(into: reactor.readBuffer) == .failed(SystemFailure(.receive, EBADF)))
    #expect(connection.peek() == .failed(SystemFailure(.receive, EBADF)))
    #expect(connection.pendingBytes == 0 && connection.local.port == 0)
    try reactor.runOnce(maximumWait: 0)
    #expect(connection.events == ["closing"])
  }

  @Test func directConnectionHasNoOriginalDestination() throws {
    let reactor = try Reactor()
    var failure: SystemFailure?
    var called = false
    let listener = try Listener(
      reactor: reactor, on: loopback,
      accept: { socket in
        do throws(SystemFailure) { _ = try socket.originalDestination() } catch { failure = error }
        called = true
        socket.close()
      })
    let raw = try RawSocket(connectingTo: listener.endpoint)
    #expect(try turn(reactor) { called })
    #expect(failure.map { $0.call } == "getsockopt(SO_ORIGINAL_DST)")
    #expect(failure?.hint != nil, "errno \(failure?.errno ?? 0)")
    raw.close()
    listener.close()
  }
}

extension SeededGenerator {
  func copyBytes(_ count: Int) -> [UInt8] {
    var copy = self
    return copy.bytes(count)
  }
}
