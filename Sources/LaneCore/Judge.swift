public import CubeFSWire

// What a correct reply is: PROTOCOL.md sections 2 and 6.4. What is not compared there may differ legitimately:
// RemainingFollowers, ExtentType but for bit 0, VerSeq, ProtoVersion, the version list.
extension Exchange {
  /// Judges a reply's header that bears this exchange's stamp. Where it is accepted, the exchange has moved on; where not,
  /// it has not changed.
  public mutating func judge(_ head: Framer.Head) throws(Mismatch) -> ReplyPlan {
    let header = head.header
    guard requestComplete else {
      throw Mismatch(.replyBeforeRequest, expected: .text("the whole request sent"), observed: .text("a reply"))
    }
    guard !isComplete || row.pointee.completion == .anyNumber else {
      throw Mismatch(.replySurplus, expected: .text("no further reply"), observed: .result(header.resultCode))
    }
    guard header.resultCode != .initial else {
      throw Mismatch(.resultMissing, expected: .result(.ok), observed: .result(header.resultCode))
    }
    let plan: ReplyPlan
    if row.pointee.completion == .anyNumber {
      plan = ReplyPlan(isError: header.resultCode != .ok, checksPayload: false, expectedCRC: 0, completes: true)
    } else if header.resultCode != .ok {
      try judgeError(header)
      plan = ReplyPlan(isError: true, checksPayload: false, expectedCRC: 0, completes: true)
    } else {
      switch row.pointee.completion {
      case .single, .none, .anyNumber: plan = try judgeMutated(header)
      case .byteCount: plan = try judgeBlock(header)
      case .holeCount:
        // The final reply of 17 is the request object again. CubeFS `datanode/wrap_operator.go` v3.5.3; live capture.
        if header.opcode == opcode && header.opcode != row.pointee.replyOpcode {
          plan = try judgeMutated(header, opcode: opcode, size: 0...0)
        } else {
          plan = try judgeHoleBlock(head)
        }
      case .openEnded: plan = try judgeChunk(header)
      }
    }
    replies &+= 1
    return plan
  }

  private func judgeError(_ header: HeaderView) throws(Mismatch) {
    try expect(opcode, header.opcode)
    try judgeEcho(header, isError: true)
    guard header.argLength == 0 || header.argLength == argLength else {
      throw Mismatch(.argumentMismatch, expected: .unsigned(UInt64(argLength)), observed: .unsigned(UInt64(header.argLength)))
    }
  }

  private func judgeMutated(_ header: HeaderView) throws(Mismatch) -> ReplyPlan {
    let rule = row.pointee
    let right = header.opcode == rule.otherReplyOpcode ? rule.otherReplyOpcode : rule.replyOpcode
    return try judgeMutated(header, opcode: right, size: rule.replySize)
  }

  private func judgeMutated(_ header: HeaderView, opcode: Opcode, size: ClosedRange<UInt32>) throws(Mismatch) -> ReplyPlan {
    try expect(opcode, header.opcode)
    try judgeEcho(header, isError: false)
    try expect(.argumentMismatch, 0, UInt64(header.argLength))
    // Sizes of fixed-length answers are whole 8-byte numbers.
    let isWhole = size.upperBound > 16 || header.size & 7 == 0
    guard size.contains(header.size), isWhole else { throw sizeMismatch(header, size) }
    return ReplyPlan(isError: false, checksPayload: false, expectedCRC: 0, completes: true)
  }

  private func judgeEcho(_ header: HeaderView, isError: Bool) throws(Mismatch) {
    let rule = row.pointee
    let echo = rule.echo
    let isStream = rule.blockCRC
    if echo.contains(.extentKind) && (header.extentType ^ extentType) & ExtentTypeBits.normal != 0 {
      throw kindMismatch(header, extentType & ExtentTypeBits.normal)
    }
    if echo.contains(.partition) { try expect(.partitionMismatch, partitionID, header.partitionID) }
    if echo.contains(.extent) && !leaderNamesExtent {
      try expect(.extentMismatch, extentID, header.extentID)
    }
    if echo.contains(.offset) && !leaderNamesOffset && header.extentOffset != extentOffset {
      // A stream's error names the block that failed.
      guard isError && isStream && header.extentOffset == nextOffset else {
        throw Mismatch(.offsetMismatch, expected: .signed(isError ? nextOffset : extentOffset), observed: .signed(header.extentOffset))
      }
    }
    // A stream's error carries the CRC of the last read.
    if echo.contains(.crc) && !(isError && isStream) {
      try expect(.crcEchoMismatch, UInt64(crc), UInt64(header.crc))
    }
    if echo.contains(.kernelOffset) { try expect(.kernelOffsetMismatch, kernelOffset, header.kernelOffset) }
  }

  /// A leader chooses the extent of a client's create, and extent and offset of its tiny write.
  private var leaderNamesExtent: Bool {
    extentID == 0 && (opcode.rawValue == 0x01 || leaderNamesOffset)
  }

  private var leaderNamesOffset: Bool {
    extentID == 0 && extentType & ExtentTypeBits.normal == 0 && (opcode.rawValue == 0x03 || opcode.rawValue == 0x13)
  }

  private func judgeBlockHeader(
    _ header: HeaderView, extent: UInt64, kind: UInt8, argument: UInt32
  ) throws(Mismatch) {
    try expect(row.pointee.replyOpcode, header.opcode)
    if (header.extentType ^ kind) & ExtentTypeBits.normal != 0 { throw kindMismatch(header, kind) }
    try expect(.partitionMismatch, partitionID, header.partitionID)
    try expect(.extentMismatch, extent, header.extentID)
    guard header.extentOffset == nextOffset else {
      throw Mismatch(.offsetMismatch, expected: .signed(nextOffset), observed: .signed(header.extentOffset))
    }
    try expect(.kernelOffsetMismatch, 0, header.kernelOffset)
    try expect(.argumentMismatch, UInt64(argument), UInt64(header.argLength))
  }

  private mutating func judgeBlock(_ header: HeaderView) throws(Mismatch) -> ReplyPlan {
    try judgeBlockHeader(header, extent: extentID, kind: ExtentTypeBits.normal, argument: 0)
    let left = due &- received
    guard header.size > 0, UInt64(header.size) <= left else {
      throw Mismatch(.sizeOutOfBounds, expected: .range(1, left), observed: .unsigned(UInt64(header.size)))
    }
    received &+= UInt64(header.size)
    return ReplyPlan(isError: false, checksPayload: true, expectedCRC: header.crc, completes: received == due)
  }

  private mutating func judgeHoleBlock(_ head: Framer.Head) throws(Mismatch) -> ReplyPlan {
    let header = head.header
    // The blocks of 15 are of a tiny extent, those of 17 of a normal one.
    let kind: UInt8 = opcode.rawValue == 0x15 ? 0 : ExtentTypeBits.normal
    try judgeBlockHeader(header, extent: extentID, kind: kind, argument: 17)
    guard let argument = head.argumentOffset else {
      throw Mismatch(.argumentMismatch, expected: .unsigned(17), observed: .unsigned(UInt64(header.argLength)))
    }
    let bytes = head.bytes
    let isHole = bytes[argument] == UInt8(ascii: "E")
    let run = isHole ? Self.number(bytes, at: argument + 1) : UInt64(header.size)
    let total = Self.number(bytes, at: argument + 9)
    guard !isHole || (header.size == 0 && run <= UInt64(Int64.max)) else {
      throw Mismatch(.sizeOutOfBounds, expected: .unsigned(0), observed: .unsigned(UInt64(header.size)))
    }
    if run == 0 {
      guard emptyReplies < OperationRule.mostEmptyReplies else {
        throw Mismatch(
          .emptyReplies, expected: .range(0, UInt64(OperationRule.mostEmptyReplies)), observed: .unsigned(UInt64(emptyReplies) + 1))
      }
      emptyReplies += 1
    }
    if replies == 0 && total > 0 { due = min(due, total) }
    received = received.addingReportingOverflow(run).overflow ? .max : received + run
    return ReplyPlan(isError: false, checksPayload: true, expectedCRC: header.crc, completes: received >= due)
  }

  private mutating func judgeChunk(_ header: HeaderView) throws(Mismatch) -> ReplyPlan {
    try judgeBlockHeader(header, extent: 0, kind: ExtentTypeBits.normal, argument: 0)
    let sizes = OperationRule.deleteRecord...OperationRule.fullChunk
    guard sizes.contains(header.size), header.size % OperationRule.deleteRecord == 0 else { throw sizeMismatch(header, sizes) }
    received &+= UInt64(header.size)
    return ReplyPlan(
      isError: false, checksPayload: true, expectedCRC: header.crc, completes: header.size < OperationRule.fullChunk || received >= due)
  }

  private static func number(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) -> UInt64 {
    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  private func sizeMismatch(_ header: HeaderView, _ sizes: ClosedRange<UInt32>) -> Mismatch {
    Mismatch(
      .sizeOutOfBounds, expected: .range(UInt64(sizes.lowerBound), UInt64(sizes.upperBound)), observed: .unsigned(UInt64(header.size)))
  }

  private func kindMismatch(_ header: HeaderView, _ expected: UInt8) -> Mismatch {
    Mismatch(
      .extentTypeMismatch, expected: .unsigned(UInt64(expected & ExtentTypeBits.normal)),
      observed: .unsigned(UInt64(header.extentType & ExtentTypeBits.normal)))
  }

  @inline(__always)
  private func expect(_ reason: Reason, _ right: UInt64, _ found: UInt64) throws(Mismatch) {
    guard right == found else { throw Mismatch(reason, expected: .unsigned(right), observed: .unsigned(found)) }
  }

  @inline(__always)
  private func expect(_ right: Opcode, _ found: Opcode) throws(Mismatch) {
    guard right == found else { throw Mismatch(.opcodeMismatch, expected: .opcode(right), observed: .opcode(found)) }
  }
}
