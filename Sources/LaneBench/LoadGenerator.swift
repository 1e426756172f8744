import CLinux
import Glibc

/// Drives requests over its connections on one thread, and judges each reply.
final class LoadGenerator {
  /// After this long without any reply a run is given up.
  private static let silenceLimit: UInt64 = 10_000_000_000
  private static let complaints = 5

  private let plan: LoadPlan
  private let poller: Poller
  private let block = UnsafeRawBufferPointer(Packet.makeBlock())
  private let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 64)
  private var connections: [LoadConnection?] = []
  private var idle: [Int] = []
  private var lost = 0
  private var wrong = 0

  // The phase that runs now.
  private var toSend = Int.max
  private var stopSendingAt = UInt64.max
  private var inFlight = 0
  private var answered = 0
  private var arrivals: Arrivals?
  private var latency = Histogram()

  /// Connects; throws where the target does not accept.
  init(_ plan: LoadPlan) throws {
    self.plan = plan
    poller = try Poller()
    for index in 0..<plan.connections {
      let socket = try Sockets.connect(to: plan.target)
      connections.append(LoadConnection(socket: socket, index: index, shape: plan.shape, block: block))
      try poller.add(socket, token: index, interest: Poller.readable)
      idle.append(index)
    }
    // Timers of ordinary threads may fire 50 us late: that would be counted as latency in an open loop.
    let slack = open("/proc/self/timerslack_ns", O_WRONLY)
    if slack >= 0 {
      _ = write(slack, "1", 1)
      close(slack)
    }
  }

  deinit {
    readBuffer.deallocate()
    block.deallocate()
  }

  /// Requests before the measured part; nothing is in flight afterwards.
  func warmUp() throws {
    if plan.warmup > 0 { try runPhase(requests: plan.warmup, until: .max, arrivals: nil) }
  }

  /// The measured part.
  func measure() throws -> LoadReport {
    latency = Histogram()
    let start = monotonicNanoseconds()
    let arrivals = plan.rate.map { Arrivals(start: start, rate: UInt64($0)) }
    switch plan.length {
    case .requests(let number): try runPhase(requests: number, until: .max, arrivals: arrivals)
    case .seconds(let number): try runPhase(requests: .max, until: start + UInt64(number) * 1_000_000_000, arrivals: arrivals)
    }
    return LoadReport(
      plan: plan, requests: answered, wrong: wrong + lost, nanoseconds: monotonicNanoseconds() - start, latency: latency)
  }

  private func runPhase(requests: Int, until deadline: UInt64, arrivals: Arrivals?) throws {
    toSend = requests
    stopSendingAt = deadline
    self.arrivals = arrivals
    answered = 0
    var lastProgress = monotonicNanoseconds()
    var answeredBefore = 0
    try sendDue()
    while inFlight > 0 || maySend(at: monotonicNanoseconds()) {
      guard idle.count + inFlight > 0 else { throw BenchError.peer("all connections are lost; \(answered) replies came before") }
      let silent = lastProgress + Self.silenceLimit
      try poller.wait(until: min(silent, nextSend)) { index, _ in
        try serve(index)
      }
      let now = monotonicNanoseconds()
      if answered != answeredBefore || inFlight == 0 {
        answeredBefore = answered
        lastProgress = now
      } else if now > silent {
        throw BenchError.peer("no reply for 10 s: \(answered) replies came, \(inFlight) requests are waiting")
      }
      try sendDue()
    }
  }

  /// When the open loop is due to send, as far as a connection is free for it.
  private var nextSend: UInt64 {
    guard !idle.isEmpty, toSend > 0, let next = arrivals?.next, next < stopSendingAt else { return .max }
    return next
  }

  private func maySend(at now: UInt64) -> Bool {
    toSend > 0 && (arrivals.map { $0.next < stopSendingAt } ?? (now < stopSendingAt))
  }

  /// Puts every request that is due on a connection that is free.
  private func sendDue() throws {
    while !idle.isEmpty {
      let now = monotonicNanoseconds()
      guard maySend(at: now) else { return }
      var intended = now
      if let next = arrivals?.next {
        guard next <= now else { return }
        intended = next
        arrivals?.advance()
      }
      let index = idle.removeFirst()
      guard let connection = connections[index] else { continue }
      toSend -= 1
      inFlight += 1
      try connection.send(countingFrom: intended)
    }
  }

  private func serve(_ index: Int) throws {
    guard let connection = connections[index] else { return }
    let wasBusy = connection.isBusy
    switch connection.receive(into: readBuffer) {
    case .partial:
      return
    case .correct:
      break
    case .wrong(let why):
      wrong += 1
      complain(why)
    case .lost(let why):
      lost += 1
      complain(why)
      connections[index] = nil
      if wasBusy { inFlight -= 1 }
      idle.removeAll { $0 == index }
      return
    }
    let now = monotonicNanoseconds()
    latency.record(now &- connection.startedAt)
    answered += 1
    inFlight -= 1
    guard arrivals == nil, idle.isEmpty, maySend(at: now) else {
      idle.append(index)
      return
    }
    toSend -= 1
    inFlight += 1
    try connection.send(countingFrom: now)
  }

  private func complain(_ why: String) {
    if wrong + lost <= Self.complaints { say("lanekeeper-bench load: \(why)", to: STDERR_FILENO) }
  }
}

/// The intended send times of an open loop: evenly spaced, without drift.
struct Arrivals {
  private let start: UInt64
  private let rate: UInt64
  private var index: UInt64 = 0

  init(start: UInt64, rate: UInt64) {
    self.start = start
    self.rate = rate
  }

  /// When the next request should be sent: monotonic nanoseconds.
  var next: UInt64 { start &+ index / rate &* 1_000_000_000 &+ index % rate &* 1_000_000_000 / rate }

  mutating func advance() { index += 1 }
}
