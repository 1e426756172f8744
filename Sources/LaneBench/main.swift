import Glibc
import NetEndpoint

let usage = """
  usage: lanekeeper-bench echo --listen IP:PORT
         lanekeeper-bench load --target IP:PORT --shape ping|block|delete|repair (--requests N | --seconds S)
                               [--connections N] [--rate R] [--warmup N] [--json] [--gated]
         lanekeeper-bench relay --listen IP:PORT --target IP:PORT
         lanekeeper-bench storm --log FILE [--evidence DIRECTORY] [--seconds N]

    echo   answers CubeFS packets; prints `listening IP:PORT` (port 0: one that is free)
    load   sends requests, one in flight on each connection, and checks every reply; exit 1 where one is wrong
           --shape ping   57 bytes out, 57 bytes back; block: 57 bytes out, 57 bytes and 128 KiB back;
                          delete and repair: as ping and as block, of classes that the conflict guard knows
           --rate R       open loop: R requests a second in all, latency counted from the intended send time
           --warmup N     requests before the measured part (default: 4 for each connection, at least 200)
           --gated        print `ready` after the warm-up and wait for a line on standard input; after the report
                          wait for another line (or the end of the input) with the connections still open
    relay  passes bytes both ways: LinuxIO's opaque relay
    storm  has the sidecar's log, and its flight recorder where there is a directory, told of 100,000 wrong replies for each of N seconds
           (default 60), on a clock of its own; prints what was counted, and the processor time of each as JSON

  """

/// Blocks until a line, or the end, of standard input.
func waitForLine() {
  var byte: UInt8 = 0
  while read(STDIN_FILENO, &byte, 1) == 1, byte != UInt8(ascii: "\n") {}
}

func runEcho(_ arguments: inout Arguments) throws {
  let listen = try arguments.endpoint("--listen")
  try arguments.finish()
  let peer = try EchoPeer(listen: listen)
  say("listening \(peer.local)")
  try peer.run()
}

func runLoad(_ arguments: inout Arguments) throws {
  let target = try arguments.endpoint("--target")
  let shapes = LoadShape.allCases.map(\.rawValue).joined(separator: " or ")
  guard let shapeName = arguments.text("--shape") else { throw BenchError.usage("--shape is missing: \(shapes)") }
  guard let shape = LoadShape(rawValue: shapeName) else { throw BenchError.usage("--shape `\(shapeName)` is neither \(shapes)") }
  let connections = try arguments.number("--connections", in: 1...20_000) ?? 1
  let length: LoadPlan.Length
  switch (try arguments.number("--requests", in: 1...1_000_000_000), try arguments.number("--seconds", in: 1...86_400)) {
  case (let requests?, nil): length = .requests(requests)
  case (nil, let seconds?): length = .seconds(seconds)
  default: throw BenchError.usage("one of --requests and --seconds must be given")
  }
  let rate = try arguments.number("--rate", in: 1...10_000_000)
  let warmup = try arguments.number("--warmup", in: 0...1_000_000_000) ?? max(200, connections * 4)
  let json = arguments.flag("--json")
  let gated = arguments.flag("--gated")
  try arguments.finish()

  let plan = LoadPlan(target: target, shape: shape, connections: connections, length: length, rate: rate, warmup: warmup)
  let generator = try LoadGenerator(plan)
  try generator.warmUp()
  if gated {
    say("ready")
    waitForLine()
  }
  let report = try generator.measure()
  say(json ? report.json : report.text)
  if gated { waitForLine() }
  if report.wrong > 0 { throw BenchError.peer("\(report.wrong) wrong replies or lost connections") }
}

func runSubcommand(_ words: ArraySlice<String>) throws {
  var words = words
  guard let name = words.popFirst() else { throw BenchError.usage("a subcommand is missing: echo, load, relay or storm") }
  if name == "--help" || words.contains("--help") {
    say(usage)
    return
  }
  var arguments = try Arguments(words, flags: ["--json", "--gated"])
  switch name {
  case "echo": try runEcho(&arguments)
  case "load": try runLoad(&arguments)
  case "relay": try runRelay(&arguments)
  case "storm": try runStorm(&arguments)
  default: throw BenchError.usage("`\(name)` is no subcommand: echo, load, relay or storm")
  }
}

signal(SIGPIPE, SIG_IGN)
do {
  try runSubcommand(CommandLine.arguments.dropFirst())
} catch let error as BenchError {
  say("lanekeeper-bench: \(error)", to: STDERR_FILENO)
  if case .usage = error { say(usage, to: STDERR_FILENO) }
  exit(error.exitCode)
}
