internal import LaneCore

/// One run: a caller, its kernel, the gate and a session around it, as steps that follow each other in an order drawn from the
/// seed. The oracle knows what the gate cannot: for which operation the caller reads.
struct GateSimulation {
  /// Who can take a step.
  enum Actor: Int, CaseIterable {
    case caller, deliver, send, arrive, acknowledge, sample, requests, replies, answer, timer, acknowledgeBack, pass
  }

  /// A run takes 100 to 300 steps; one that needs so many has stopped serving.
  static let stepLimit = 6_000

  var random: SimulatorRandom
  var script: GateScript
  let mutations: GateMutations
  var socket = ModelSocket()
  var caller = ModelCaller()
  var shell: ModelShell
  var query: ModelQuery?
  var packets: [ModelCaller.Packet] = []
  var downstreamEnd: UInt64 = 0
  var clock: UInt64 = 1_000
  var step = 0
  var violation: GateViolation?
  /// The caller does nothing before this step.
  var callerRestsUntil = 0
  /// The query under way is preempted until this step.
  var queryStallsUntil = 0
  private var hasFailedToRetransmit = false
  private var weights: [Int] = []
  // One that runs while the others are preempted, and for how many steps yet.
  private var favoured = -1
  private var favour = 0

  init(seed: UInt64, mutations: GateMutations = []) {
    random = SimulatorRandom(seed: seed)
    script = GateScript(&random)
    self.mutations = mutations
    shell = ModelShell(DeliveryGate(limits: GateLimits(), mutations: mutations))
    weights.reserveCapacity(Actor.allCases.count)
    // Some are quick in this run and some slow: else long delays of one against the others would be rare.
    for _ in 0..<Actor.allCases.count { weights.append(random.once(in: 3) ? 1 : random.once(in: 2) ? 4 : 16) }
    // A caller's kernel acknowledges while its application works on, or so late that all else has happened.
    weights[Actor.acknowledgeBack.rawValue] = script.hazards.lateAcknowledgements ? 1 : 16
    // In most runs requests travel slowly: what the gate cannot see by readable bytes it must see by the counters.
    if !random.once(in: 3) {
      for actor in [Actor.send, .arrive, .requests] { weights[actor.rawValue] = 1 }
      for actor in [Actor.sample, .answer, .deliver] { weights[actor.rawValue] = 16 }
    }
  }

  /// Runs to the end, or to the first violation.
  mutating func run() -> GateViolation? {
    accept()
    while violation == nil, !(caller.isClosed && shell.isOver) {
      guard step < Self.stepLimit, takeStep() else {
        violation = violation ?? .notServed(operation: caller.operation)
        break
      }
    }
    return violation
  }

  private mutating func accept() {
    if script.hazards.invisible { return obey(shell.gate.accepted(.notFound, ownCookie: 1)) }
    obey(shell.gate.accepted(.observed(DeliveryGate.Observation(cookie: 7, receiveQueue: 0)), ownCookie: 1))
  }

  private mutating func takeStep() -> Bool {
    step += 1
    clock &+= 200 &+ UInt64(random.below(8_000))
    var enabled = 0
    var total = 0
    for actor in 0..<Actor.allCases.count where canStep(actor) {
      enabled |= 1 << actor
      total += weights[actor]
    }
    guard total > 0 else {
      if step < max(callerRestsUntil, queryStallsUntil) { return true }
      // Nothing moves before the timer does.
      guard let wakeAt = shell.wakeAt, !shell.isOver else { return false }
      clock = max(clock, wakeAt)
      timerStep()
      return true
    }
    var choice = random.below(total)
    if favour > 0, enabled & (1 << favoured) != 0 {
      favour -= 1
      act(favoured)
      return true
    }
    for actor in 0..<Actor.allCases.count where enabled & (1 << actor) != 0 {
      choice -= weights[actor]
      if choice < 0 {
        favoured = actor
        favour = random.once(in: 4) ? 1 + random.below(10) : 0
        act(actor)
        break
      }
    }
    return true
  }

  /// Lets that one run while the others are preempted.
  mutating func favour(_ actor: Actor, for steps: Int) {
    favoured = actor.rawValue
    favour = steps
  }

  private func canStep(_ actor: Int) -> Bool {
    switch actor {
    case Actor.caller.rawValue: callerCanStep
    case Actor.deliver.rawValue: socket.inFlight > 0 && !socket.isClosed
    case Actor.send.rawValue: socket.notSent > 0
    case Actor.arrive.rawValue: socket.sentUpTo > socket.arrivedUpTo
    case Actor.acknowledge.rawValue: socket.arrivedUpTo > socket.acknowledged
    case Actor.sample.rawValue: step >= queryStallsUntil && query.map { $0.canStep(socket) } ?? false
    case Actor.requests.rawValue:
      !shell.isOver && (socket.readableUpTo > shell.read || socket.isClosed && socket.readableUpTo == socket.arrivedUpTo)
    case Actor.replies.rawValue: !shell.isOver && shell.operation != nil && !shell.gate.isWaiting
    case Actor.answer.rawValue: query?.isDone ?? false
    case Actor.acknowledgeBack.rawValue: socket.unacknowledgedBack > 0 && !script.hazards.sockmap
    case Actor.pass.rawValue: socket.readableUpTo < socket.arrivedUpTo
    default: !shell.isOver && shell.wakeAt.map { $0 <= clock } ?? false
    }
  }

  private mutating func act(_ actor: Int) {
    switch actor {
    case Actor.caller.rawValue: callerStep()
    case Actor.deliver.rawValue: socket.deliver(random.once(in: 2) ? socket.inFlight : 1 &+ random.next() % socket.inFlight)
    case Actor.send.rawValue: sendStep()
    case Actor.arrive.rawValue: arriveStep()
    case Actor.acknowledge.rawValue: acknowledgeStep()
    case Actor.sample.rawValue: sampleStep()
    case Actor.requests.rawValue: requestStep()
    case Actor.replies.rawValue: replyStep()
    case Actor.answer.rawValue: answerStep()
    case Actor.acknowledgeBack.rawValue:
      socket.acknowledgeBack(random.once(in: 2) ? socket.unacknowledgedBack : 1 &+ random.next() % socket.unacknowledgedBack)
    case Actor.pass.rawValue: socket.pass()
    default: timerStep()
    }
  }

  // MARK: The caller's kernel, sending

  private mutating func sendStep() {
    if script.hazards.localSendFailures, random.once(in: 3) { return socket.failToSend() }
    socket.send()
  }

  private mutating func arriveStep() {
    let count = socket.sentUpTo &- socket.arrivedUpTo
    socket.arrive(script.splitsRequests ? 1 &+ random.next() % count : count)
    if !script.hazards.ownVerdict { socket.pass() }
  }

  private mutating func acknowledgeStep() {
    // An acknowledgement that was lost or late lets the caller's kernel send again what has arrived.
    if script.hazards.failedRetransmissions, !hasFailedToRetransmit, random.once(in: 2) {
      hasFailedToRetransmit = true
      return socket.failToRetransmit()
    }
    if script.hazards.retransmissions, random.once(in: 4) { return socket.retransmit() }
    socket.acknowledge()
  }
}

extension ModelCaller {
  var isClosed: Bool {
    if case .closed = phase { true } else { false }
  }
}
