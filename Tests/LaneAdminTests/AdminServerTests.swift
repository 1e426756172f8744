import Glibc
import LaneAdmin
import NetEndpoint
import Testing

@Suite struct AdminServerTests {
  @Test func aPageIsServedWithItsTypeAndTheConnectionEnds() throws {
    let server = try FakeSource().serve()
    defer { server.close() }
    let answer = try AdminClient.get(server.endpoint.port, "/number")
    #expect(answer.status == 200 && answer.body == "1")
    #expect(answer.fields["content-type"] == "text/number" && answer.fields["content-length"] == "1")
    #expect(answer.fields["connection"] == "close")
    #expect(try AdminClient.get(server.endpoint.port, "/number?x=1").body == "2")
  }

  @Test func aClientThatHasShutItsSendingSideGetsItsAnswer() throws {
    let source = FakeSource(.keep)
    let server = try source.serve()
    defer { server.close() }
    let client = try AdminClient(port: server.endpoint.port)
    client.send("GET /number HTTP/1.0\r\n\r\n")
    client.finishSending()
    #expect(eventually { source.questions == 1 })
    #expect(!client.isReadable(within: 50))
    source.answerKept()
    #expect(AdminAnswer(try client.readToEnd()).body == "1")
  }

  @Test func headHasTheFieldsOfGetAndNoBody() throws {
    let server = try FakeSource().serve()
    defer { server.close() }
    let answer = try AdminClient.ask(server.endpoint.port, "HEAD /number HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(answer.status == 200 && answer.body.isEmpty && answer.fields["content-length"] == "1")
    let unknown = try AdminClient.ask(server.endpoint.port, "HEAD /other HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(unknown.status == 404 && unknown.body.isEmpty)
  }

  /// The body of a request is not read: it must not make the kernel reset the connection before the answer was read.
  @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
  func otherMethodsAreRefused(method: String) throws {
    let server = try FakeSource().serve()
    defer { server.close() }
    let body = String(repeating: "x", count: 500_000)
    let answer = try AdminClient.ask(
      server.endpoint.port, "\(method) /number HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)", finish: true)
    #expect(answer.status == 405 && answer.fields["allow"] == "GET, HEAD")
  }

  @Test func anUnknownPathGetsTheListOfPages() throws {
    let server = try FakeSource().serve()
    defer { server.close() }
    let answer = try AdminClient.get(server.endpoint.port, "/numbers")
    #expect(answer.status == 404 && answer.body == "Not here. There is:\n/number\n/large\n")
  }

  @Test(arguments: [
    "garbage\r\n\r\n", "GET\r\n\r\n", "GET /number HTTP/9.9\r\n\r\n", "GET /number HTTP/1.1\r\nno colon\r\n\r\n", "\u{0}\u{1}\u{2}\r\n",
  ])
  func whatIsNoRequestEndsTheConnection(text: String) throws {
    let source = FakeSource()
    let server = try source.serve()
    defer { server.close() }
    let answer = try AdminClient.ask(server.endpoint.port, text)
    #expect(answer.status == 400)
    #expect(source.questions == 0)
  }

  @Test func aSecondRequestOnAConnectionIsNotAnswered() throws {
    let source = FakeSource()
    let server = try source.serve()
    defer { server.close() }
    let request = "GET /number HTTP/1.1\r\nHost: x\r\n\r\n"
    let text = try AdminClient.ask(server.endpoint.port, request + request).body
    #expect(text == "1" && source.questions == 1)
  }

  @Test func aHeadOfTheLimitPassesAndOneByteMoreDoesNot() throws {
    let server = try FakeSource().serve()
    defer { server.close() }
    let start = "GET /number HTTP/1.1\r\nHost: x\r\nX: "
    for (length, status) in [(8192, 200), (8193, 431), (100_000, 431)] {
      let filler = String(repeating: "y", count: length - start.utf8.count - 4)
      #expect(try AdminClient.ask(server.endpoint.port, start + filler + "\r\n\r\n").status == status)
    }
    #expect(try AdminClient.ask(server.endpoint.port, "GET /" + String(repeating: "z", count: 9_000)).status == 431)
  }

  @Test func aSourceThatHangsGetsOneQuestionAndItsPagesSayNone() throws {
    let source = FakeSource(.keep)
    let server = try source.serve { $0.snapshot = 50 }
    defer { server.close() }
    for _ in 0..<5 {
      let answer = try AdminClient.get(server.endpoint.port, "/number")
      #expect(answer.status == 503 && answer.body == "none")
      #expect(answer.fields["content-type"] == "text/plain; charset=utf-8")
    }
    #expect(source.questions == 1)
    // A late answer is nobody's, and the way is free again.
    source.behave(.answer)
    source.answerKept()
    #expect(
      eventually {
        guard let answer = try? AdminClient.get(server.endpoint.port, "/number") else { return false }
        return answer.status == 200 && answer.body == "2"
      })
  }

  @Test func aSourceThatTakesNoQuestionIsSaidAtOnce() throws {
    let source = FakeSource(.refuse)
    let server = try source.serve { $0.snapshot = 60_000 }
    defer { server.close() }
    #expect(try AdminClient.get(server.endpoint.port, "/number").status == 503)
    #expect(try AdminClient.get(server.endpoint.port, "/number").status == 503)
    #expect(source.questions == 2)
  }

  @Test func requestsThatComeCloseTogetherShareASnapshot() throws {
    let source = FakeSource()
    let server = try source.serve { $0.snapshotInterval = 500 }
    defer { server.close() }
    let start = ContinuousClock.now
    let clients = try (0..<40).map { _ in try AdminClient(port: server.endpoint.port) }
    for client in clients { client.send("GET /number HTTP/1.1\r\n\r\n") }
    for client in clients { #expect(AdminAnswer(try client.readToEnd()).status == 200) }
    let elapsed = (ContinuousClock.now - start) / .milliseconds(500)
    #expect(Double(source.questions) <= elapsed + 2)
  }

  @Test func oneConnectionTooManyClosesTheOldest() throws {
    let server = try FakeSource().serve { $0.connections = 3 }
    defer { server.close() }
    let clients = try (0..<3).map { _ in try AdminClient(port: server.endpoint.port) }
    for client in clients { client.send("GET /num") }
    #expect(try AdminClient.get(server.endpoint.port, "/number").status == 200)
    #expect(try clients[0].readToEnd() == "")
    // The two others were not disturbed.
    for client in clients[1...] {
      client.send("ber HTTP/1.1\r\n\r\n")
      #expect(AdminAnswer(try client.readToEnd()).status == 200)
    }
  }

  @Test func whoAsksNothingIsClosed() throws {
    let server = try FakeSource().serve { $0.patience = 1 }
    defer { server.close() }
    let silent = try AdminClient(port: server.endpoint.port)
    let partial = try AdminClient(port: server.endpoint.port)
    partial.send("GET /number HTTP/1.1\r\nHost: x\r\n")
    #expect(try silent.readToEnd() == "")
    #expect(try partial.readToEnd() == "")
  }

  @Test func whoDoesNotTakeTheAnswerIsClosed() throws {
    let server = try FakeSource().serve { $0.patience = 1 }
    defer { server.close() }
    let client = try AdminClient(port: server.endpoint.port, receiveBuffer: 4096)
    client.send("GET /large HTTP/1.1\r\n\r\n")
    #expect(client.isReadable(within: 10_000))
    let witness = try AdminClient(port: server.endpoint.port)
    // Closed later than the one who reads nothing: its time began when its head was there.
    #expect(try witness.readToEnd() == "")
    #expect(try AdminClient.get(server.endpoint.port, "/number").status == 200)
    #expect(try client.readToEnd().utf8.count < 64 << 20)
  }

  @Test func aTakenPortIsAFailureWithItsReason() throws {
    let source = FakeSource()
    let server = try source.serve()
    defer { server.close() }
    #expect(server.endpoint.port != 0)
    let failure = #expect(throws: AdminServer<Int>.BindFailure.self) {
      _ = try AdminServer<Int>(on: server.endpoint, pages: []) { _ in false }
    }
    #expect(failure?.errno == EADDRINUSE)
    // Not an address of this host (RFC 5737).
    let foreign = #expect(throws: AdminServer<Int>.BindFailure.self) {
      _ = try AdminServer<Int>(on: Endpoint(address: 0xC000_0201, port: 0), pages: []) { _ in false }
    }
    #expect(foreign?.errno == EADDRNOTAVAIL)
  }

  @Test func closingEndsEveryConnectionAndMayBeDoneTwice() throws {
    let source = FakeSource(.keep)
    let server = try source.serve()
    let client = try AdminClient(port: server.endpoint.port)
    client.send("GET /number HTTP/1.1\r\n\r\n")
    #expect(eventually { source.questions == 1 })
    server.close()
    server.close()
    #expect(try client.readToEnd() == "")
    // An answer that comes after the end finds nobody.
    source.answerKept()
  }
}

/// Polls a condition until it holds; false where it does not in time.
private func eventually(within deadline: Duration = .seconds(20), _ condition: () -> Bool) -> Bool {
  let end = ContinuousClock.now + deadline
  while !condition() {
    guard ContinuousClock.now < end else { return false }
    _ = poll(nil, 0, 2)
  }
  return true
}
