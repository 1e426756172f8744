import NetEndpoint

/// What the load generator sends.
enum LoadShape: String, CaseIterable {
  /// 0x01 CreateExtent: 57 bytes out, 57 bytes back.
  case ping
  /// 0x05 StreamRead of 128 KiB: 57 bytes out, 57 bytes and the block back.
  case block
  /// 0x02 MarkDelete of a normal extent: as `ping`, and looked at by the conflict guard.
  case delete
  /// 0x09 ExtentRepairRead of 128 KiB: as `block`, and looked at by the conflict guard.
  case repair

  /// Bytes of payload in each reply.
  var payloadLength: Int { self == .block || self == .repair ? Packet.blockLength : 0 }
  /// The request's opcode.
  var opcode: UInt8 {
    switch self {
    case .ping: Packet.opCreateExtent
    case .block: Packet.opStreamRead
    case .delete: Packet.opMarkDelete
    case .repair: Packet.opExtentRepairRead
    }
  }
}

/// One run of the load generator.
struct LoadPlan {
  /// When the measured part is over.
  enum Length {
    case requests(Int)
    case seconds(Int)
  }

  var target: Endpoint
  var shape: LoadShape
  var connections: Int
  var length: Length
  /// Requests per second over all connections in an open loop; nil for a closed one.
  var rate: Int?
  /// Requests before the measured part, in a closed loop.
  var warmup: Int
}

/// What a run has shown.
struct LoadReport {
  var plan: LoadPlan
  var requests: Int
  var wrong: Int
  var nanoseconds: UInt64
  var latency: Histogram

  private var seconds: Double { Double(nanoseconds) / 1e9 }
  private var perSecond: Double { seconds > 0 ? Double(requests) / seconds : 0 }

  private func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds / 100) / 10 }

  /// One JSON object on one line.
  var json: String {
    let rate = plan.rate.map(String.init) ?? "null"
    return """
      {"shape":"\(plan.shape.rawValue)","connections":\(plan.connections),"rate":\(rate),"requests":\(requests),\
      "wrong":\(wrong),"seconds":\(rounded(seconds, 6)),"requestsPerSecond":\(rounded(perSecond, 1)),\
      "latencyMicroseconds":{"p50":\(microseconds(latency.quantile(0.5))),"p90":\(microseconds(latency.quantile(0.9))),\
      "p99":\(microseconds(latency.quantile(0.99))),"max":\(microseconds(latency.largest))}}
      """
  }

  /// The same for a reader.
  var text: String {
    let loop = plan.rate.map { "open loop at \($0)/s, latency from the intended send time" } ?? "closed loop"
    return """
      \(plan.shape.rawValue), \(plan.connections) connections, \(loop)
      requests     \(requests) (\(wrong) wrong)
      seconds      \(rounded(seconds, 3))
      requests/s   \(rounded(perSecond, 1))
      latency us   p50 \(microseconds(latency.quantile(0.5)))  p90 \(microseconds(latency.quantile(0.9)))  \
      p99 \(microseconds(latency.quantile(0.99)))  max \(microseconds(latency.largest))
      """
  }

  private func rounded(_ value: Double, _ places: Int) -> Double {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    return (value * scale).rounded() / scale
  }
}
