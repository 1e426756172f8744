import LaneCore
import NetEndpoint
import Testing

@Suite struct DowngradeMemoryTests {
  private func peer(_ number: Int) -> Endpoint { Endpoint(address: 0x0A00_0000 + UInt32(number), port: 17310) }

  @Test func aPeerIsSpokenToInPlainUntilItsTimeIsOver() {
    var memory = DowngradeMemory(duration: 100)
    #expect(memory.shouldTryTLS(peer(1), now: 0))
    memory.failed(peer(1), now: 1000)
    #expect(!memory.shouldTryTLS(peer(1), now: 1000) && !memory.shouldTryTLS(peer(1), now: 1099))
    #expect(memory.plainPeers(now: 1099) == [peer(1)])
    #expect(memory.shouldTryTLS(peer(1), now: 1100))
    #expect(memory.plainPeers(now: 1100).isEmpty)
    // Another port is another peer.
    #expect(memory.shouldTryTLS(Endpoint(address: peer(1).address, port: 17320), now: 1000))
  }

  @Test func aFurtherFailureBeginsTheTimeAnewAndASuccessEndsIt() {
    var memory = DowngradeMemory(duration: 100)
    memory.failed(peer(1), now: 0)
    memory.failed(peer(1), now: 90)
    #expect(!memory.shouldTryTLS(peer(1), now: 189) && memory.shouldTryTLS(peer(1), now: 190))
    memory.succeeded(peer(1))
    #expect(memory.shouldTryTLS(peer(1), now: 91) && memory.count == 0)
    memory.succeeded(peer(2))
    #expect(memory.shouldTryTLS(peer(2), now: 91))
  }

  @Test func theOneFoundFirstIsForgottenFirst() {
    var memory = DowngradeMemory(duration: 1_000_000, capacity: 3)
    for number in 1...3 { memory.failed(peer(number), now: UInt64(number)) }
    memory.failed(peer(1), now: 4)
    memory.failed(peer(4), now: 5)
    #expect(memory.plainPeers(now: 6) == [peer(1), peer(3), peer(4)])
  }

  @Test func memoryStaysBoundedWhateverHappens() {
    var memory = DowngradeMemory(duration: .max, capacity: 8)
    for round in 0..<1000 {
      memory.failed(peer(round % 20), now: UInt64(round))
      if round % 3 == 0 { memory.succeeded(peer(round % 7)) }
      #expect(memory.count <= 8)
    }
    // The latest is remembered, and the end of its time does not wrap.
    #expect(!memory.shouldTryTLS(peer(999 % 20), now: .max - 1))
  }

  @Test func withoutATimeNothingIsRemembered() {
    var memory = DowngradeMemory(duration: 0)
    memory.failed(peer(1), now: 5)
    #expect(memory.shouldTryTLS(peer(1), now: 5) && memory.count == 0)
  }
}
