import CubeFSWire
import Testing

@testable import LaneCore

/// Which operation a reply belongs to where nothing was restamped.
@Suite struct InboundExchangesTests {
  private func header(
    _ opcode: UInt8, id: Int64, extent: UInt64 = 1025, offset: Int64 = 0, size: UInt32 = 0, followers: UInt8 = 0
  ) -> PacketHeader {
    var header = PacketHeader()
    header.extentType = 1
    header.opcode = Opcode(opcode)
    header.size = size
    header.partitionID = 7
    header.extentID = extent
    header.extentOffset = offset
    header.reqID = id
    header.remainingFollowers = followers
    return header
  }

  private func reply(to request: PacketHeader, _ result: ResultCode = .ok, opcode: UInt8? = nil, size: UInt32 = 0) -> TestPacket {
    var header = request
    header.resultCode = result
    header.size = size
    if let opcode { header.opcode = Opcode(opcode) }
    return TestPacket(header)
  }

  private func add(_ headers: [PacketHeader], to exchanges: inout InboundExchanges) {
    for (index, header) in headers.enumerated() {
      let exchange = TestPacket(header).exchange(stamp: Int64(1000 + index))
      exchanges.queue.append(exchange)
    }
  }

  /// The place of the operation that takes the reply, completed where the plan says so; nil and the reason where none does.
  private func take(_ packet: TestPacket, _ exchanges: inout InboundExchanges) -> (match: InboundExchanges.Match?, reason: Reason?) {
    var found: (InboundExchanges.Match?, Reason?) = (nil, nil)
    let isFramed: Bool? = packet.withHead(.reply) { head in
      do throws(Mismatch) {
        let match = try exchanges.match(head)
        if case .reply(let index, let plan) = match, plan.completes { exchanges.complete(index, inError: plan.isError) }
        found = (match, nil)
      } catch {
        found = (nil, error.reason)
      }
      return true
    }
    #expect(isFramed == true)
    return found
  }

  private func place(_ packet: TestPacket, _ exchanges: inout InboundExchanges) -> Int? {
    if case .reply(let index, _) = take(packet, &exchanges).match { index } else { nil }
  }

  @Test func equalRequestsAreAnsweredInOrder() {
    var exchanges = InboundExchanges()
    let request = header(0x03, id: 5)
    add([request, request, request], to: &exchanges)
    for index in 0..<3 { #expect(place(reply(to: request), &exchanges) == index) }
    #expect(take(reply(to: request), &exchanges).reason == .replyUnsolicited)
  }

  @Test func equalReqIDsOfDifferentRequestsAreToldApartByWhatTheyAsk() {
    var exchanges = InboundExchanges()
    let requests = [header(0x03, id: 5, offset: 0), header(0x03, id: 5, offset: 4096), header(0x13, id: 5, offset: 8192)]
    add(requests, to: &exchanges)
    // An error overtakes, and is not taken for one that it does not answer.
    #expect(place(reply(to: requests[1], .intraGroupNetErr, size: 20), &exchanges) == 1)
    #expect(place(reply(to: requests[0]), &exchanges) == 0)
    #expect(place(reply(to: requests[2]), &exchanges) == 2)
  }

  @Test func aReplyThatFitsNoneOfTheEqualOnesIsRefused() {
    var exchanges = InboundExchanges()
    let requests = [header(0x03, id: 5, offset: 0), header(0x03, id: 5, offset: 4096)]
    add(requests, to: &exchanges)
    #expect(take(reply(to: header(0x03, id: 5, offset: 12_288)), &exchanges).reason == .offsetMismatch)
    #expect(take(reply(to: header(0x03, id: 6)), &exchanges).reason == .stampUnknown)
    // Neither has moved on.
    #expect(place(reply(to: requests[0]), &exchanges) == 0)
    #expect(place(reply(to: requests[1]), &exchanges) == 1)
  }

  /// PROTOCOL.md section 6, number 1: blocks, local and forwarded replies come by different ways.
  @Test func onlyRepliesOfOneWayKeepTheirOrder() {
    var exchanges = InboundExchanges()
    let forwarded = [header(0x03, id: 1, followers: 2), header(0x03, id: 2, followers: 2)]
    let local = [header(0x0F, id: 3), header(0x01, id: 4)]
    let read = header(0x05, id: 5, size: 100)
    add(forwarded + local + [read], to: &exchanges)
    var block = reply(to: read, size: 100)
    block.header.crc = 99
    #expect(place(block, &exchanges) == 4)
    #expect(place(reply(to: local[0]), &exchanges) == 2)
    #expect(take(reply(to: forwarded[1]), &exchanges).reason == .replyOutOfOrder)
    #expect(place(reply(to: forwarded[0]), &exchanges) == 0)
    #expect(place(reply(to: local[1]), &exchanges) == 3)
    #expect(place(reply(to: forwarded[1]), &exchanges) == 1)
  }

  /// 127 followers stand for a special replica count: such a request is not forwarded.
  @Test func aSpecialReplicaCountIsAnsweredLocally() {
    var exchanges = InboundExchanges()
    let requests = [header(0x03, id: 1, followers: 127), header(0x03, id: 2)]
    add(requests, to: &exchanges)
    #expect(take(reply(to: requests[1]), &exchanges).reason == .replyOutOfOrder)
  }

  @Test func unknownOperationsMayBeAnsweredMoreThanOnce() {
    var exchanges = InboundExchanges()
    let unknown = header(0xEA, id: 9)
    let write = header(0x03, id: 9)
    add([unknown, write], to: &exchanges)
    #expect(place(reply(to: unknown, size: 10), &exchanges) == 0)
    #expect(take(reply(to: unknown, size: 20), &exchanges).match == .further)
    #expect(place(reply(to: write), &exchanges) == 1)
    #expect(take(reply(to: unknown, size: 30), &exchanges).match == .further)
    #expect(take(reply(to: header(0xEA, id: 10)), &exchanges).reason == .replyUnsolicited)
  }

  @Test func howManyUnknownOperationsAreRememberedIsBounded() {
    var exchanges = InboundExchanges()
    for id in 0..<100 {
      add([header(0xEA, id: Int64(id))], to: &exchanges)
      _ = take(reply(to: header(0xEA, id: Int64(id)), size: 1), &exchanges)
      #expect(exchanges.queue.popComplete() != nil)
    }
    #expect(take(reply(to: header(0xEA, id: 99)), &exchanges).match == .further)
    #expect(take(reply(to: header(0xEA, id: 100 - Int64(InboundExchanges.memory))), &exchanges).match == .further)
    #expect(take(reply(to: header(0xEA, id: 99 - Int64(InboundExchanges.memory))), &exchanges).reason == .replyUnsolicited)
  }

  private func snapshotBlock(_ request: PacketHeader, _ size: UInt32) -> TestPacket {
    var header = reply(to: request, opcode: 0x18, size: size).header
    header.extentType = 1
    header.argLength = 17
    return TestPacket(header, argument: [UInt8](repeating: 0, count: 16) + [UInt8(size)])
  }

  /// SnapshotExtentRepairRead: blocks, and one final reply that no requester reads.
  @Test func theReplyTooManyIsKnown() {
    var exchanges = InboundExchanges()
    let request = header(0x17, id: 3, size: 100)
    let next = header(0x10, id: 4)
    add([request], to: &exchanges)
    #expect(place(snapshotBlock(request, 100), &exchanges) == 0)
    #expect(exchanges.queue.popComplete() != nil)
    // Its caller has gone on; the final reply comes behind it or before.
    add([next], to: &exchanges)
    #expect(take(reply(to: request), &exchanges).match == .surplus)
    #expect(place(reply(to: next, size: 8), &exchanges) == 0)
    // One, not two.
    #expect(take(reply(to: request), &exchanges).reason == .replyUnsolicited)
  }

  @Test func anErrorOfASnapshotReadComesTwice() {
    var exchanges = InboundExchanges()
    let request = header(0x17, id: 3, size: 100)
    add([request], to: &exchanges)
    #expect(place(reply(to: request, ResultCode(0xF5), size: 10), &exchanges) == 0)
    #expect(take(reply(to: request), &exchanges).reason == .replySurplus || exchanges.queue.isAnswered)
    #expect(take(reply(to: request, ResultCode(0xF5), size: 10), &exchanges).match == .surplus)
    #expect(take(reply(to: request, ResultCode(0xF5), size: 10), &exchanges).reason == .replyUnsolicited)
  }

  /// A snapshot read of nothing has only the final reply: nothing trails it.
  @Test func theFinalReplyItselfHasNoneBehindIt() {
    var exchanges = InboundExchanges()
    let request = header(0x17, id: 3, size: 0)
    add([request], to: &exchanges)
    #expect(place(reply(to: request), &exchanges) == 0)
    #expect(exchanges.queue.popComplete() != nil)
    #expect(take(reply(to: request), &exchanges).reason == .replyUnsolicited)
  }

  // MARK: The next request

  @Test(arguments: [0x07, 0x08, 0x09, 0x0A, 0x10, 0x11, 0x16, 0x17] as [UInt8])
  func aRequestBehindAnUnfinishedLockStepOneIsDirtyReuse(opcode: UInt8) {
    var exchanges = InboundExchanges()
    #expect(exchanges.admission(limit: 10, betweenReplies: true) == .forward)
    add([header(opcode, id: 1, size: opcode == 0x07 ? 0 : 100)], to: &exchanges)
    // 17 is answered with nothing at the end of its source, as far as anyone knows.
    #expect(exchanges.admission(limit: 10, betweenReplies: true) == (opcode == 0x17 ? .finish : .dirtyReuse))
    exchanges.complete(0, inError: false)
    #expect(exchanges.admission(limit: 10, betweenReplies: true) == .forward)
  }

  @Test func pipelinesGrowToTheLimit() {
    var exchanges = InboundExchanges()
    for opcode: UInt8 in [0x03, 0x02, 0x05, 0x60] {
      #expect(exchanges.admission(limit: 4, betweenReplies: false) == .forward)
      add([header(opcode, id: 1, size: 100)], to: &exchanges)
    }
    #expect(exchanges.admission(limit: 4, betweenReplies: true) == .wait)
  }

  /// Reads that may be due nothing: their callers go on, and what comes all the same belongs to nobody.
  @Test(arguments: [0x14, 0x15] as [UInt8]) func aReadOfNothingIsOverWhenItsCallerGoesOn(opcode: UInt8) {
    var exchanges = InboundExchanges()
    let read = header(opcode, id: 1, size: opcode == 0x15 ? 100 : 0)
    add([read], to: &exchanges)
    #expect(exchanges.admission(limit: 10, betweenReplies: false) == .dirtyReuse)
    #expect(exchanges.admission(limit: 10, betweenReplies: true) == .finish)
    #expect(exchanges.finishLast()?.opcode.rawValue == opcode)
    let next = header(0x10, id: 2)
    add([next], to: &exchanges)
    #expect(take(reply(to: read, size: 24), &exchanges).reason == .callerDirtyReuse)
    #expect(place(reply(to: next, size: 8), &exchanges) == 0)
  }

  /// A read by holes that has begun has an end.
  @Test func aBegunReadIsNotOver() {
    var exchanges = InboundExchanges()
    let request = header(0x17, id: 3, size: 200)
    add([request], to: &exchanges)
    var block = snapshotBlock(request, 100)
    block.argument[16] = 200
    #expect(place(block, &exchanges) == 0)
    #expect(exchanges.admission(limit: 10, betweenReplies: true) == .dirtyReuse)
  }

  /// Every captured exchange, all in one pipeline with equal ReqIDs: each reply finds its own operation.
  @Test func liveExchangesWithEqualReqIDsInOnePipeline() {
    var exchanges = InboundExchanges()
    var order: [(LiveExchange, Int)] = []
    // What is due nothing without saying so is over when its caller goes on.
    for live in LiveExchange.all where !live.replies.isEmpty {
      var request = live.request
      request.header.reqID = 1
      exchanges.queue.append(request.exchange(stamp: Int64(order.count + 1)))
      order.append((live, order.count))
    }
    for (live, index) in order {
      for (number, packet) in live.replies.enumerated() {
        var packet = packet
        packet.header.reqID = 1
        let found = take(packet, &exchanges)
        if case .reply(let place, _) = found.match {
          // Equal requests of two captures cannot be told apart; the earlier is answered.
          #expect(place <= index, "\(live.name) reply \(number)")
        } else {
          #expect(found.match == .surplus || found.match == .further, "\(live.name) reply \(number): \(found)")
        }
      }
    }
  }
}
