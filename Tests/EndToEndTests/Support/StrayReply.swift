import CubeFSWire
import Testing

/// Servers that answer with what is no answer, and what their callers must see.
enum StrayReply {
  static let requests = (0..<20).map { Exemplar.request($0 % 2 == 0 ? 0x01 : 0x13, reqID: Int64($0), partition: 7) }

  /// The server's side of one connection: it answers five of twenty pipelined requests, then with a stray reply, then the rest.
  static func serve(_ socket: StreamSocket) {
    let requests = (0..<20).compactMap { _ in socket.receiveRequest() }
    guard requests.count == 20 else { return }
    for request in requests.prefix(5) { socket.send(Exemplar.reply(to: request)) }
    socket.send(Exemplar.reply(to: requests[5].with(reqID: requests[5].header.reqID ^ 1 << 40)))
    for request in requests.dropFirst(5) { socket.send(Exemplar.reply(to: request)) }
    _ = socket.receiveToEnd()
  }

  /// A peer whose every reply bears the ReqID behind the one that was asked with.
  static func peer() throws -> ScriptedPeer {
    try ScriptedPeer { socket, _ in
      while let request = socket.receiveRequest() {
        var other = request
        other.header.reqID &+= 1
        socket.send(Exemplar.reply(to: other))
      }
    }
  }

  /// Sends the requests: the first five are answered, the others fail, in order.
  static func expectTheRestToFail(_ caller: StreamSocket) {
    caller.send(requests.flatMap(\.bytes))
    for (index, request) in requests.enumerated() {
      let reply = caller.receivePacket()
      if index < 5 {
        #expect(reply == Exemplar.reply(to: request))
      } else {
        #expect(reply?.isErrorReply(to: request) == true)
      }
    }
  }
}
