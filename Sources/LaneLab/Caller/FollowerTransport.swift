internal import CubeFSWire
internal import NetEndpoint

/// A leader's private connection to one follower: one thread writes, another reads in the order written and checks, before
/// the result, ReqID, PartitionID, ExtentOffset, CRC and ExtentID. It closes on any error and never pools.
/// CubeFS `repl/repl_protocol.go` `FollowerTransport`, v3.3.0.
struct FollowerTransport {
  let caller: FaithfulCaller
  let target: Endpoint
  /// Requests in flight at most; the original queues 200.
  let depth: Int

  /// Sends all operations, and gives their ends in the same order.
  func run(_ operations: [LabOperation]) -> [CallResult] {
    let requests = operations.map { operation -> LabPacket in
      var request = operation.request
      request.header.reqID = caller.nextReqID()
      return request
    }
    var results = zip(requests, operations).map { request, operation in
      CallResult(request: request, operation: operation, outcome: .reset, note: "the connection had ended")
    }
    let socket: LabSocket
    do throws(LabIOError) {
      socket = try caller.pool.connect(target)
    } catch {
      for index in results.indices { results[index].note = "connect: \(error)" }
      return results
    }
    let flow = Flow(requests: requests, socket: socket, depth: depth)
    let writer = LabThread { flow.writeAll(caller: caller) }
    let ended = readAll(flow, results)
    writer.join()
    socket.close()
    return ended
  }

  private func readAll(_ flow: Flow, _ unfinished: [CallResult]) -> [CallResult] {
    var results = unfinished
    for index in results.indices {
      guard let sent = flow.waitUntilWritten(index) else { break }
      let isBatch = [0x75, 0x76].contains(results[index].operation.opcode)
      do throws(LabIOError) {
        let reply = try LabPacket.read(
          from: flow.socket, release: caller.options.release, deadline: caller.deadline(isBatch ? 120 : 5))
        results[index].microseconds = Double(LabClock.nanoseconds - sent) / 1_000
        guard check(reply, &results[index]) else { break }
        flow.answered()
      } catch {
        results[index].outcome = error == .timedOut ? .timedOut : .reset
        results[index].note = "\(error)"
        break
      }
    }
    flow.abort()
    return results
  }

  /// - Returns: true where the connection goes on.
  private func check(_ reply: LabPacket, _ result: inout CallResult) -> Bool {
    let want = result.request.header
    let got = reply.header
    guard got.reqID == want.reqID, got.partitionID == want.partitionID, got.extentOffset == want.extentOffset,
      got.crc == want.crc, got.extentID == want.extentID
    else {
      result.outcome = .rejected
      result.note = "ActionCheckReply"
      result.errorReply = reply
      return false
    }
    guard !reply.isError else {
      result.outcome = .errorReply
      result.errorReply = reply
      return false
    }
    result.outcome = .delivered
    result.accepted = [reply]
    return true
  }

  /// What writer and reader share.
  private final class Flow: @unchecked Sendable {
    let socket: LabSocket
    private let requests: [LabPacket]
    private let depth: Int
    private let lock = LabLock()
    private var writtenAt: [Int64] = []
    private var answers = 0
    private var isOver = false

    init(requests: [LabPacket], socket: LabSocket, depth: Int) {
      self.requests = requests
      self.socket = socket
      self.depth = depth
    }

    func writeAll(caller: FaithfulCaller) {
      for request in requests {
        let goesOn = lock.wait(until: { isOver || writtenAt.count - answers < depth }, then: { !isOver })
        guard goesOn else { return }
        let now = LabClock.nanoseconds
        let written = (try? socket.write(request.bytes, deadline: caller.deadline(5))) != nil
        lock.change {
          if written { writtenAt.append(now) } else { isOver = true }
        }
        if !written { return }
      }
    }

    /// When that request was written, or nil where it never will be.
    func waitUntilWritten(_ index: Int) -> Int64? {
      lock.wait(until: { isOver || writtenAt.count > index }, then: { writtenAt.count > index ? writtenAt[index] : nil })
    }

    func answered() { lock.change { answers += 1 } }

    func abort() {
      lock.change { isOver = true }
      socket.stop()
    }
  }
}
