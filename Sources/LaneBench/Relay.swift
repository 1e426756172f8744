import Glibc
import LinuxIO
import NetEndpoint

/// LinuxIO's opaque relay as a program of its own, so that its cost can be set beside that of other proxies.
func runRelay(_ arguments: inout Arguments) throws {
  let listen = try arguments.endpoint("--listen")
  let target = try arguments.endpoint("--target")
  try arguments.finish()
  do {
    let reactor = try Reactor()
    // Held until the process ends: a relay that is let go of closes its sessions.
    let relay = try OpaqueRelay(reactor: reactor, listen: listen, target: .fixed(target))
    say("listening \(relay.endpoint)")
    try withExtendedLifetime(relay) { () throws(SystemFailure) in try reactor.run() }
  } catch {
    throw BenchError.system("relay \(listen) to \(target), \(error.call)", error.errno)
  }
}
