internal import CubeFSWire
internal import LaneCore
internal import LaneJSON
internal import LaneProxy
internal import LaneTelemetry

/// `/holds`: one line of JSON for each operation that the conflict guard holds, in the order in which they came. Keys that a line of
/// the log has, too, mean the same.
enum HoldsText {
  static func make(_ status: ProxyStatus) -> [UInt8] {
    var text: [UInt8] = []
    for hold in status.conflicts?.holds ?? [] {
      var json = JSONWriter()
      json.object { json in
        write(hold.waiting, status.process, &json)
        json.member(LogKey.reason.rawValue, hold.reason.rawValue)
        json.member("heldMicroseconds", (status.now &- hold.since) / 1000)
        json.key("waitsFor")
        json.object { json in
          write(hold.blocker, status.process, &json)
          json.member("runningMicroseconds", (status.now &- hold.blockerSince) / 1000)
        }
      }
      text += json.bytes + [UInt8(ascii: "\n")]
    }
    return text
  }

  private static func write(_ operation: LaneEvent.Operation, _ process: UInt64, _ json: inout JSONWriter) {
    json.member(LogKey.operation.rawValue, operation.id(in: process).description)
    json.member(LogKey.opcode.rawValue, operation.opcode.name)
    json.member(LogKey.operationClass.rawValue, operation.operationClass.name)
    json.member(LogKey.callerReqID.rawValue, String(operation.callerReqID))
    json.member(LogKey.partition.rawValue, operation.partitionID)
    json.member(LogKey.extent.rawValue, operation.extentID)
  }
}
