extension GateSimulation {
  var callerCanStep: Bool {
    switch caller.phase {
    case .pooled: step >= callerRestsUntil
    case .holding, .copied: true
    case .reading: socket.readable > 0 || (socket.isReset && socket.inFlight == 0)
    case .closed: false
    }
  }

  mutating func callerStep() {
    switch caller.phase {
    case .pooled: nextOperation()
    case .reading:
      // Queued bytes come first, then the error.
      guard socket.readable > 0 else { return closeCaller() }
      socket.lock()
      caller.phase = .holding
    case .holding:
      let count = caller.portion(socket.readable, inPieces: script.readsInPieces, &random)
      socket.copy(count)
      caller.phase = .copied
      read(caller.take(count, upTo: socket.copied, packets, script))
    case .copied:
      socket.unlock()
      caller.phase = caller.operation == nil ? .pooled : .reading
    case .closed: break
    }
  }

  /// The oracle: a packet that was read whole must be of the operation that it was read for. A caller that was declared blind
  /// has no such promise.
  private mutating func read(_ outcome: ModelCaller.Read) {
    switch outcome {
    case .more: break
    case .completed(let operation):
      if operation != caller.operation, !shell.declaredBlind {
        violation = .staleAcceptance(reading: caller.operation, of: operation)
      }
      if caller.isThrough(script) {
        caller.operation = nil
        rest()
      }
    case .left:
      caller.operation = nil
      rest()
    case .failed:
      socket.unlock()
      closeCaller()
    }
  }

  private mutating func nextOperation() {
    // A write on a reset connection fails.
    guard caller.next < script.operations.count, !socket.isReset else { return closeCaller() }
    let index = caller.next
    caller.next += 1
    let operation = script.operations[index]
    shell.requests.append(ModelShell.Request(start: socket.written, length: operation.requestLength, operation: index))
    socket.write(operation.requestLength)
    guard operation.leaving != .beforeReading else { return rest() }
    caller.operation = index
    caller.beginReading()
  }

  /// A pooled connection is taken up again at once, or later.
  private mutating func rest() {
    if !random.once(in: 3) { callerRestsUntil = step + random.below(80) }
  }

  private mutating func closeCaller() {
    caller.phase = .closed
    caller.operation = nil
    socket.isClosed = true
  }
}
