import LaneCore
import NetEndpoint
import Testing

@Suite struct TLSPolicyTests {
  private func policy(
    _ mode: InboundTLSMode, from prefixes: [String] = [], others: InboundTLSPolicy.Others = .plain
  ) throws
    -> InboundTLSPolicy
  {
    var policy = InboundTLSPolicy()
    policy.mode = mode
    policy.requireFrom = try prefixes.map { try AddressPrefix($0) }
    policy.others = others
    return policy
  }

  private static let inside: UInt32 = 0x0A00_0C05
  private static let outside: UInt32 = 0x0A00_0D05

  @Test func offAndPermissiveTreatAllSourcesAlike() throws {
    for others in InboundTLSPolicy.Others.allCases {
      for address in [Self.inside, Self.outside] {
        #expect(try policy(.off, from: ["10.0.12.0/24"], others: others).expectation(of: address) == .plainOnly)
        #expect(try policy(.permissive, from: ["10.0.12.0/24"], others: others).expectation(of: address) == .either)
      }
    }
  }

  @Test func strictReachesAsFarAsItsPrefixes() throws {
    let shared = try policy(.strict, from: ["10.9.0.0/16", "10.0.12.0/24"])
    #expect(shared.expectation(of: Self.inside) == .tlsOnly)
    #expect(shared.expectation(of: 0x0A09_0001) == .tlsOnly)
    #expect(shared.expectation(of: Self.outside) == .either)
    let closed = try policy(.strict, from: ["10.0.12.0/24"], others: .refuse)
    #expect(closed.expectation(of: Self.inside) == .tlsOnly)
    #expect(closed.expectation(of: Self.outside) == .refused)
  }

  @Test func strictWithoutPrefixesReachesEverySource() throws {
    for others in InboundTLSPolicy.Others.allCases {
      for address in [0, Self.outside, .max] { #expect(try policy(.strict, others: others).expectation(of: address) == .tlsOnly) }
    }
  }

  @Test func eachFirstByteIsDecided() {
    for byte in UInt8.min ... .max {
      let isTLS = byte == 22
      let isCubeFS = byte == 255
      func opening(_ expectation: InboundTLSPolicy.Expectation) -> InboundTLSPolicy.Opening {
        InboundTLSPolicy.firstByte(byte, expectation: expectation)
      }
      #expect(opening(.plainOnly) == .plain)
      #expect(opening(.refused) == .refuse(.source))
      #expect(opening(.tlsOnly) == (isTLS ? .tls : .refuse(isCubeFS ? .plainWhereTLSRequired : .neitherTLSNorCubeFS)))
      #expect(opening(.either) == (isTLS ? .tls : isCubeFS ? .plain : .refuse(.neitherTLSNorCubeFS)))
    }
  }

  @Test func theRuleOfTheLongestPrefixIsTaken() throws {
    var policy = OutboundTLSPolicy()
    #expect(!policy.isActive && policy.rule(for: Self.inside) == OutboundTLSRule())
    policy.standard.mode = .prefer
    policy.standard.port = 1
    var strict = OutboundTLSRule()
    strict.mode = .strict
    #expect(policy.peers.insert(OutboundTLSRule(), for: try AddressPrefix("10.0.0.0/8")))
    #expect(policy.peers.insert(strict, for: try AddressPrefix("10.0.12.0/24")))
    #expect(policy.rule(for: Self.inside) == strict)
    #expect(policy.rule(for: Self.outside) == OutboundTLSRule())
    #expect(policy.rule(for: 0x0B00_0001).mode == .prefer)
  }

  @Test func oneRuleForSomePeersMakesThePolicyActive() throws {
    var policy = OutboundTLSPolicy()
    #expect(policy.peers.insert(OutboundTLSRule(), for: try AddressPrefix("10.0.0.0/8")))
    #expect(!policy.isActive)
    var rule = OutboundTLSRule()
    rule.mode = .prefer
    #expect(policy.peers.insert(rule, for: try AddressPrefix("10.0.12.0/24")))
    #expect(policy.isActive)
  }

  @Test func thePortIsThePeersOwnUnlessARuleSaysAnother() {
    let peer = Endpoint(address: Self.inside, port: 17310)
    var rule = OutboundTLSRule()
    #expect(rule.endpoint(of: peer) == peer)
    rule.port = 15312
    #expect(rule.endpoint(of: peer) == Endpoint(address: Self.inside, port: 15312))
  }
}
