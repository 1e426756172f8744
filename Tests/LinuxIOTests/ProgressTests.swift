import Glibc
import LinuxIO
import LinuxTestSupport
import NetEndpoint
import Testing

/// What an accepted socket tells of the bytes that the other end's TCP has, on the running kernel.
@Suite struct ProgressTests {
  @Test func anAcceptedSocketBeginsAtNothing() throws {
    let reactor = try Reactor()
    var accepted: AcceptedSocket?
    let listener = try Listener(reactor: reactor, on: loopback, accept: { accepted = $0 })
    let raw = try RawSocket(connectingTo: listener.endpoint)
    // Before the accept, even.
    raw.write(Array(repeating: 1, count: 57))
    #expect(try turn(reactor) { accepted != nil })
    listener.close()
    let connection = try Recorder(reactor: reactor, accepted: try #require(accepted), options: SocketOptions(), reading: false)
    #expect(connection.acknowledgedBytes == 0)
    #expect(try turn(reactor) { connection.receivedBytes == 57 })
    connection.close()
    #expect(connection.acknowledgedBytes == nil)
    #expect(connection.receivedBytes == nil)
  }

  @Test func acknowledgedIsWhatTheOtherEndHasReadOrNot() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    // Small ones are acknowledged up to 40 ms later.
    var written: UInt64 = 0
    for count in [1, 56, 32_768, 1, 1_080] {
      #expect(pair.connection.send(Array(repeating: 7, count: count)) == .sent)
      written += UInt64(count)
      #expect(try turn(reactor) { pair.connection.acknowledgedBytes == written })
      #expect(pair.connection.unacknowledgedBytes == 0)
      var left = count
      #expect(
        try turn(reactor) {
          left -= pair.raw.read(left)?.count ?? 0
          return left == 0
        })
    }
    #expect(pair.connection.acknowledgedBytes == written)
    pair.connection.close()
  }

  @Test func whatDoesNotFitIsNotAcknowledgedBeforeItIsRead() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor, receiveBuffer: 4_096)
    let count = 131_129
    pair.connection.send(Array(repeating: 7, count: count))
    // Both numbers rest when the other end's window is full.
    #expect(
      try turn(reactor) {
        let acknowledged = pair.connection.acknowledgedBytes ?? 0
        return acknowledged > 0 && Int(acknowledged) + pair.connection.unacknowledgedBytes == count
      })
    #expect(try #require(pair.connection.acknowledgedBytes) < UInt64(count))
    var left = count
    #expect(
      try turn(reactor, seconds: 60) {
        while let bytes = pair.raw.read(left), bytes.count > 0 { left -= bytes.count }
        return left == 0 && pair.connection.acknowledgedBytes == UInt64(count)
      })
    pair.connection.close()
  }

  /// The other end's read waits for a page and holds the socket: what arrives meanwhile stands in its backlog.
  @Test(.enabled(if: HeldPage.refusal == nil, "cannot hold a page: \(HeldPage.refusal ?? "")"))
  func whatStandsInTheBacklogIsNotAcknowledged() throws {
    let page = try HeldPage()
    let reactor = try Reactor()
    let pair = try Pair(reactor)
    let fd = pair.raw.fd
    pair.connection.send(Array(repeating: 7, count: 1_000))
    let reader = Background { _ = recv(fd, page.address, 1_000, 0) }
    try #require(page.waitUntilTouched())

    pair.connection.send(Array(repeating: 7, count: 500))
    // Longer than an acknowledgement is ever delayed.
    let end = Reactor.clock() + 250_000_000
    while Reactor.clock() < end {
      try reactor.runOnce(maximumWait: 2_000_000)
      let acknowledged = try #require(pair.connection.acknowledgedBytes)
      if acknowledged > 1_000 { Issue.record("\(acknowledged) bytes are acknowledged"); break }
    }
    page.letGo()
    reader.join()
    #expect(try turn(reactor) { pair.connection.acknowledgedBytes == 1_500 })
    pair.connection.close()
  }

  @Test func receivedCountsWhatIsUnreadAndTheEnd() throws {
    let reactor = try Reactor()
    let pair = try Pair(reactor, reading: false)
    pair.raw.write(Array(repeating: 1, count: 57))
    #expect(try turn(reactor) { pair.connection.receivedBytes == 57 })
    #expect(pair.connection.bytesRead == 0)
    pair.connection.resumeReading()
    #expect(try turn(reactor) { pair.connection.bytesRead == 57 })
    #expect(pair.connection.receivedBytes == 57)
    pair.connection.pauseReading()
    pair.raw.shutWrite()
    #expect(try turn(reactor) { pair.connection.receivedBytes == 58 })
    pair.connection.close()
  }

  @Test func aConnectionThatWeOpenedDoesNotTell() throws {
    let reactor = try Reactor()
    var accepted: AcceptedSocket?
    let listener = try Listener(reactor: reactor, on: loopback, accept: { accepted = $0 })
    let opened = try Recorder(reactor: reactor, connectingTo: listener.endpoint, options: SocketOptions())
    #expect(try turn(reactor) { accepted != nil && !opened.isConnecting })
    opened.send([1])
    #expect(opened.acknowledgedBytes == nil)
    opened.close()
    accepted?.close()
    listener.close()
  }
}
