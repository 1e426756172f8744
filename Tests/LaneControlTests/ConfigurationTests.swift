import CubeFSWire
import LaneCore
import NetEndpoint
import Testing

@testable import LaneControl

@Suite struct ConfigurationTests {
  /// The promised defaults, written out by hand.
  private func expectDefaults(_ configuration: Configuration) {
    #expect(configuration.node == "host")
    #expect(configuration.cubefsRelease == .auto)
    #expect(configuration.outbound.mark == nil)
    #expect(configuration.outbound.dialTimeout == .seconds(1))
    #expect(configuration.outbound.backOff.initial == .milliseconds(100))
    #expect(configuration.outbound.backOff.maximum == .seconds(5))
    #expect(configuration.outbound.shutdownTimeout == .seconds(20))
    #expect(configuration.tls == nil)
    #expect(configuration.judge.mode == .enforce)
    for operationClass in OperationClass.allCases {
      #expect(configuration.judge.mode(of: operationClass) == .enforce)
      let lane = configuration.lanes[operationClass]
      #expect(lane.maxConnections == 500)
      #expect(lane.idleTimeout == .seconds(25))
      #expect(lane.maxLifetime == .seconds(1800))
      #expect(lane.queueLimit == 1024)
      #expect(lane.queueTimeout == .seconds(5))
    }
    #expect(configuration.limits.payloads.isEmpty)
    #expect(configuration.limits.maxConnections == 4096)
    #expect(configuration.limits.maxInFlight == 2048)
    #expect(configuration.limits.argument == 65_536)
    #expect(configuration.limits.errorText == 1_048_576)
    #expect(configuration.limits.pendingOutput == 524_288)
    #expect(configuration.timeouts.halfClose == .seconds(5))
    #expect(configuration.timeouts.idleCaller == .zero)
    #expect(configuration.timeouts.keepAlive.idle == .seconds(30))
    #expect(configuration.timeouts.keepAlive.interval == .seconds(10))
    #expect(configuration.timeouts.keepAlive.count == 3)
    #expect(configuration.timeouts.tcpUser == .seconds(20))
    #expect(configuration.timeouts.backPressure == .seconds(2))
    #expect(configuration.log.path == "-")
    #expect(configuration.log.level == .info)
    #expect(configuration.log.queue == 1_048_576)
  }

  @Test func aListenerIsAllThatIsNeeded() throws {
    let parsed = parse("outbound:\n  listeners:\n    - listen: 0.0.0.0:15310\n      intercept: true\n")
    #expect(parsed.issues.isEmpty)
    let configuration = try #require(parsed.configuration)
    expectDefaults(configuration)
    #expect(configuration.outbound.listeners == [.init(listen: Endpoint(address: 0, port: 15310), destination: .original)])
  }

  @Test func emptySectionsMeanTheirDefaults() throws {
    let parsed = parse(withListener("judge:\nlanes:\nlimits: ~\ntimeouts: null\nlog:\n"))
    #expect(parsed.issues.isEmpty)
    expectDefaults(try #require(parsed.configuration))
  }

  @Test func aLaneOfTheCoreHasTheSameDefaults() {
    #expect(Configuration.Lane().laneLimits == LaneLimits())
  }

  @Test func everyKeyOfAFullFileArrives() throws {
    let parsed = parse(
      """
      node: dn-7.rack_2:a
      cubefsRelease: 3.5.3
      outbound:
        mark: 0x4C4B
        dialTimeout: 250ms
        backOff: {initial: 1s, maximum: 1m}
        shutdownTimeout: 0s
        listeners:
          - {listen: 127.0.0.1:4001, peer: 10.0.0.2:17310}
          - {listen: 127.0.0.1:4002, peer: 10.0.0.3:17310, intercept: false}
          - {listen: 127.0.0.1:4003, intercept: true}
      judge:
        mode: observe
        classes: {deletion: enforce}
      lanes:
        read: {queueLimit: 0, idleTimeout: 10s}
        default: {maxConnections: 7, idleTimeout: 20s, maxLifetime: 1h, queueLimit: 9, queueTimeout: 1s}
      limits:
        maxConnections: 10
        maxInFlight: 20
        argument: 2KiB
        errorText: 4096
        pendingOutput: 1MiB
        OpWrite: 2MiB
        0x09: 1GiB
      timeouts:
        halfClose: 1s
        idleCaller: 1h
        keepAlive: {idle: 2s, interval: 3s, count: 4}
        tcpUser: 5s
        backPressure: 500ms
      log: {path: /var/log/x.json, level: debug, queue: 128KiB}
      """)
    #expect(parsed.lines == [])
    let configuration = try #require(parsed.configuration)
    #expect(configuration.node == "dn-7.rack_2:a")
    #expect(configuration.cubefsRelease == .v3_5_3)
    #expect(configuration.outbound.mark == 0x4C4B)
    #expect(configuration.outbound.dialTimeout == .milliseconds(250))
    #expect(configuration.outbound.backOff.initial == .seconds(1))
    #expect(configuration.outbound.backOff.maximum == .seconds(60))
    #expect(configuration.outbound.shutdownTimeout == .zero)
    let peers: [Configuration.Listener.Destination] = [
      .peer(Endpoint(address: 0x0A00_0002, port: 17310)), .peer(Endpoint(address: 0x0A00_0003, port: 17310)), .original,
    ]
    #expect(configuration.outbound.listeners.map(\.destination) == peers)
    #expect(configuration.outbound.listeners.map(\.listen.port) == [4001, 4002, 4003])
    #expect(configuration.judge.mode(of: .deletion) == .enforce)
    #expect(configuration.judge.mode(of: .read) == .observe)
    #expect(configuration.lanes[.read].queueLimit == 0)
    #expect(configuration.lanes[.read].idleTimeout == .seconds(10))
    #expect(configuration.lanes[.read].maxConnections == 7)
    #expect(configuration.lanes[.other].queueLimit == 9)
    #expect(configuration.lanes[.other].idleTimeout == .seconds(20))
    #expect(configuration.lanes[.other].maxLifetime == .seconds(3600))
    #expect(configuration.lanes[.other].queueTimeout == .seconds(1))
    #expect(configuration.limits.maxConnections == 10)
    #expect(configuration.limits.maxInFlight == 20)
    #expect(configuration.limits.pendingOutput == 1_048_576)
    #expect(configuration.limits.payloads == [Opcode(0x03): 2_097_152, Opcode(0x09): 1_073_741_824])
    let frames = configuration.limits.frameLimits
    #expect(frames.argument == 2048)
    #expect(frames.errorText == 4096)
    #expect(frames.payload(Opcode(0x03), .request) == 2_097_152)
    #expect(frames.payload(Opcode(0x05), .reply) == 8 << 20)
    #expect(configuration.timeouts.halfClose == .seconds(1))
    #expect(configuration.timeouts.idleCaller == .seconds(3600))
    #expect(configuration.timeouts.keepAlive.idle == .seconds(2))
    #expect(configuration.timeouts.keepAlive.interval == .seconds(3))
    #expect(configuration.timeouts.keepAlive.count == 4)
    #expect(configuration.timeouts.tcpUser == .seconds(5))
    #expect(configuration.timeouts.backPressure == .milliseconds(500))
    #expect(configuration.log.path == "/var/log/x.json")
    #expect(configuration.log.level == .debug)
    #expect(configuration.log.queue == 131_072)
  }

  @Test func jsonPasses() throws {
    let parsed = parse(
      """
      {
      \t"node": "n1", "cubefsRelease": "3.3.0",
      \t"outbound": {"mark": 19531, "listeners": [{"listen": "127.0.0.1:1", "peer": "127.0.0.2:2"}], "dialTimeout": "2s"},
      \t"limits": {"0x03": 1024, "maxInFlight": 5}
      }
      """)
    #expect(parsed.lines == [])
    let configuration = try #require(parsed.configuration)
    #expect(configuration.node == "n1")
    #expect(configuration.cubefsRelease == .v3_3_0)
    #expect(configuration.outbound.mark == 19531)
    #expect(configuration.outbound.dialTimeout == .seconds(2))
    #expect(configuration.limits.payloads == [Opcode(0x03): 1024])
    #expect(configuration.limits.maxInFlight == 5)
  }

  @Test func laneOrderInTheTextDoesNotMatter() {
    let classFirst = parse(withListener("lanes: {read: {queueLimit: 3}, default: {queueLimit: 5, maxConnections: 2}}"))
    let defaultFirst = parse(withListener("lanes: {default: {queueLimit: 5, maxConnections: 2}, read: {queueLimit: 3}}"))
    #expect(classFirst.configuration != nil)
    #expect(classFirst.configuration == defaultFirst.configuration)
    #expect(classFirst.configuration?.lanes[.read].queueLimit == 3)
    #expect(classFirst.configuration?.lanes[.read].maxConnections == 2)
  }
}
