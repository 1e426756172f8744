import Glibc
import LinuxIO
import NetEndpoint
import Testing

@Suite struct ListenerTests {
  @Test func takesARealPortAndRefusesATakenOne() throws {
    let reactor = try Reactor()
    let listener = try Listener(reactor: reactor, on: loopback, accept: { $0.close() })
    #expect(listener.endpoint.port != 0)
    #expect(throws: SystemFailure(.bind, EADDRINUSE)) {
      _ = try Listener(reactor: reactor, on: listener.endpoint, accept: { $0.close() })
    }
    #expect(reactor.registrations == 2)
    listener.close()
    listener.close()
    #expect(reactor.registrations == 1)
  }

  @Test func acceptsMoreThanOneWakeTakes() throws {
    let reactor = try Reactor()
    var sockets: [AcceptedSocket] = []
    let listener = try Listener(reactor: reactor, on: loopback, accept: { sockets.append($0) })
    var clients: [RawSocket] = []
    for _ in 0..<(Listener.acceptsPerWake * 2 + 1) { clients.append(try RawSocket(connectingTo: listener.endpoint)) }
    try reactor.runOnce(maximumWait: 0)
    #expect(sockets.count == Listener.acceptsPerWake)
    #expect(try turn(reactor) { sockets.count == clients.count })
    #expect(listener.acceptedCount == UInt64(clients.count))
    for socket in sockets { socket.close() }
    listener.close()
  }
}
