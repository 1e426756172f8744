internal import CubeFSWire

/// Whether the replies that a caller believed were those of this very operation.
struct SerialOracle: Sendable {
  /// What one operation believed.
  enum Verdict: Equatable {
    case own
    /// A reply of another operation.
    case stale(String)
    /// A reply of this one, but not as the datanode sent it.
    case wrong(String)
  }

  let rules: SerialRules

  /// Judges every reply believed, and the error packet where there was one.
  func judge(_ result: CallResult) -> Verdict {
    let expected = rules.replies(to: result.request)
    for (index, reply) in result.accepted.enumerated() {
      if index < expected.count && reply == expected[index] { continue }
      return name(reply, index, result)
    }
    // One that the sidecar makes up in place of a dropped reply echoes the request.
    if let error = result.errorReply, result.accepted.isEmpty, identity(error) != serial(result) { return name(error, 0, result) }
    return .own
  }

  private func serial(_ result: CallResult) -> Serial { Serial(result.request.header.kernelOffset) }

  /// Whose reply it is; nil where it does not say.
  private func identity(_ reply: LabPacket) -> Serial? {
    if reply.header.kernelOffset != 0 { return Serial(reply.header.kernelOffset) }
    return SerialPayload.serial(in: reply.payload)
  }

  private func name(_ reply: LabPacket, _ index: Int, _ result: CallResult) -> Verdict {
    let words =
      "\(result.operation.request.header.opcode.name) \(serial(result).value), reply \(index): \(reply.header.opcode.name) of "
      + (identity(reply).map { "\($0.value)" } ?? "nobody") + ", ReqID \(reply.header.reqID) where \(result.request.header.reqID) was asked"
    let isOwn = reply.header.reqID == result.request.header.reqID && (identity(reply) ?? serial(result)) == serial(result)
    return isOwn ? .wrong(words) : .stale(words)
  }
}
