import NetEndpoint
import Testing

@testable import LaneControl

@Suite struct MetricsListenTests {
  @Test func noPortIsOpenedUnlessAsked() {
    #expect(parse(withListener("")).configuration?.metrics.listen == nil)
    #expect(parse(withListener("metrics:\n")).configuration?.metrics.listen == nil)
  }

  @Test(arguments: [("127.0.0.1:15320", 0x7F00_0001, 15320), ("127.7.8.9:0", 0x7F07_0809, 0)] as [(String, UInt32, UInt16)])
  func aLoopbackAddressIsTaken(text: String, address: UInt32, port: UInt16) {
    let parsed = parse(withListener("metrics: {listen: \"\(text)\"}"))
    #expect(parsed.lines == [])
    #expect(parsed.configuration?.metrics.listen == Endpoint(address: address, port: port))
  }

  @Test(arguments: ["0.0.0.0:15320", "10.0.0.1:15320", "128.0.0.1:1", "126.255.255.255:1"])
  func anyOtherAddressIsRefused(text: String) {
    let parsed = parse(withListener("metrics: {listen: \"\(text)\"}"))
    #expect(
      parsed.lines == [
        "2: metrics.listen: not a loopback address; anyone in the network could read it (got \"\(text)\"; allowed 127.b.c.d:port)"
      ])
  }

  @Test func aListenersPortIsNotTakenTwice() {
    let text = """
      outbound: {listeners: [{listen: "127.0.0.1:5", peer: "10.0.0.1:1"}, {listen: "0.0.0.0:6", intercept: true}]}
      metrics: {listen: "127.0.0.1:6"}
      """
    #expect(
      parse(text).lines == [
        "2: metrics.listen: 0.0.0.0 stands for all addresses; conflicts with outbound.listeners[1].listen (0.0.0.0:6) (got \"127.0.0.1:6\")"
      ])
    #expect(parse(text.replacing("127.0.0.1:6", with: "127.0.0.1:5")).lines.count == 1)
    #expect(parse(text.replacing("127.0.0.1:6", with: "127.0.0.2:5")).lines == [])
  }

  @Test func unknownKeysAreRefused() {
    #expect(
      parse(withListener("metrics: {listn: \"127.0.0.1:1\"}")).lines == [
        "2: metrics.listn: unknown key; did you mean listen? (allowed listen)"
      ])
  }
}
