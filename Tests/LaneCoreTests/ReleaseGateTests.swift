import Testing

@testable import LaneCore

@Suite struct ReleaseGateTests {
  private static let limits = LaneLimits(idleTimeout: 100, maxLifetime: 1000)

  private static let facts: [(Reason, @Sendable (inout ReleaseFacts) -> Void)] = [
    (.inFlight, { $0.inFlight = 1 }), (.inFlight, { $0.inFlight = .max }), (.requestIncomplete, { $0.requestIncomplete = true }),
    (.errorReply, { $0.carriedError = true }), (.unreadBytes, { $0.buffered = true }), (.unreadBytes, { $0.socket = .readable }),
    (.peerClosed, { $0.socket = .ended }), (.upstreamReset, { $0.socket = .failed }), (.singleUse, { $0.singleUse = true }),
    (.maxLifetime, { $0.age = 1000 }), (.maxLifetime, { $0.age = .max }), (.idleTimeout, { $0.idle = 100 }),
    (.idleTimeout, { $0.idle = .max }),
  ]

  @Test func aCleanConnectionPasses() {
    #expect(ReleaseGate.refusal(ReleaseFacts(), Self.limits) == nil)
    var young = ReleaseFacts()
    (young.age, young.idle) = (999, 99)
    #expect(ReleaseGate.refusal(young, Self.limits) == nil)
  }

  @Test(arguments: facts.indices)
  func eachFactAloneRefusesWithItsReason(_ index: Int) {
    var facts = ReleaseFacts()
    Self.facts[index].1(&facts)
    #expect(ReleaseGate.refusal(facts, Self.limits) == Self.facts[index].0)
  }

  @Test func noFactHidesAnother() {
    for (first, set) in Self.facts {
      for (second, also) in Self.facts {
        var facts = ReleaseFacts()
        set(&facts)
        also(&facts)
        let refusal = ReleaseGate.refusal(facts, Self.limits)
        #expect(refusal == first || refusal == second)
      }
    }
  }
}
