extension Exchange {
  /// By which of a server's ways a reply comes. Replies of one way keep the order of their requests; between two ways there is no
  /// order (PROTOCOL.md section 6, number 1): blocks are written by the goroutine that operates, other replies by a second one, and
  /// what goes to followers waits for a third (CubeFS `repl/repl_protocol.go`, v3.3.0; `datanode/repl/repl_protocol.go`, v3.5.3).
  enum ReplyWay: UInt8 {
    /// Blocks.
    case stream
    /// After the followers have answered.
    case forwarded
    /// At once.
    case local
  }

  // RemainingFollowers 127 stands for a special replica count, and is not forwarded.
  var replyWay: ReplyWay {
    switch row.pointee.completion {
    case .byteCount, .holeCount, .openEnded: .stream
    case .single, .none, .anyNumber: (1..<127).contains(remainingFollowers) ? .forwarded : .local
    }
  }
}

extension ExchangeQueue {
  /// The first open exchange from that place on whose caller's ReqID is that.
  func nextOpen(callerReqID: Int64, from start: Int) -> Int? {
    var index = max(start, firstOpen)
    while index < count {
      let exchange = slot(index)
      if exchange.pointee.callerReqID == callerReqID && !exchange.pointee.isComplete { return index }
      index += 1
    }
    return nil
  }

  /// No open exchange before the one at that place has its replies come the same way.
  func isNextOfItsWay(_ index: Int) -> Bool {
    let way = slot(index).pointee.replyWay
    for earlier in firstOpen..<max(firstOpen, index) {
      let exchange = slot(earlier)
      if !exchange.pointee.isComplete && exchange.pointee.replyWay == way { return false }
    }
    return true
  }

  /// The catalogue's row of the exchange at that place.
  func rule(_ index: Int) -> UnsafePointer<OperationRule> { slot(index).pointee.row }

  /// The newest exchange, where it has replies due.
  var lastIsOpen: Bool { count > 0 && !slot(count - 1).pointee.isComplete }

  /// The newest exchange's class; nil where there is none.
  var lastClass: OperationClass? { count > 0 ? slot(count - 1).pointee.operationClass : nil }
}
