import NetEndpoint
import Testing

@Suite struct EndpointTests {
  @Test(arguments: ["0.0.0.0:0", "127.0.0.1:17310", "255.255.255.255:65535", "10.0.12.1:1"])
  func textSurvivesARoundTrip(text: String) throws {
    #expect(try #require(Endpoint(text)).description == text)
  }

  @Test func numbersAreInHostOrder() throws {
    let endpoint = try #require(Endpoint("127.77.0.1:15310"))
    #expect(endpoint.address == 0x7F4D_0001)
    #expect(endpoint.port == 15310)
  }

  @Test(arguments: [
    "", ":", "1.2.3.4", "1.2.3.4:", "1.2.3:4", "1.2.3.4.5:6", "256.0.0.1:1", "1.2.3.4:65536", "1.2.3.4:99999", "01.2.3.4:5",
    "1.2.3.4:05", " 1.2.3.4:5", "1.2.3.4:5 ", "1..3.4:5", "a.b.c.d:5", "1.2.3.4:-1", "[::1]:5", "1:2.3.4.5", "1.2.3.4:5:6", "1.2.3.4.5",
  ])
  func anythingElseIsRefused(text: String) {
    #expect(Endpoint(text) == nil)
  }
}
