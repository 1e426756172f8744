import CubeFSWire
import LaneCore
import LaneTelemetry
import NetEndpoint

/// The table of all keys, in the order in which the documentation and the default file list them.
enum ConfigurationFields {
  /// What a listener's mapping said, before it is known to make sense.
  struct ListenerDraft: Sendable {
    var listen: Endpoint?
    var intercept: Bool?
    var peer: Endpoint?
  }

  /// What a tunnel's mapping said.
  struct TunnelDraft: Sendable {
    var listen: Endpoint?
    var peer: Endpoint?
    var tls = TunnelTLS.off
  }

  /// Keys at the top.
  static let top: [ConfigurationField<Configuration>] = [
    .text(
      "node", \.node, allowed: "1 to 255 characters of A-Z a-z 0-9 . _ : -", example: "datanode-1", hasDefault: false,
      "This node's name in logs and alerts."
    ) { isNodeName($0) ? nil : $0.isEmpty ? "empty" : "not a node name" },
    .choice(
      "cubefsRelease", \.cubefsRelease,
      "Whose rules decide how long a packet's header is: auto trusts the flags of each packet; name the release where the cluster's "
        + "flags mean something else (3.3.0 ignores the newer ones)."),
  ]

  /// `outbound.listeners[]`.
  static let listener: [ConfigurationField<ListenerDraft>] = [
    .endpoint(
      "listen", \.listen, to: .listen, example: "0.0.0.0:15310",
      "Where callers arrive. Required in each listener. Port 0 takes any free port."),
    .flag(
      "intercept", \.intercept,
      "true: callers were redirected here, and go on to their original destination as conntrack knows it. "
        + "Each listener has exactly one of intercept: true and peer."),
    .endpoint("peer", \.peer, to: .dial, example: "10.0.12.1:17310", "All callers of this listener go to this peer."),
  ]

  /// `outbound`, but for the listeners.
  static let outbound: [ConfigurationField<Configuration>] = [
    .mark(
      "outbound.mark", \.outbound.mark, example: "0x4C4B",
      "SO_MARK of the sidecar's own connections, by which the interception rules let them pass. Needs CAP_NET_ADMIN."),
    .duration(
      "outbound.dialTimeout", \.outbound.dialTimeout, .milliseconds(1)...(.seconds(60)), "Longest wait for a peer to accept a connection."),
    .duration(
      "outbound.backOff.initial", \.outbound.backOff.initial, .milliseconds(1)...(.seconds(60)),
      "Pause after the first failed dial of a peer; it doubles with each further failure."),
    .duration(
      "outbound.backOff.maximum", \.outbound.backOff.maximum, .milliseconds(1)...(.seconds(600)),
      "Longest pause between dials of a peer. Not below outbound.backOff.initial."),
    .duration(
      "outbound.shutdownTimeout", \.outbound.shutdownTimeout, .zero...(.seconds(3600)),
      "How long SIGTERM lets operations finish before their connections are reset."),
  ]

  /// `inbound`.
  static let inbound: [ConfigurationField<Configuration>] = [
    .endpoint(
      "inbound.listen", \.inbound.listen, to: .listen, example: "0.0.0.0:15312",
      "Where peers and clients of the local datanode arrive, redirected or not. Set together with inbound.datanode. "
        + "No key: what arrives is none of the sidecar's business. Port 0 takes any free port."),
    .endpoint(
      "inbound.datanode", \.inbound.datanode, to: .dial, example: "127.0.0.1:17310",
      "Where the local datanode listens. Each connection to inbound.listen gets one of its own to it."),
    .duration(
      "inbound.dialTimeout", \.inbound.dialTimeout, .milliseconds(1)...(.seconds(60)),
      "Longest wait for the local datanode to accept a connection; after it the caller is reset."),
    .count(
      "inbound.maxConnections", \.inbound.maxConnections, 1...1_000_000, unit: "connections",
      "Most connections to inbound.listen at a time; each needs two descriptors."),
    .count(
      "inbound.maxInFlight", \.inbound.maxInFlight, 1...65_536, unit: "requests",
      "Most unanswered requests of one connection; further ones wait unread. CubeFS clients write up to 10240 deep."),
  ]

  /// `tunnels[]`.
  static let tunnel: [ConfigurationField<TunnelDraft>] = [
    .endpoint(
      "listen", \.listen, to: .listen, example: "0.0.0.0:15330",
      "Where a tunnel accepts connections, whose bytes it passes on unread: for raft's ports. Required in each tunnel. "
        + "Port 0 takes any free port."),
    .endpoint("peer", \.peer, to: .dial, example: "127.0.0.1:17330", "Where a tunnel's connections go. Required in each tunnel."),
    .choice(
      "tls", \.tls,
      "connect: TLS towards peer, another host's tunnel with accept. accept: who connects must speak TLS, and peer is the local port. "
        + "off: plain on both sides."),
  ]

  /// `judge`, but for the classes.
  static let judge: [ConfigurationField<Configuration>] = [
    .choice(
      "judge.mode", \.judge.mode,
      "What happens to a reply that does not belong to the operation: enforce drops it, observe only logs what it would have dropped.")
  ]

  /// `judge.classes.<class>`.
  static let judgeClass: ConfigurationField<Configuration.Judge.Mode> = .choice(
    "", \.self, "The mode of one class, in place of judge.mode. Default: judge.mode.")

  /// `gate`.
  static let gate: [ConfigurationField<Configuration>] = [
    .choice(
      "gate.mode", \.gate.mode,
      "auto: a reply of a repair stream is completed only for a caller that the kernel shows to be reading it. "
        + "off: never; a caller that reuses a connection with such replies unread is reset when that shows."),
    .duration(
      "gate.slowStream", \.gate.slowStream, .milliseconds(10)...(.seconds(3600)),
      "A reply that its caller leaves unread for so long is an alert. It goes on being held."),
    .duration(
      "gate.resourceLimit", \.gate.resourceLimit, .milliseconds(20)...(.seconds(86_400)),
      "A reply that its caller leaves unread for so long costs it the connection. Above what a rate limit in the datanode may pause."),
  ]

  /// `guard`.
  static let conflicts: [ConfigurationField<Configuration>] = [
    .choice(
      "guard.mode", \.conflicts.mode,
      "serialize: of two operations that conflict on one extent, a delete and a repair, the later one waits; see README for how long. "
        + "detect: they are told of. off: nothing."),
    .choice(
      "guard.atLimit", \.conflicts.atLimit,
      "What becomes of an operation that has waited for as long as it may: forward lets it go on, refuse tells its caller to try again."),
  ]

  /// `lanes.default` and `lanes.<class>`.
  static let lane: [ConfigurationField<Configuration.Lane>] = [
    .count("maxConnections", \.maxConnections, 1...65_535, unit: "connections", "Most connections to one peer."),
    .duration(
      "idleTimeout", \.idleTimeout, .milliseconds(10)...(.seconds(3600)),
      "An unused connection is closed after this. Below maxLifetime, and best below 30s: CubeFS drops idle connections then."),
    .duration("maxLifetime", \.maxLifetime, .milliseconds(20)...(.seconds(86_400)), "A connection of this age is not used again."),
    .count("queueLimit", \.queueLimit, 0...1_000_000, unit: "operations", "Most operations that wait for a connection; 0: none waits."),
    .duration(
      "queueTimeout", \.queueTimeout, .milliseconds(1)...(.seconds(600)),
      "Longest wait for a connection; the operation's own deadline may end it earlier."),
  ]

  /// `limits`, but for the opcodes.
  static let limits: [ConfigurationField<Configuration>] = [
    .count(
      "limits.maxConnections", \.limits.maxConnections, 1...1_000_000, unit: "connections",
      "Most connections of callers at a time, and most of each tunnel."),
    .count(
      "limits.maxInFlight", \.limits.maxInFlight, 1...65_536, unit: "requests", "Most unanswered requests of one caller's connection."),
    .bytes("limits.argument", \.limits.argument, 1024...(16 << 20), "Largest Arg of a packet; beyond it the stream counts as broken."),
    .bytes("limits.errorText", \.limits.errorText, 1024...(64 << 20), "Largest payload of an error reply."),
    .bytes("limits.pendingOutput", \.limits.pendingOutput, 4096...(64 << 20), "Most bytes that a connection holds for a slow reader."),
  ]

  /// `limits.<opcode>`.
  static let limitsOpcode: ConfigurationField<Int> = .bytes(
    "", \.self, 0...Int(UInt32.max), example: 16 << 20,
    "Largest payload of packets with that opcode, by CubeFS's name (OpWrite) or number (0x03), in place of the protocol's own limit.")

  /// `timeouts`.
  static let timeouts: [ConfigurationField<Configuration>] = [
    .duration(
      "timeouts.halfClose", \.timeouts.halfClose, .milliseconds(10)...(.seconds(600)), "How long a half-closed connection may linger."),
    .duration(
      "timeouts.idleCaller", \.timeouts.idleCaller, .milliseconds(10)...(.seconds(86_400)), zero: "never",
      "A caller's connection without an operation is closed after this."),
    .duration(
      "timeouts.keepAlive.idle", \.timeouts.keepAlive.idle, .seconds(1)...(.seconds(32_767)), wholeSeconds: true,
      "Silence before the first TCP keep-alive probe (TCP_KEEPIDLE)."),
    .duration(
      "timeouts.keepAlive.interval", \.timeouts.keepAlive.interval, .seconds(1)...(.seconds(32_767)), wholeSeconds: true,
      "Time between TCP keep-alive probes (TCP_KEEPINTVL)."),
    .count(
      "timeouts.keepAlive.count", \.timeouts.keepAlive.count, 1...127, unit: "probes",
      "Unanswered probes until a connection counts as dead (TCP_KEEPCNT)."),
    .duration(
      "timeouts.tcpUser", \.timeouts.tcpUser, .milliseconds(10)...(.seconds(3600)),
      "How long sent bytes may stay unacknowledged before the connection counts as dead (TCP_USER_TIMEOUT)."),
    // A server left unread for 5 s writes an error packet into the middle of its block: CubeFS v3.5.3 `proto/packet.go:1078`.
    .duration(
      "timeouts.backPressure", \.timeouts.backPressure, .milliseconds(10)...(.seconds(4)),
      "How long a packet may stand still behind a slow reader before its upstream counts as lost. "
        + "A CubeFS server that is left unread for 5s corrupts its own stream."),
  ]

  /// `log`.
  static let log: [ConfigurationField<Configuration>] = [
    .text(
      "log.path", \.log.path, allowed: "\"-\" for standard output, or \(pathAllowed)",
      example: "/var/log/lanekeeper.json", hasDefault: true, "Where log lines and alerts go."
    ) { pathProblem($0) },
    .choice("log.level", \.log.level, "Lines of this level and graver ones are written."),
    .bytes(
      "log.queue", \.log.queue, (64 << 10)...(1 << 30),
      "Most bytes of lines that wait for a slow disk or pipe; further lines are counted and dropped."),
  ]

  /// `recorder`.
  static let recorder: [ConfigurationField<Configuration>] = [
    .optionalPath(
      "recorder.directory", \.recorder.directory, example: "/var/lib/lanekeeper/evidence",
      "Where the flight recorder leaves a pcapng file with the last packets of both connections for each wrong reply, each dirty reuse "
        + "and each conflict at its limit. Made with mode 0700 where it is missing; the files have 0600. No key: nothing is recorded."),
    .choice(
      "recorder.payload", \.recorder.payload,
      "How much of the packets is kept: none, no byte of them, comments only; headers, the CubeFS headers, without payload and of Arg only what describes a hole; "
        + "full, the first 256 bytes of Arg and payload, too, which may be of users' files."),
    .count("recorder.maxFiles", \.recorder.maxFiles, 1...100_000, unit: "files", "Most files in the directory; the oldest go first."),
    .bytes("recorder.maxBytes", \.recorder.maxBytes, (1 << 20)...(64 << 30), "Most bytes of all of them together."),
    .duration("recorder.maxAge", \.recorder.maxAge, .seconds(60)...(.seconds(366 * 24 * 3600)), "A file of this age is removed."),
  ]

  /// `metrics`.
  static let metrics: [ConfigurationField<Configuration>] = [
    .endpoint(
      "metrics.listen", \.metrics.listen, to: .listenOnLoopback, example: "127.0.0.1:15320",
      "Where HTTP serves /metrics, in Prometheus' text format, /readyz, and /holds, who waits for whom in the conflict guard. No key: no port is opened. Port 0 takes any free port."
    )
  ]

  /// Every key whose value hangs directly below `Configuration`.
  static let fixed = top + outbound + inbound + judge + gate + conflicts + limits + timeouts + log + recorder + metrics

  /// True for 1 to 255 characters of `A-Z a-z 0-9 . _ : -`.
  static func isNodeName(_ text: String) -> Bool { (1...255).contains(text.utf8.count) && text.utf8.allSatisfy(isNodeByte) }

  /// True for a byte that a node's name may have.
  static func isNodeByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  /// What `isPath` takes, for people.
  static let pathAllowed = "a path of at most 4095 bytes without control characters"

  /// What is wrong with a path; nil for one that can be.
  static func pathProblem(_ text: String) -> String? { text.isEmpty ? "empty" : isPath(text) ? nil : "not a path" }

  /// True for at most 4095 bytes without control characters: PATH_MAX is 4096 with the closing NUL.
  static func isPath(_ text: String) -> Bool { text.utf8.count <= 4095 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
}
