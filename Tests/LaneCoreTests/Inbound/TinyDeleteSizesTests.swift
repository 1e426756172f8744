import LaneCore
import NetEndpoint
import Testing

@Suite struct TinyDeleteSizesTests {
  private func leader(_ number: UInt32) -> Endpoint { Endpoint(address: number, port: 17310) }

  @Test func whatALeaderSaidLastOfAPartitionCounts() {
    var sizes = TinyDeleteSizes()
    sizes.learn(partition: 7, leader: leader(1), size: 100)
    sizes.learn(partition: 7, leader: leader(2), size: 200)
    sizes.learn(partition: 8, leader: leader(1), size: 300)
    sizes.learn(partition: 7, leader: leader(1), size: 150)
    #expect(sizes.size(partition: 7, leader: leader(1)) == 150)
    #expect(sizes.size(partition: 7, leader: leader(2)) == 200)
    #expect(sizes.size(partition: 8, leader: leader(1)) == 300)
    #expect(sizes.size(partition: 8, leader: leader(2)) == nil)
    #expect(sizes.size(partition: 7, leader: Endpoint(address: 1, port: 17311)) == nil)
    sizes.forget(partition: 7, leader: leader(1))
    sizes.forget(partition: 99, leader: leader(1))
    #expect(sizes.size(partition: 7, leader: leader(1)) == nil)
    #expect(sizes.count == 2)
  }

  @Test func theOldestWordsAreForgottenFirst() {
    var sizes = TinyDeleteSizes(capacity: 3)
    for partition in 1...3 { sizes.learn(partition: UInt64(partition), leader: leader(1), size: 10) }
    // Told anew: now 2 is the oldest.
    sizes.learn(partition: 1, leader: leader(1), size: 11)
    sizes.learn(partition: 4, leader: leader(1), size: 12)
    #expect((1...4).map { sizes.size(partition: UInt64($0), leader: leader(1)) } == [11, nil, 10, 12])
    // What was forgotten and told again is no older for its first time.
    sizes.forget(partition: 3, leader: leader(1))
    sizes.learn(partition: 3, leader: leader(1), size: 13)
    sizes.learn(partition: 5, leader: leader(1), size: 14)
    #expect((1...5).map { sizes.size(partition: UInt64($0), leader: leader(1)) } == [nil, nil, 13, 12, 14])
    for _ in 0..<100_000 { sizes.learn(partition: 5, leader: leader(1), size: 15) }
    #expect(sizes.count == 3 && sizes.size(partition: 3, leader: leader(1)) == 13)
  }
}
