public import CubeFSWire

/// The operations in flight on an accepted connection and the one upstream that is paired with it.
///
/// Nothing is restamped there: a reply bears the ReqID that its caller chose, and callers choose equal ones (PROTOCOL.md section 3).
/// So a reply is taken for the first operation in flight with its ReqID that it is a correct answer to. One connection carries
/// operations of every class.
public struct InboundExchanges: ~Copyable {
  /// What a reply is.
  public enum Match: Equatable {
    /// The next reply of the operation at that place, with what follows from it.
    case reply(Int, ReplyPlan)
    /// A further reply to an unknown operation, which may have any number.
    case further
    /// The one more that this operation's server is known to send, and that no requester reads (`OperationRule.sendsOneMore`).
    case surplus
  }

  /// What becomes of the next request.
  public enum Admission: Equatable {
    /// It goes on.
    case forward
    /// It waits until fewer are in flight.
    case wait
    /// The newest operation has had all that its caller wants, although nothing says so: it is over, and the request goes on.
    case finish
    /// A lock-step caller has given up the newest operation with replies of it due: what comes would be read as the answer to this one.
    case dirtyReuse
  }

  /// Unknown operations and known surplus replies that are remembered.
  static let memory = 16

  /// Those in flight, in the order of their requests.
  public var queue = ExchangeQueue()
  /// ReqIDs of unknown operations that were answered, oldest first.
  private var answered: [(callerReqID: Int64, opcode: Opcode)] = []
  /// Operations that are over, and whose server will send one reply more.
  private var trailing: [Exchange] = []
  /// The operation whose end was taken for granted when its caller went on.
  private var left: Exchange?
  /// The reply that was matched last is itself the one more.
  private var isOneMore = false

  /// None.
  public init() {}

  // MARK: Requests

  /// Decides about the next request.
  /// - Parameters:
  ///   - limit: the most that may be in flight.
  ///   - betweenReplies: the reply stream stands between two packets.
  public func admission(limit: Int, betweenReplies: Bool) -> Admission {
    if queue.lastIsOpen, queue.lastClass == .repairStream || queue.lastClass == .repairControl, let last = queue.last {
      return last.mayBeOver && betweenReplies ? .finish : .dirtyReuse
    }
    return queue.count < limit ? .forward : .wait
  }

  /// Takes out the newest operation, which its caller has had enough of.
  public mutating func finishLast() -> Exchange? {
    left = queue.removeLast()
    return left
  }

  // MARK: Replies

  /// Finds out what the reply with that head is. Where it belongs to an operation, that one has moved on.
  public mutating func match(_ head: Framer.Head) throws(Mismatch) -> Match {
    let header = head.header
    if takeSurplus(header) { return .surplus }
    var refusal: Mismatch?
    var place = queue.nextOpen(callerReqID: header.reqID, from: 0)
    while let index = place {
      do throws(Mismatch) {
        // Only an error may overtake within one way; unknown operations have no known order.
        guard header.resultCode != .ok || queue.completion(index) == .anyNumber || queue.isNextOfItsWay(index) else {
          throw Mismatch(.replyOutOfOrder, expected: .signed(queue[queue.firstUnanswered].callerReqID), observed: .signed(header.reqID))
        }
        let plan = try queue.judge(index, head)
        let rule = queue.rule(index)
        isOneMore = rule.pointee.sendsOneMore && header.resultCode == .ok && header.opcode == rule.pointee.opcode
        return .reply(index, plan)
      } catch {
        if refusal == nil { refusal = error }
      }
      place = queue.nextOpen(callerReqID: header.reqID, from: index + 1)
    }
    // Among operations with equal ReqIDs the opcode tells.
    let isFurther = answered.contains { $0.callerReqID == header.reqID && (refusal == nil || $0.opcode == header.opcode) }
    if isFurther, header.resultCode != .initial { return .further }
    throw refusal ?? stray(header)
  }

  /// Where a reply that is passed on unjudged is counted: nil where nothing is in flight.
  public func place(ofUnjudged header: HeaderView) -> Int? {
    if let index = queue.nextOpen(callerReqID: header.reqID, from: 0) { return index }
    return queue.isAnswered ? nil : queue.firstUnanswered
  }

  /// All replies of the operation at that place are in.
  public mutating func complete(_ index: Int, inError: Bool) {
    queue.markComplete(index, inError: inError)
    let rule = queue.rule(index)
    if rule.pointee.sendsOneMore && !isOneMore { Self.remember(queue[index], in: &trailing) }
    if rule.pointee.completion == .anyNumber { Self.remember((queue.callerReqID(index), rule.pointee.opcode), in: &answered) }
  }

  private static func remember<Element>(_ element: Element, in list: inout [Element]) {
    if list.count == memory { list.removeFirst() }
    list.append(element)
  }

  /// The final reply of SnapshotExtentRepairRead, or its error a second time.
  private mutating func takeSurplus(_ header: HeaderView) -> Bool {
    guard !trailing.isEmpty else { return false }
    let index = trailing.firstIndex {
      $0.callerReqID == header.reqID && $0.opcode == header.opcode && $0.partitionID == header.partitionID
        && $0.extentID == header.extentID && ($0.endedInError ? header.resultCode != .ok : header.resultCode == .ok && header.size == 0)
    }
    guard let index else { return false }
    trailing.remove(at: index)
    return true
  }

  private func stray(_ header: HeaderView) -> Mismatch {
    if let left, left.callerReqID == header.reqID {
      return Mismatch(.callerDirtyReuse, expected: .text("no further reply: its caller has gone on"), observed: .signed(header.reqID))
    }
    if queue.isAnswered { return Mismatch(.replyUnsolicited, expected: .text("none in flight"), observed: .signed(header.reqID)) }
    let first = queue[queue.firstUnanswered].callerReqID
    let expected: FieldValue =
      queue.unanswered == 1 ? .signed(first) : .text("one of \(queue.unanswered) in flight, \(first) the oldest")
    return Mismatch(.stampUnknown, expected: expected, observed: .signed(header.reqID))
  }
}
